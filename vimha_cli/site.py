"""`vimha init` and `vimha budget`: begin a site.yaml, and see what its faults cost."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vimha.findings import errors
from vimha.site import starter
from vimha.site.loading import load
from vimha.site.model import Scale
from vimha_cli.output import console, format_option, print_findings, print_json, site_argument, table

if TYPE_CHECKING:
    from rich.table import Table

    from vimha.timing.model import Budget, FaultClass, Margin


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--scale", type=click.Choice([scale.value for scale in Scale]), default="small", show_default=True,
              help="small: active-standby on three nodes; large: all-active on five.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace FILE if there is one.")
def init(file: Path, scale: str, force: bool) -> None:
    """Write a commented starter to FILE: a good site whose addresses are to be changed.

    \b
    Example:
      vimha init site.yaml --scale large
    """
    starter.write(file, Scale(scale), force=force)
    click.echo(f"wrote {file}; next: put your addresses in, then vimha validate {file}")


@click.command()
@site_argument
@format_option
def budget(site_file: Path, output: str) -> None:
    """Print the longest outage that each fault class can cost a client of SITE, as a sum of named terms.

    Findings go to standard error. Exit 0 when every class is within the objective and the site has no error, 1 when
    not, 2 when SITE cannot be read.

    \b
    Examples:
      vimha budget site.yaml
      vimha budget site.yaml --format json | jq '.classes[] | {name, worst_s}'
    """
    from vimha.timing.budget import budget as compute
    from vimha.timing.margins import margins
    from vimha.timing.rules import check
    from vimha.timing.solve import solve

    loaded = load(site_file)
    findings = loaded.findings
    if loaded.site is not None:
        timings = solve(loaded.site)
        found = compute(loaded.site, timings)
        findings = [*findings, *loaded.place(check(loaded.site, timings, found))]
        if output == "json":
            print_json(found.as_dict())
        else:
            _print_budget(found, margins(loaded.site, timings))
    if findings:
        print_findings(findings, "text", err=True)
    if errors(findings) or loaded.site is None:
        sys.exit(1)


def _print_budget(found: "Budget", margin: "tuple[Margin, ...]") -> None:
    out = console()
    for entries in _alike(found.classes):
        out.print(_terms(entries), "")
    out.print(_summary(found), "")
    out.print(_margins(margin), "")
    out.print(f"verdict: {found.verdict} (objective {found.objective_s:g} s)", style=_colour(found.verdict == "pass"))


def _alike(classes: "tuple[FaultClass, ...]") -> "list[list[FaultClass]]":
    """Classes that add up the same terms, together."""
    groups: dict[object, list[FaultClass]] = {}
    for entry in classes:
        groups.setdefault(entry.terms, []).append(entry)
    return list(groups.values())


def _terms(entries: "list[FaultClass]") -> "Table":
    shown = table("\n".join(f"{entry.name}: {entry.title}" for entry in entries))
    shown.add_column("term", no_wrap=True)
    shown.add_column("typical s", justify="right", no_wrap=True)
    shown.add_column("worst s", justify="right", no_wrap=True)
    shown.add_column("source")
    for term in entries[0].terms:
        shown.add_row(term.name, f"{term.typical_s:.3f}", f"{term.worst_s:.3f}", term.source)
    shown.add_section()
    shown.add_row("sum", f"{entries[0].typical_s:.3f}", f"{entries[0].worst_s:.3f}", "")
    return shown


def _summary(found: "Budget") -> "Table":
    shown = table("Budget")
    for name in ("fault class", "typical s", "worst s", "margin s", "costs most"):
        shown.add_column(name, justify="left" if name in ("fault class", "costs most") else "right")
    for entry in found.classes:
        margin = found.objective_s - entry.worst_s
        most = f"{entry.dominating.name}, {entry.dominating.worst_s:.2f} s"
        shown.add_row(entry.name, f"{entry.typical_s:.2f}", f"{entry.worst_s:.2f}", f"{margin:.2f}", most,
                      style=_colour(margin >= 0))  # fmt: skip
    return shown


def _margins(entries: "tuple[Margin, ...]") -> "Table":
    shown = table("Disturbance tolerated before a false alarm")
    for name in ("what", "tolerated ms", "then"):
        shown.add_column(name, justify="right" if name == "tolerated ms" else "left")
    for entry in entries:
        shown.add_row(entry.name, f"{entry.tolerates_ms:g}", entry.why)
    return shown


def _colour(good: bool) -> str:
    return "" if good else "red"

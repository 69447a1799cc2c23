"""`vimha plan`, `apply`, `status` and `decide`: a cluster, compared, changed, looked at, and told who begins."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vimha.errors import VimhaError
from vimha.process import Runner, run
from vimha_cli.output import console, format_option, print_findings, print_json, site_argument, table

if TYPE_CHECKING:
    from vimha.cluster.decide import Election
    from vimha.cluster.plan import Plan
    from vimha.cluster.status import Status
    from vimha.site.model import Site

CHANGES = 3
"""`vimha plan`'s exit code when there is something to change."""
SIGNS = {"add": ("+", "green"), "remove": ("-", "red"), "change": ("~", "yellow")}


def lab_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--lab` option of every command that works on a cluster: this host's without it."""
    return click.option("--lab", metavar="NAME", help="The lab to work on; without it, the cluster of this host.")(
        command
    )


@click.command()
@site_argument
@lab_option
@format_option
def plan(site_file: Path, lab: str | None, output: str) -> None:
    """Show what applying SITE would change: the configuration, what starts, stops and moves, and the budget.

    Run it on a control node as root or hacluster, or name a lab. Nothing is changed.
    Exit 0 when there is nothing to change, 3 when there is, 1 on failure, 2 when SITE cannot be read.

    \b
    Examples:
      vimha plan site.yaml
      vimha plan site.yaml --lab demo --format json | jq '.changes[] | {action, kind, name}'
    """
    site, runner = _place(site_file, lab)
    found = _plan(site, runner)
    if output == "json":
        print_json(found.as_dict())
    else:
        _print_plan(found)
    sys.exit(0 if found.empty else CHANGES)


@click.command()
@site_argument
@lab_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--within", type=click.IntRange(1, 3600), default=120, show_default=True, metavar="SECONDS",
              help="How long the cluster may take to settle before the former configuration is put back.")  # fmt: skip
def apply(site_file: Path, lab: str | None, yes: bool, within: int) -> None:
    """Bring the cluster to SITE, and wait until every resource runs.

    Refuses when the site has errors, without quorum, with fencing that does not work, and when the configuration has
    changed since it was read. When the cluster does not reach the target in time, the former configuration is put
    back, and the reason is told. Exit 0 when SITE is in effect, 1 when not, 2 when SITE cannot be read.

    \b
    Examples:
      vimha apply site.yaml
      vimha apply site.yaml --lab demo --yes
    """
    from vimha.cluster.apply import apply as bring
    from vimha.cluster.validate import validate_site

    site, runner = _place(site_file, lab)
    findings = validate_site(site_file)
    found = _plan(site, runner)
    _print_plan(found)
    if found.empty:
        return
    if findings:
        print_findings(findings, "text", err=True)
    if not yes:
        click.confirm("Apply this?", abort=True)
    began = time.monotonic()

    def tell(line: str) -> None:
        click.echo(f"{time.monotonic() - began:5.1f} s  {line}", err=True)

    done = bring(found, runner, findings, within_s=within, progress=tell)
    click.echo(f"applied: {done.changes} changes, settled in {done.settled_s:.1f} s")


@click.command()
@click.argument("site_file", metavar="[SITE]", required=False, type=click.Path(path_type=Path))
@lab_option
@format_option
def status(site_file: Path | None, lab: str | None, output: str) -> None:
    """Show the cluster: nodes, quorum, resources, VIP holders, fencing, links; with SITE, the budget's margin too.

    Exit 0 when it is healthy, 1 when not.

    \b
    Examples:
      vimha status
      vimha status site.yaml --lab demo
      vimha status --format json | jq -r '.problems[]'
    """
    from vimha.cluster.status import status as look
    from vimha.timing.budget import budget
    from vimha.timing.solve import solve

    site, runner = _place(site_file, lab) if site_file else (None, _runner(lab))
    found = look(runner)
    margins = {
        entry.name: round(site.objective / 1000 - entry.worst_s, 3) for entry in budget(site, solve(site)).classes
    } if site else {}  # fmt: skip
    if output == "json":
        print_json({**found.as_dict(), "budget_margin_s": margins})
    else:
        _print_status(found, margins)
    sys.exit(0 if found.healthy else 1)


@click.command()
@click.argument("resource")
@click.argument("node", required=False)
@lab_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@format_option
def decide(resource: str, node: str | None, lab: str | None, yes: bool, output: str) -> None:
    """Show how the members of a clustered service stand, and let NODE begin when the others cannot come.

    RESOURCE is the database's or the message queue's name in the cluster. A member that says "waits for" another one
    does so because that one may have newer data. Bring that one back. Only if it never comes back, name the NODE that
    is to begin: what the silent members alone have is lost then.
    Exit 0 when that is told, 1 when NODE does not wait, 2 when there is no such RESOURCE.

    \b
    Examples:
      vimha decide database
      vimha decide database control-1
    """
    from vimha.cluster.decide import begin, election

    runner = _runner(lab)
    found = election(runner, resource)
    if output == "json":
        print_json(found.as_dict())
    else:
        _print_election(found)
    if node is None:
        return
    if node in found.choices and not yes:
        lost = f" What only {', '.join(found.silent)} has is lost." if found.silent else ""
        click.confirm(f"Let {node} begin {resource}?{lost}", abort=True, err=True)
    begin(runner, found, node)
    click.echo(f"{node} is told to begin {resource}: see vimha status", err=True)


def _print_election(found: "Election") -> None:
    """A line for each member; the node that waits is the one that can be named."""
    shown = table(f"members of {found.resource}")
    for heading in ("member", "says", "data"):
        shown.add_column(heading)
    for voice in found.voices:
        phase = "waits to begin" if voice.node in found.choices else voice.phase or "nothing"
        shown.add_row(voice.node, phase, voice.data)
    console().print(shown)


def _place(site_file: Path, lab: str | None) -> "tuple[Site, Runner]":
    """The site, as a lab would stage it when one is named, and the way to its cluster."""
    from vimha.site.loading import load_valid

    site = load_valid(site_file)
    if lab is None:
        return site, run
    from vimha.lab.nodes import staged

    return staged(site), _runner(lab)


def _runner(lab: str | None) -> Runner:
    """This host, or the first node of the lab on which Pacemaker answers."""
    if lab is None:
        return run
    from vimha.lab.labs import Lab

    opened = Lab.open(lab)
    for node in opened.site.nodes:
        if opened.power.is_on(node):
            runner = opened.runner(node)
            if runner(["crmadmin", "--pacemakerd"], timeout_s=5).ok:
                return runner
    raise VimhaError(f"no node of lab {lab} has a running Pacemaker", f"vimha lab status {lab} shows its machines.")


def _plan(site: "Site", runner: Runner) -> "Plan":
    from vimha.cluster.plan import make
    from vimha.render.render import render
    from vimha.timing.solve import solve

    return make(site, render(site, solve(site), b""), runner)


def _print_plan(found: "Plan") -> None:
    for change in found.changes:
        sign, colour = SIGNS[change.action]
        click.secho(f"{sign} {change.kind} {change.name}", fg=colour, bold=True)
        if change.action == "change":
            for detail in change.details:
                click.echo(f"    {detail}")
    for node in found.fenced:
        click.secho(f"! fences node {node}", fg="red", bold=True)
    if found.actions:
        click.echo("the cluster would:")
    for action in found.actions:
        origin = f" from {action.source}" if action.source and action.source != action.node else ""
        blocked = f" (cannot: {action.reason})" if action.blocked else ""
        click.echo(f"    {action.kind} {action.resource}{origin} on {action.node}{blocked}")
    for note in found.notes:
        click.secho(f"note: {note}", fg="yellow")
    _print_budgets(found)
    click.echo(f"{len(found.changes)} changes to configuration {found.live.version}" if found.changes else "no changes")


def _print_budgets(found: "Plan") -> None:
    """Each class's worst case before and after, where it changes."""
    before = {entry.name: entry.worst_s for entry in found.before.classes} if found.before else {}
    for entry in found.after.classes:
        old = before.get(entry.name)
        if old is None and found.changes:
            click.echo(f"budget {entry.name}: worst {entry.worst_s:.2f} s of {found.after.objective_s:g} s")
        elif old is not None and old != entry.worst_s:
            click.echo(
                f"budget {entry.name}: worst {old:.2f} s -> {entry.worst_s:.2f} s of {found.after.objective_s:g} s"
            )


def _print_status(found: "Status", margins: dict[str, float]) -> None:
    quorum = "quorate" if found.quorum else "NO QUORUM"
    totem = f", token {found.totem.token} ms" if found.totem else ""
    click.echo(f"cluster: DC {found.dc or 'none'}, {quorum}{totem}")
    for node in found.nodes:
        facts = ", ".join(f"{name}={value}" for name, value in node.attributes.items() if name.startswith("vimha-"))
        click.echo(f"node {node.name}: {node.state}{' (DC)' if node.dc else ''}{f', {facts}' if facts else ''}")
    for name, (address, holders) in found.vips.items():
        click.echo(f"VIP {address} ({name}): {', '.join(holders) or 'nowhere'}")
    for resource in found.resources:
        where = ", ".join(resource.nodes) or "nowhere"
        click.echo(
            f"resource {resource.id}: {resource.role} on {where}{f' [{resource.trouble}]' if resource.trouble else ''}"
        )
    for target, devices in found.levels.items():
        click.echo(f"fencing of {target}: {', '.join(devices) or 'NONE'}")
    for event in found.fencing[:5]:
        click.echo(f"fenced {event.target} ({event.action}): {event.state} {event.when}".rstrip())
    for link in found.links:
        click.echo(f"link {link.number} to {link.peer}: {'connected' if link.connected else 'DOWN'}")
    for name, margin in margins.items():
        click.secho(f"budget {name}: {margin:.2f} s below the objective at worst", fg="red" if margin < 0 else None)
    for problem in found.problems:
        click.secho(f"problem: {problem}", fg="red")
    click.secho("healthy" if found.healthy else f"{len(found.problems)} problems", bold=True)

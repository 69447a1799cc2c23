"""How commands print: JSON for machines, rich tables for people, colours only on a terminal."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vimha.findings import Finding, errors

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

F = TypeVar("F", bound=Callable[..., Any])

COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}
PIPE_WIDTH = 120
"""Columns of a table that goes to no terminal."""


def format_option(command: F) -> F:
    """The `--format` option of every command that prints data: parameter `output`, `text` or `json`."""
    return click.option(
        "--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True,
        help="How to print: for people, or for machines.",
    )(command)  # fmt: skip


def site_argument(command: F) -> F:
    """The SITE argument: parameter `site_file`, a Path; whether it can be read is the library's to say."""
    return click.argument("site_file", metavar="SITE", type=click.Path(path_type=Path))(command)


def print_json(data: object) -> None:
    """`data` on standard output as JSON, two spaces deep, keys in their own order."""
    click.echo(json.dumps(data, indent=2, default=str))


def console() -> "Console":
    """Where tables are printed: as wide as the terminal."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def table(title: str) -> "Table":
    """An empty table in the house's style."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    return Table(title=Text(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_edge=False)


def print_findings(findings: Sequence[Finding], output: str, *, err: bool = False) -> None:
    """All findings: the stable JSON shape `{findings: [...]}`, or a paragraph each; the text on standard error when
    `err`.
    """
    if output == "json":
        print_json({"findings": [finding.as_dict() for finding in findings]})
        return
    for finding in findings:
        severity = click.style(f"{finding.severity} {finding.code}", fg=COLOURS[finding.severity], bold=True)
        click.echo(f"{severity}  {finding.where}\n    {finding.message}\n    {finding.remedy}", err=err)
    bad = len(errors(list(findings)))
    count = "1 finding" if len(findings) == 1 else f"{len(findings) or 'no'} findings"
    click.echo(f"{count}, {bad} of severity error" if findings else count, err=err)

"""`vimha alarms retention`: how long cleared alarms are kept."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from vimha.alarms.words import Severity
from vimha_cli.alarms.options import Asking, asks
from vimha_cli.output import format_option, print_json

if TYPE_CHECKING:
    from vimha.alarms.client.client import Client

SEVERITIES = [each.value for each in Severity if each is not Severity.CLEARED]


def _counts(ctx: click.Context, param: click.Parameter, given: Sequence[str]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for each in given:
        name, _, number = each.partition("=")
        if name.upper() not in SEVERITIES or not (number == "any" or (number.isascii() and number.isdecimal())):
            raise click.BadParameter(f"{each!r}: give it as WARNING=10000, or as WARNING=any", ctx, param)
        found[name.upper()] = None if number == "any" else int(number)
    return found


@click.command(cls=Asking, short_help="How long cleared alarms are kept.")
@click.option("--days", type=click.IntRange(1, 36_500), help="Keep a cleared alarm so many days.")
@click.option(
    "--most", metavar="SEVERITY=N", multiple=True, callback=_counts,
    help="Keep at most the N newest of that severity (the last before the clearing); `any`: as many as there are.",
)  # fmt: skip
@format_option
@asks
def retention(client: "Client", days: int | None, most: dict[str, int | None], output: str) -> None:
    """Show how long cleared alarms are kept, or change it with --days and --most. Active alarms stay as long as they
    last.

    \b
    Examples:
      vimha alarms retention
      vimha alarms retention --days 90 --most WARNING=10000 --most MINOR=any
    """
    changes: dict[str, Any] = {
        **({"retentionPeriod": days} if days is not None else {}),
        **({"retentionCounts": most} if most else {}),
    }
    found = client.change_retention(changes) if changes else client.retention()
    if output == "json":
        print_json(found)
        return
    click.echo(f"cleared alarms are kept for {found['retentionPeriod']} days")
    for severity, number in found.get("retentionCounts", {}).items():
        click.echo(f"  of {severity} at most the {number} newest")

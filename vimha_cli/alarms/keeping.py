"""`vimha alarms retention`: how long cleared alarms are kept."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vimha_cli.alarms.options import Asking, asks
from vimha_cli.output import format_option, print_json

if TYPE_CHECKING:
    from vimha.alarms.client.client import Client


@click.command(cls=Asking, short_help="How long cleared alarms are kept.")
@click.option("--days", type=click.IntRange(1, 36_500), help="Keep a cleared alarm so many days.")
@click.option(
    "--most", metavar="SEVERITY=N", multiple=True,
    help="Keep at most the N newest of that severity (the last before the clearing); `any`: as many as there are.",
)  # fmt: skip
@format_option
@asks
def retention(client: "Client", days: int | None, most: Sequence[str], output: str) -> None:
    """Show how long cleared alarms are kept, or change it with --days and --most. Active alarms stay as long as they
    last.

    \b
    Examples:
      vimha alarms retention
      vimha alarms retention --days 90 --most WARNING=10000 --most MINOR=any
    """
    from vimha.alarms.client.asking import retention as wanted

    changes = wanted(days, most)
    found = client.change_retention(changes) if changes else client.retention()
    if output == "json":
        print_json(found)
        return
    click.echo(f"cleared alarms are kept for {found['retentionPeriod']} days")
    for severity, number in found.get("retentionCounts", {}).items():
        click.echo(f"  of {severity} at most the {number} newest")

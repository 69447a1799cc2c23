"""`vimha alarms list`, `show`, `history` and `catalogue`: the alarms that there are, were, and can be."""

from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from vimha.alarms.words import Severity
from vimha_cli.alarms.options import ALARM_ID, Asking, asks, filtered
from vimha_cli.output import console, format_option, print_json, table

if TYPE_CHECKING:
    from vimha.alarms.client.client import Client, Json

SORTS: Mapping[str, Callable[["Json"], Any]] = {
    "severity": lambda each: -Severity(each["perceivedSeverity"]).rank,
    "raised": lambda each: 0,
    "host": lambda each: each.get("location", {}).get("host", ""),
    "object": lambda each: each["managedObjectId"],
    "type": lambda each: each["faultType"],
}
"""By what alarms are sorted; those that are alike stay in the service's order, the last raised first."""
HISTORY = 100
LIST = 500
"""Alarms that are shown when no limit is given."""

limit_option = click.option("--limit", type=click.IntRange(min=0), help="Not more than so many; 0: all.")


@click.command("list", cls=Asking, short_help="The active alarms, the worst first.")
@filtered
@click.option("--sort", type=click.Choice(list(SORTS)), default="severity", show_default=True)
@limit_option
@format_option
@asks
def list_(*, client: "Client", wanted: str | None, sort: str, limit: int | None, output: str) -> None:
    """The active alarms, the worst first; as a table 500, if no limit says otherwise. Of one option given several times
    any value may match; of several options all.

    \b
    Examples:
      vimha alarms list
      vimha alarms list --severity critical --severity major --no-ack
      vimha alarms list --type control.service --host c1 --sort raised
      vimha alarms list --filter "(gte,perceivedSeverity,MINOR);(cont,faultDetails,fan,disk)" --format json
    """
    found = sorted(client.alarms(wanted), key=SORTS[sort])
    if output == "json":
        print_json({"alarms": found[: limit or None]})
        return
    shown = found[: (LIST if limit is None else limit) or None]
    _print(shown, f"no active alarm{' is like that' if wanted else ': all is well'}", whole=found)


@click.command(cls=Asking, short_help="One alarm: what is known, what it means, what to do.")
@click.argument("alarm_id", metavar="ID", type=ALARM_ID)
@format_option
@asks
def show(client: "Client", alarm_id: str, output: str) -> None:
    """One alarm, active or cleared: all that is known of it, what it means and what to do. The beginning of its id will
    do.

    Example: vimha alarms show 3fa91c07
    """
    from vimha.alarms.catalogue import definitions
    from vimha_cli.alarms import tables

    found = client.find(alarm_id)
    if output == "json":
        print_json(found)
        return
    known = definitions().get(found.get("alarmDefinitionId", ""))
    console().print(tables.alarm(found, known.meaning if known else ""))


@click.command(cls=Asking, short_help="Cleared alarms, the last raised first.")
@click.option("--from", "begin", metavar="TIME", help="Raised then or later: 2h (ago), 3d, 2026-01-31T08:00.")
@click.option("--to", "end", metavar="TIME", help="Raised before then.")
@filtered
@limit_option
@format_option
@asks
def history(
    *, client: "Client", begin: str | None, end: str | None, wanted: str | None, limit: int | None, output: str
) -> None:  # fmt: skip
    """Cleared alarms, the last raised first; the last 100, if no limit says otherwise.

    \b
    Examples:
      vimha alarms history --from 2h
      vimha alarms history --from 2026-01-30 --to 2026-01-31T12:00 --host c1 --limit 0
      vimha alarms history --from 1w --severity critical --format json
    """
    from vimha.alarms.client.asking import moment

    now, most = datetime.now().astimezone(), HISTORY if limit is None else limit
    first, last = (moment(each, now) if each else None for each in (begin, end))
    found = list(islice(client.history(first, last, wanted), most + 1 if most else None))
    shown = found[: most or None]
    if output == "json":
        print_json({"alarms": shown})
    else:
        _print(shown, "no cleared alarm is like that")
    if len(found) > len(shown):
        click.echo(f"there are more than {most}: --limit 0 shows all", err=True)


@click.command(short_help="Every alarm that can be raised.")
@click.argument("begin", metavar="[TYPE]", default="")
@format_option
def catalogue(begin: str, output: str) -> None:
    """Every alarm that can be raised, or those whose type begins with TYPE; asks no service.

    \b
    Examples:
      vimha alarms catalogue
      vimha alarms catalogue control.service
    """
    from dataclasses import asdict

    from vimha.alarms.catalogue import definitions
    from vimha_cli.alarms import tables

    found = [each for each in definitions().values() if each.id.startswith(begin)]
    if output == "json":
        print_json({"definitions": [asdict(each) for each in found]})
        return
    shown = table("")
    for name in ("type", "severity", "object", "cleared"):
        shown.add_column(name)
    shown.add_column("meaning, and what to do", ratio=1)
    for each in found:
        words = tables.text(f"{each.meaning}\n{each.repair}")
        clearing = "by itself" if each.clearing == "AUTOMATIC" else "by hand"
        shown.add_row(each.id, tables.severity(each.severities[0]), tables.text(each.managed_object), clearing, words)
        shown.add_section()
    console().print(shown)


def _print(shown: "list[Json]", none: str, whole: "list[Json] | None" = None) -> None:
    from vimha_cli.alarms import tables

    if not shown:
        click.echo(none)
        return
    out = console()
    out.print(tables.alarms(shown, out.width))
    every = shown if whole is None else whole
    rest = f" ({len(shown)} shown; --limit 0 shows all)" if len(every) > len(shown) else ""
    click.echo(f"\n{tables.count(every)}{rest}")

"""`vimha alarms ack`, `unack`, `clear` and `raise`: what an operator does about alarms."""

import sys
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from vimha.alarms.words import AckState, Severity
from vimha.errors import VimhaError
from vimha_cli.alarms.options import ALARM_ID, Asking, asks
from vimha_cli.output import format_option, print_json

if TYPE_CHECKING:
    from vimha.alarms.client.client import Client, Json

ids_argument = click.argument("alarm_ids", metavar="ID...", nargs=-1, required=True, type=ALARM_ID)


@click.command(cls=Asking)
@ids_argument
@format_option
@asks
def ack(client: "Client", alarm_ids: Sequence[str], output: str) -> None:
    """Acknowledge alarms: somebody takes care of them. The beginnings of their ids will do.

    Example: vimha alarms ack 3fa91c07 b5
    """
    _each(client, alarm_ids, _setting(client, AckState.ACKNOWLEDGED), "acknowledged", output)


@click.command(cls=Asking)
@ids_argument
@format_option
@asks
def unack(client: "Client", alarm_ids: Sequence[str], output: str) -> None:
    """Take acknowledgements back.

    Example: vimha alarms unack 3fa91c07
    """
    _each(client, alarm_ids, _setting(client, AckState.UNACKNOWLEDGED), "unacknowledged", output)


@click.command(cls=Asking, short_help="End alarms by hand.")
@ids_argument
@format_option
@asks
def clear(client: "Client", alarm_ids: Sequence[str], output: str) -> None:
    """End alarms by hand: those that nothing else ends, or whose source is gone.

    Example: vimha alarms clear 3fa91c07
    """
    _each(client, alarm_ids, client.clear, "cleared", output)


def _definitions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from vimha.alarms.catalogue import definitions

    known = [each for each in definitions().values() if each.id.startswith(incomplete)]
    return [CompletionItem(each.id, help=each.meaning) for each in known]


@click.command("raise", cls=Asking, short_help="Report an event by hand, as a test.")
@click.argument("definition", metavar="TYPE", shell_complete=_definitions)
@click.argument("managed_object", metavar="OBJECT")
@click.option(
    "--severity", type=click.Choice([each.value for each in Severity], case_sensitive=False),
    help="Else the usual one of its type; CLEARED ends the alarm.",
)  # fmt: skip
@click.option("--problem", help="What tells it apart from another alarm of the same type and object.")
@click.option("--detail", "details", multiple=True, help="A text for people; several may be given.")
@format_option
@asks
def raise_(
    *, client: "Client", definition: str, managed_object: str, severity: str | None, problem: str | None,
    details: Sequence[str], output: str,
) -> None:  # fmt: skip
    """Report an event by hand, such as a test of the way to a subscriber. TYPE, and the form of OBJECT, are the
    catalogue's.

    \b
    Examples:
      vimha alarms raise compute.host.down host/test-1 --detail "a test, please ignore"
      vimha alarms raise compute.host.down host/test-1 --severity cleared
    """
    from vimha.alarms import times
    from vimha.alarms.client.asking import expression

    said = {
        "id": str(uuid.uuid4()),
        "alarmDefinitionId": definition,
        "managedObjectId": managed_object,
        "perceivedSeverity": severity or _usual(definition),
        "eventTime": times.text(times.now()),
        "specificProblem": problem,
        "faultDetails": list(details),
        "detector": "operator",
    }
    taken = client.report([{name: value for name, value in said.items() if value is not None}])
    wanted = [
        expression("eq", "alarmDefinitionId", [definition]),
        expression("eq", "managedObjectId", [managed_object]),
        expression("eq", "specificProblem", [problem] if problem else []),
    ]
    now = list(client.alarms(";".join(filter(None, wanted))))
    if output == "json":
        print_json({**taken, "alarms": now})
        return
    click.echo("taken in" if taken["notifications"] else "taken in; it changed nothing that subscribers are told")
    for each in now:
        click.echo(f"{each['id']}  {_named(each)}")


def _setting(client: "Client", state: AckState) -> Callable[[str], None]:
    return lambda alarm_id: client.acknowledge(alarm_id, state)


def _usual(definition: str) -> str:
    from vimha.alarms.catalogue import definitions

    if definition not in definitions():
        raise click.UsageError(f"{definition} is not in the catalogue; `vimha alarms catalogue` shows what is")
    return definitions()[definition].severities[0].value


def _each(client: "Client", given: Sequence[str], act: Callable[[str], None], done: str, output: str) -> None:
    """Do it to each alarm, whatever becomes of the others; the exit code is the worst of them."""
    changed: list[str] = []
    failed: list[tuple[str, VimhaError]] = []
    for each in given:
        try:
            alarm = client.find(each)
            act(alarm["id"])
        except VimhaError as error:
            failed.append((each, error))
            if output == "text":
                click.echo(f"vimha: {each}: {error.message}. {error.remedy}".removesuffix(". "), err=True)
        else:
            changed.append(alarm["id"])
            if output == "text":
                click.echo(f"{done} {alarm['id']}  {_named(alarm)}")
    if output == "json":
        print_json({done: changed, "failed": [{"id": each, "error": error.message} for each, error in failed]})
    sys.exit(max((error.exit_code for _, error in failed), default=0))


def _named(alarm: "Json") -> str:
    from vimha_cli.alarms.tables import plain

    return plain(f"{alarm['perceivedSeverity']} {alarm['faultType']} {alarm['managedObjectId']}")

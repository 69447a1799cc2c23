"""`openstack vim alarm list|show|history|acknowledge|unacknowledge|clear`."""

import argparse
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from osc_lib.cli.format_columns import DictColumn, ListColumn
from osc_lib.command import command
from osc_lib.exceptions import CommandError

from vimha.alarms.client.asking import moment, wanted
from vimha.alarms.client.client import Client, Json
from vimha.alarms.words import AckState, FaultDomain, Severity
from vimha.errors import VimhaError
from vimha_cli.alarms.tables import acknowledged, details, graded, plain

SEVERITIES = [each.value for each in Severity if each is not Severity.CLEARED]
Rows = tuple[Sequence[str], Iterable[Sequence[Any]]]


class Asks:
    """A command that asks the alarm service; its errors are messages, without remedies, which name vimha's options."""

    app: Any

    @property
    def service(self) -> Client:
        """The client that plugin.py made."""
        found: Client = self.app.client_manager.vim
        return found

    def run(self, parsed_args: argparse.Namespace) -> Any:
        """As cliff runs a command."""
        try:
            return super().run(parsed_args)  # type: ignore[misc]
        except VimhaError as error:
            raise CommandError(error.message) from error


class ListAlarms(Asks, command.Lister):
    """List the active alarms, the last raised first"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return add_filters(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> Rows:
        return _rows(self.service.alarms(_wanted(parsed_args)))


class ListHistory(Asks, command.Lister):
    """List cleared alarms, the last raised first"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = add_filters(super().get_parser(prog_name))
        parser.add_argument("--from", dest="begin", metavar="<time>", help="Raised then or later: 2h (ago), 2026-01-31")
        parser.add_argument("--to", dest="end", metavar="<time>", help="Raised before then")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Rows:
        now = datetime.now().astimezone()
        begin, end = (moment(each, now) if each else None for each in (parsed_args.begin, parsed_args.end))
        return _rows(self.service.history(begin, end, _wanted(parsed_args)), "alarmClearedTime")


class ShowAlarm(Asks, command.ShowOne):
    """Show an alarm, active or cleared"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("alarm", metavar="<alarm>", help="Its ID, or the beginning of it")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[Any]]:
        return shown(self.service.find(parsed_args.alarm))


class Act(Asks, command.Command):
    """What is done to each of several alarms."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("alarms", metavar="<alarm>", nargs="+", help="IDs, or the beginnings of them")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        failed = []
        for given in parsed_args.alarms:
            try:
                self.act(self.service.find(given)["id"])
            except VimhaError as error:
                failed.append(f"{given}: {error.message}")
        if failed:
            raise CommandError("\n".join(failed))

    def act(self, alarm_id: str) -> None:
        """Do it to one."""
        raise NotImplementedError


class AcknowledgeAlarms(Act):
    """Acknowledge alarms: somebody takes care of them"""

    def act(self, alarm_id: str) -> None:
        self.service.acknowledge(alarm_id, AckState.ACKNOWLEDGED)


class UnacknowledgeAlarms(Act):
    """Take acknowledgements of alarms back"""

    def act(self, alarm_id: str) -> None:
        self.service.acknowledge(alarm_id, AckState.UNACKNOWLEDGED)


class ClearAlarms(Act):
    """End alarms by hand: those that nothing else ends"""

    def act(self, alarm_id: str) -> None:
        self.service.clear(alarm_id)


def add_filters(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """What alarms are asked for."""
    add = parser.add_argument
    add("--severity", action="append", type=str.upper, choices=SEVERITIES, help="Of this severity (repeat for several)")
    add("--type", action="append", metavar="<text>", help="With this in its type (repeat for several)")
    add("--host", action="append", metavar="<name>", help="Of this host (repeat for several)")
    add("--object", action="append", metavar="<text>", help="With this in its managed object (repeat for several)")
    add("--domain", action="append", type=str.upper, choices=list(FaultDomain), help="Of this fault domain")
    add("--acknowledged", action=argparse.BooleanOptionalAction, help="Acknowledged, or not")
    add("--filter", metavar="<filter>", help="A SOL013 filter: (gte,perceivedSeverity,MAJOR)")
    return parser


def shown(record: Json) -> tuple[Sequence[str], Sequence[Any]]:
    """A record of the service's as columns: lists and objects are shown as such."""
    names = [name for name in record if name != "_links"]
    return names, [_cell(record[name]) for name in names]


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return DictColumn(value)
    if isinstance(value, list):
        return ListColumn(value)
    return plain(value) if isinstance(value, str) else value


def _wanted(args: argparse.Namespace) -> str | None:
    return wanted(
        severities=args.severity or (), types=args.type or (), hosts=args.host or (), objects=args.object or (),
        domains=args.domain or (), acknowledged=args.acknowledged, raw=args.filter,
    )  # fmt: skip


def _rows(found: Iterable[Json], *more: str) -> Rows:
    """The alarms as a table; `more` are times that it has beside the usual ones."""
    columns = ["ID", "Severity", "Raised", *("Cleared" for _ in more), "Object", "Type", "Acknowledged", "Details"]
    rows = (
        [
            each["id"], graded(each), each["alarmRaisedTime"], *(each.get(name) for name in more),
            plain(each["managedObjectId"]), each["faultType"], plain(acknowledged(each)), plain(details(each)),
        ]
        for each in found
    )  # fmt: skip
    return columns, rows

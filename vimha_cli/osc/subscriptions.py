"""`openstack vim alarm subscription create|list|delete`."""

import argparse
from collections.abc import Sequence
from typing import Any

from osc_lib.command import command

from vimha.alarms.client.subscribing import subscription
from vimha.alarms.words import FaultDomain
from vimha_cli.alarms.tables import filters, plain
from vimha_cli.osc.alarms import SEVERITIES, Asks, Rows, shown


class CreateSubscription(Asks, command.ShowOne):
    """Have a callback told of alarms; it is tested first"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add = parser.add_argument
        add("callback", metavar="<url>", help="Where notifications are posted; it answers GET with 204")
        add("--min-severity", type=str.upper, choices=SEVERITIES, help="Of this severity, or a worse one")
        add("--severity", action="append", type=str.upper, choices=SEVERITIES, help="Of this severity (repeatable)")
        add("--type", action="append", metavar="<type>", help="Of this type, or `control.*` (repeatable)")
        add("--host", action="append", metavar="<name>", help="Of this host (repeatable)")
        add("--object", action="append", metavar="<id>", help="Of this managed object (repeatable)")
        add("--domain", action="append", type=str.upper, choices=list(FaultDomain), help="Of this fault domain")
        add(
            "--basic", nargs=2, metavar=("<user>", "<file>"),
            help="How the service is to log in there; the file holds the password, mode 0600",
        )  # fmt: skip
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[Any]]:
        given = parsed_args
        values = {
            "severities": given.severity, "types": given.type, "hosts": given.host, "objects": given.object,
            "domains": given.domain,
        }  # fmt: skip
        made, _ = self.service.subscribe(
            subscription(given.callback, values, min_severity=given.min_severity, basic=given.basic)
        )
        return shown(made)


class ListSubscriptions(Asks, command.Lister):
    """List who is told of alarms"""

    def take_action(self, parsed_args: argparse.Namespace) -> Rows:
        found = self.service.subscriptions()
        return ["ID", "Callback", "Is told of"], (
            [each["id"], plain(each["callbackUri"]), plain(filters(each.get("filter")))] for each in found
        )  # fmt: skip


class DeleteSubscriptions(Asks, command.Command):
    """Tell them no more"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("subscriptions", metavar="<subscription>", nargs="+", help="IDs, or the beginnings of them")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        for each in [self.service.find_subscription(given) for given in parsed_args.subscriptions]:
            self.service.unsubscribe(each["id"])

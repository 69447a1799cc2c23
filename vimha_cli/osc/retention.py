"""`openstack vim alarm retention show|set`."""

import argparse
from collections.abc import Sequence
from typing import Any

from osc_lib.command import command

from vimha.alarms.client.asking import retention
from vimha_cli.osc.alarms import Asks, shown


class ShowRetention(Asks, command.ShowOne):
    """Show how long cleared alarms are kept"""

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[Any]]:
        return shown(self.service.retention())


class SetRetention(Asks, command.ShowOne):
    """Change how long cleared alarms are kept"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--days", type=int, metavar="<days>", help="Keep a cleared alarm so many days")
        parser.add_argument(
            "--most", action="append", metavar="<severity>=<n>", default=[],
            help="Keep at most the n newest of that severity; `any`: as many as there are (repeatable)",
        )  # fmt: skip
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[Any]]:
        return shown(self.service.change_retention(retention(parsed_args.days, parsed_args.most)))

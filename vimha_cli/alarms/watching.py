"""`vimha alarms watch`: the active alarms as they come, change and go."""

import json
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Protocol

import click

from vimha.alarms.words import NotificationType, Severity
from vimha_cli.alarms import tables
from vimha_cli.alarms.options import Asking, asks, filtered
from vimha_cli.output import console, format_option

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from vimha.alarms.client.board import Board, Change
    from vimha.alarms.client.client import Client

REFRESH = 4
"""Times a second."""
AROUND = 6
"""Lines of the screen that are not alarms."""


@click.command(cls=Asking)
@filtered
@format_option
@asks
def watch(client: "Client", wanted: str | None, output: str) -> None:
    """Show the active alarms, live, until Ctrl-C. Where there is no terminal: a line for each alarm that is active,
    then one for each notification. It goes on after a restart or a failover of the service.

    \b
    Examples:
      vimha alarms watch
      vimha alarms watch --severity critical --host c1
      vimha alarms watch --format json | jq -c .alarm
    """
    from vimha.alarms.client.board import Board

    board = Board(client, wanted)
    out = console()
    live = sys.stdout.isatty() and not out.is_dumb_terminal
    view: View = Screen(out, client.url) if live and output == "text" else Lines(output == "json")
    with suppress(KeyboardInterrupt), view.opened(board):
        for change in board.changes():
            view.show(change, board)


class View(Protocol):
    """How it is shown."""

    def opened(self, board: "Board") -> AbstractContextManager[object]:
        """What must be closed at the end."""

    def show(self, change: "Change", board: "Board") -> None:
        """One thing that happened; `board` has it already."""


class Lines:
    """For files and pipes: a line for each alarm that is active, then one for each notification; as JSON an object with
    all of `alarms`, and then one for each notification. Troubles are on standard error.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._live = False

    def opened(self, board: "Board") -> AbstractContextManager[object]:
        return nullcontext()

    def show(self, change: "Change", board: "Board") -> None:
        from vimha.alarms.client.board import Renewed
        from vimha.alarms.client.following import Broken, Connected, Told

        match change:
            case Told() if self._as_json:
                _say(json.dumps({"sequence": change.sequence, "kind": change.kind, "alarm": change.body}))
            case Told():
                _say(tables.line(change.kind, change.body))
            case Renewed() if self._as_json:
                _say(json.dumps({"alarms": list(board.alarms.values())}))
            case Renewed():
                for body in reversed(list(board.alarms.values())):
                    _say(tables.line(NotificationType.ALARM, body))
            case Broken() if self._live:
                click.echo(f"vimha: {change.why}; trying again", err=True)
            case Connected() if not self._live:
                click.echo("vimha: connected", err=True)
        self._live = not isinstance(change, Broken)


class Screen:
    """A table of what is active now, the worst first, under a line that says whether it is up to date."""

    def __init__(self, out: "Console", url: str) -> None:
        self._console = out
        self._url = url
        self._state, self._style = "connecting", "yellow"

    def opened(self, board: "Board") -> AbstractContextManager[object]:
        from rich.live import Live

        return Live(
            get_renderable=lambda: self.drawn(board), console=self._console, screen=True, refresh_per_second=REFRESH
        )

    def show(self, change: "Change", board: "Board") -> None:
        from vimha.alarms.client.board import Renewed
        from vimha.alarms.client.following import Broken, Connected

        live = self._style == "green"
        if isinstance(change, Broken) and live:
            self._state, self._style = f"not up to date since {tables.moment(None)}: {change.why}; trying again", "red"
        elif isinstance(change, Connected | Renewed) and not live:
            self._state, self._style = f"live since {tables.moment(None)}", "green"

    def drawn(self, board: "Board") -> "RenderableType":
        """The screen as it is now; asked for by another thread."""
        from rich.console import Group
        from rich.text import Text

        found = sorted(board.alarms.values(), key=lambda each: -Severity(each["perceivedSeverity"]).rank)
        width, height = self._console.size
        room = max((height - AROUND) // (2 if width < tables.NARROW else 1), 1)
        state = Text.assemble((self._url, "bold"), "  ", (tables.plain(self._state), self._style), no_wrap=True)
        hidden = f", of which the first {room} are shown" if len(found) > room else ""
        rows = tables.alarms(found[:room], width, folded=False) if found else Text("no active alarm")
        return Group(state, "", rows, "", Text(f"{tables.count(found)}{hidden}  (Ctrl-C ends)", style="dim"))


def _say(line: str) -> None:
    """A line that whoever reads the pipe gets at once."""
    click.echo(line)
    sys.stdout.flush()

"""The `vimha` command's root: finds each command group's file when it is used, and maps errors to exit codes.

Invariant: a user's mistake ends in one message on standard error and a documented exit code, never in a traceback.
Exit codes: 0 done and clean, 1 findings or a failure, 2 usage or unreadable input, 130 interrupted.
"""

import importlib
import signal
import sys
from io import TextIOWrapper

import click

from vimha import __version__
from vimha.errors import VimhaError

COMMANDS = {
    "init": "vimha_cli.site:init",
    "validate": "vimha_cli.validate:validate",
    "budget": "vimha_cli.site:budget",
    "render": "vimha_cli.render:render",
    "plan": "vimha_cli.cluster:plan",
    "apply": "vimha_cli.cluster:apply",
    "status": "vimha_cli.cluster:status",
    "decide": "vimha_cli.cluster:decide",
    "agents": "vimha_cli.agents:agents",
    "lab": "vimha_cli.lab:lab",
    "drill": "vimha_cli.drill:drill",
    "alarms": "vimha_cli.alarms:alarms",
}
"""Command name -> module:attribute, imported only when used: a start must cost no more than its own command."""


class LazyGroup(click.Group):
    """A click group whose commands are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vimha")
def cli() -> None:
    """High availability for the control plane of an OpenStack VIM.

    \b
    A first look, from nothing to a timed failover:
      vimha init site.yaml          write a commented starter
      vimha validate site.yaml      every finding at once
      vimha budget site.yaml        worst-case outage per fault, as a sum of terms
      vimha drill run node-power-off --site site.yaml --rounds 3

    Exit codes: 0 done and clean, 1 findings or a failure, 2 usage or unreadable input, 130 interrupted.

    Shell completion: eval "$(_VIMHA_COMPLETE=bash_source vimha)"
    """


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; the console script's entry point. SIGTERM ends a command as Ctrl-C does: it undoes first
    what it must (a fault, half a lab).
    """
    signal.signal(signal.SIGTERM, _interrupt)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what others wrote may be more than a terminal can show
    try:
        # Outside of its standalone mode, click returns the code of Context.exit().
        code = cli(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except (click.Abort, KeyboardInterrupt):
        click.echo("vimha: interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except VimhaError as error:
        click.echo(f"vimha: {error.message}", err=True)
        if error.remedy:
            click.echo(f"  {error.remedy}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)


if __name__ == "__main__":
    main()

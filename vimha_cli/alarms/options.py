"""What the commands that ask an alarm service have in common: which service, who asks, what is looked for.

Invariant: no option holds a secret; the options name files (vimha/alarms/client/access.py).
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from vimha.alarms.words import FaultDomain, Severity
from vimha.errors import UsageError, VimhaError

if TYPE_CHECKING:
    from vimha.alarms.client.client import Client

F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(path_type=Path, dir_okay=False)

SERVICE = {
    "url": click.option("--url", envvar="VIMHA_ALARMS_URL", show_envvar=True, help="Where the service is."),
    "ca": click.option(
        "--ca", type=FILE, envvar="VIMHA_ALARMS_CA", show_envvar=True, help="PEM: who signed its certificate."
    ),
    "token_file": click.option(
        "--token-file", type=FILE, envvar="VIMHA_ALARMS_TOKEN_FILE", show_envvar=True,
        help="Holds a token, the service's own or Keystone's; mode 0600.",
    ),
    "user": click.option("--user", envvar="VIMHA_ALARMS_USER", show_envvar=True, help="Who asks, with a password."),
    "password_file": click.option(
        "--password-file", type=FILE, envvar="VIMHA_ALARMS_PASSWORD_FILE", show_envvar=True,
        help="Holds that password; mode 0600.",
    ),
    "certificate": click.option(
        "--certificate", type=FILE, envvar="VIMHA_ALARMS_CERTIFICATE", show_envvar=True,
        help="PEM: the client's certificate.",
    ),
    "key": click.option(
        "--key", type=FILE, envvar="VIMHA_ALARMS_KEY", show_envvar=True, help="PEM: the key of that certificate."
    ),
}  # fmt: skip
"""Names are those of `Access`."""


class Asking(click.Command):
    """A command that asks a service; its help keeps the options that say which one apart from its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shown = [(each.name, record) for each in self.get_params(ctx) if (record := each.get_help_record(ctx))]
        with formatter.section("Options"):
            formatter.write_dl([record for name, record in shown if name not in SERVICE])
        with formatter.section("Which service, and who asks (else from ~/.config/vimha/alarms.yaml)"):
            formatter.write_dl([record for name, record in shown if name in SERVICE])


def asks(command: F) -> F:
    """Give `command` the options of SERVICE, and the parameter `client`."""

    @functools.wraps(command)
    def asking(**given: Any) -> Any:
        with _client({name: given.pop(name) for name in SERVICE}) as client:
            return command(client=client, **given)

    return _with(list(SERVICE.values()), asking)  # type: ignore[return-value]


def filtered(command: F) -> F:
    """Give `command` options of what alarms it is about, and the parameter `wanted`, a SOL013 filter or None."""
    names = ("severities", "types", "hosts", "objects", "domains", "acknowledged", "raw")

    @functools.wraps(command)
    def filtering(**given: Any) -> Any:
        from vimha.alarms.client.asking import wanted

        return command(wanted=wanted(**{name: given.pop(name) for name in names}), **given)

    severities = click.Choice([each.value for each in Severity if each is not Severity.CLEARED], case_sensitive=False)
    domains = click.Choice([each.value for each in FaultDomain], case_sensitive=False)
    options = [
        click.option("--severity", "severities", multiple=True, type=severities, help="Of this severity."),
        click.option("--type", "types", multiple=True, metavar="TEXT", help="With this in its type: control.node"),
        click.option("--host", "hosts", multiple=True, metavar="NAME", help="Of this host."),
        click.option("--object", "objects", multiple=True, metavar="TEXT", help="With this in its object: vm/"),
        click.option("--domain", "domains", multiple=True, type=domains, help="Of this fault domain."),
        click.option("--ack/--no-ack", "acknowledged", default=None, help="Acknowledged, or not."),
        click.option("--filter", "raw", help="A SOL013 filter: (gte,alarmRaisedTime,2026-01-31T00:00:00Z)"),
    ]
    return _with(options, filtering)  # type: ignore[return-value]


class KnownId(click.ParamType[str]):
    """An id of something that the service has, or the beginning of one; a shell completes it by asking."""

    def __init__(self, what: str, known: "Callable[[Client], list[CompletionItem]]") -> None:
        self.name = what
        self._known = known

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            with _client({name: ctx.params.get(name) for name in SERVICE}) as client:
                return [each for each in self._known(client) if each.value.startswith(incomplete)]
        except VimhaError:
            return []


def _alarms(client: "Client") -> list[CompletionItem]:
    known = client.alarms()
    return [CompletionItem(each["id"], help=f"{each['faultType']} {each['managedObjectId']}") for each in known]


def _subscriptions(client: "Client") -> list[CompletionItem]:
    return [CompletionItem(each["id"], help=each["callbackUri"]) for each in client.subscriptions()]


ALARM_ID = KnownId("alarm", _alarms)
SUBSCRIPTION_ID = KnownId("subscription", _subscriptions)


def _client(given: dict[str, Any]) -> "Client":
    try:
        from vimha.alarms.client.access import resolve, user_file
        from vimha.alarms.client.client import Client
    except ModuleNotFoundError as error:
        raise UsageError(f"the alarm commands need {error.name}", "pip install 'vimha[alarms]'") from error
    return Client.open(resolve(given, user_file()))


def _with(options: list[Callable[[Any], Any]], command: Callable[..., Any]) -> Callable[..., Any]:
    """`command` with options, in their order in its help."""
    for option in reversed(options):
        command = option(command)
    return command

"""`vimha alarms subscribe`, `subscriptions` and `unsubscribe`: who is told of alarms."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vimha.alarms.words import FaultDomain, NotificationType, Severity
from vimha_cli.alarms import tables
from vimha_cli.alarms.options import SUBSCRIPTION_ID, Asking, asks
from vimha_cli.output import console, format_option, print_json, table

if TYPE_CHECKING:
    from vimha.alarms.client.client import Client

SEVERITIES = click.Choice([each.value for each in Severity if each is not Severity.CLEARED], case_sensitive=False)


@click.command(cls=Asking, short_help="Have alarms posted to a URL.")
@click.argument("callback", metavar="URL")
@click.option("--min-severity", type=SEVERITIES, help="Of this severity, or a worse one.")
@click.option("--severity", "severities", multiple=True, type=SEVERITIES, help="Of this severity.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Of this type; `control.*` for all that begin so.")
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="Of this host.")
@click.option("--object", "objects", multiple=True, metavar="ID", help="Of this managed object.")
@click.option(
    "--domain", "domains", multiple=True, help="Of this fault domain.",
    type=click.Choice([each.value for each in FaultDomain], case_sensitive=False),
)  # fmt: skip
@click.option(
    "--notification", "kinds", multiple=True, type=click.Choice([each.value for each in NotificationType]),
    help="Only notifications of this type; NodeHealthNotification comes when it is named.",
)  # fmt: skip
@click.option("--basic", "basic", nargs=2, metavar="USER FILE", help="How the service is to log in there; mode 0600.")
@click.option(
    "--oauth2", "oauth2", nargs=3, metavar="TOKEN_URL CLIENT FILE",
    help="The same by OAuth 2.0 client credentials; FILE holds the client's password.",
)  # fmt: skip
@format_option
@asks
def subscribe(
    *, client: "Client", callback: str, min_severity: str | None, basic: tuple[str, str] | None,
    oauth2: tuple[str, str, str] | None, output: str, **values: Sequence[str],
) -> None:  # fmt: skip
    """Have the service POST each notification to URL, which it asks first whether it is there (GET, to be answered by
    204). Of one option given several times any value may match; of several options all.

    \b
    Examples:
      vimha alarms subscribe https://nfvo.example.org/alarms --min-severity major
      vimha alarms subscribe https://vnfm.example.org/fm --type "compute.*" --basic vim /etc/vimha/vnfm.password
    """
    from vimha.alarms.client.subscribing import subscription

    made, new = client.subscribe(subscription(callback, values, min_severity=min_severity, basic=basic, oauth2=oauth2))
    if output == "json":
        print_json(made)
        return
    click.echo(f"{'subscribed' if new else 'subscribed before'}: {made['id']}")


@click.command(cls=Asking)
@format_option
@asks
def subscriptions(client: "Client", output: str) -> None:
    """Who is told of what.

    Example: vimha alarms subscriptions
    """
    found = client.subscriptions()
    if output == "json":
        print_json({"subscriptions": found})
        return
    if not found:
        click.echo("no subscription")
        return
    shown, cut = table(""), tables.shorts([each["id"] for each in found])
    shown.add_column("id", no_wrap=True)
    shown.add_column("callback", overflow="fold")
    shown.add_column("is told of", overflow="fold")
    for each in found:
        wanted = tables.filters(each.get("filter"))
        shown.add_row(cut[each["id"]], tables.text(each["callbackUri"]), tables.text(wanted))
    console().print(shown)


@click.command(cls=Asking)
@click.argument("ids", metavar="ID...", nargs=-1, required=True, type=SUBSCRIPTION_ID)
@format_option
@asks
def unsubscribe(client: "Client", ids: Sequence[str], output: str) -> None:
    """Tell them no more. The beginnings of their ids will do.

    Example: vimha alarms unsubscribe 77d0a2f1
    """
    found = [client.find_subscription(each) for each in ids]
    for each in found:
        client.unsubscribe(each["id"])
        if output == "text":
            click.echo(f"unsubscribed {each['id']}  {tables.plain(each['callbackUri'])}")
    if output == "json":
        print_json({"unsubscribed": [each["id"] for each in found]})

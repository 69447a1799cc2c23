"""`vimha alarms`: the alarm service, and asking it."""

import logging
from pathlib import Path

import click

from vimha_cli.alarms.acting import ack, clear, raise_, unack
from vimha_cli.alarms.keeping import retention
from vimha_cli.alarms.reading import catalogue, history, list_, show
from vimha_cli.alarms.subscribing import subscribe, subscriptions, unsubscribe
from vimha_cli.alarms.watching import watch


class InOrder(click.Group):
    """Its help lists commands as they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=InOrder)
def alarms() -> None:
    """Keep, show and deliver the alarms of the VIM.

    \b
    See what is wrong, take care of it, and tell others:
      vimha alarms watch
      vimha alarms show 3fa91c07
      vimha alarms ack 3fa91c07
      vimha alarms subscribe https://nfvo.example.org/alarms --min-severity major

    Where the service is, and who asks, say options, VIMHA_ALARMS_URL and the like, or ~/.config/vimha/alarms.yaml:

    \b
      url: https://vip.example.org:8780
      ca: /etc/ssl/certs/site-ca.pem
      token_file: ~/.config/vimha/alarms.token
    """


for each in (
    list_, show, watch, history, ack, unack, clear, raise_, subscribe, subscriptions, unsubscribe, retention, catalogue,
):  # fmt: skip
    alarms.add_command(each)


@alarms.command()
@click.option(
    "--config",
    "config_files",
    type=click.Path(path_type=Path),
    multiple=True,
    default=["/etc/vimha/alarms.yaml"],
    show_default=True,
    help="The service's configuration; several files are joined.",
)
@click.option(
    "--check", is_flag=True, help="Only look whether the configuration, and every file that it names, will do."
)
def serve(config_files: tuple[Path, ...], check: bool) -> None:
    """Run the alarm service in the foreground, until SIGTERM.

    \b
    Examples:
      vimha alarms serve --config alarms.yaml
      vimha alarms serve --check --config /etc/vimha/alarms.yaml --config /etc/vimha/alarms.local.yaml
    """
    from vimha.alarms.config import load
    from vimha.alarms.service import server

    settings = load(*config_files)
    if check:
        server.check(settings)
        click.echo("the configuration will do")
        return
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    server.serve(settings)


@alarms.command()
@click.argument("name")
@click.option("--role", type=click.Choice(["reader", "source", "operator"]), default="reader", show_default=True)
@click.option("--password", is_flag=True, help="A password, which is asked for, instead of a random token.")
@click.option("--token-file", type=click.Path(path_type=Path, dir_okay=False), help="Put the token there, mode 0600.")
def entry(name: str, role: str, password: bool, token_file: Path | None) -> None:
    """Print what lets NAME in, for the service's file of users and tokens. Its token, which nobody can find out later,
    goes to a file for NAME, or to standard error.

    \b
    Examples:
      vimha alarms entry pacemaker --role source --token-file pacemaker.token
      vimha alarms entry alice --role operator --password
    """
    from vimha.alarms.service.users import hashed, new_token
    from vimha.files import write_atomic

    if password:
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        click.echo(f'users:\n  {name}: {{role: {role}, password: "{hashed(given)}"}}')
        return
    token, digest = new_token()
    if token_file:
        write_atomic(token_file, f"{token}\n", 0o600)
    else:
        click.echo(f"The token, which is not shown again: {token}", err=True)
    click.echo(f'tokens:\n  {name}: {{role: {role}, token: "{digest}"}}')

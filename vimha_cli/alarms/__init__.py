"""`vimha alarms`: the alarm service, and asking it."""

import logging
from pathlib import Path

import click


@click.group()
def alarms() -> None:
    """Keep, show and deliver the alarms of the VIM.

    \b
    Example:
      vimha alarms serve --config /etc/vimha/alarms.yaml
    """


@alarms.command()
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    default="/etc/vimha/alarms.yaml",
    show_default=True,
    help="The service's configuration.",
)
def serve(config_file: Path) -> None:
    """Run the alarm service in the foreground, until SIGTERM.

    Example: vimha alarms serve --config alarms.yaml
    """
    from vimha.alarms.config import load
    from vimha.alarms.service.server import serve as run

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    run(load(config_file))


@alarms.command()
@click.argument("name")
@click.option("--role", type=click.Choice(["reader", "operator"]), default="reader", show_default=True)
@click.option("--password", is_flag=True, help="A password, which is asked for, instead of a random token.")
def entry(name: str, role: str, password: bool) -> None:
    """Print what lets NAME in, for the service's file of users and tokens; a token is shown once, on standard error.

    Example: vimha alarms entry pacemaker --role operator
    """
    from vimha.alarms.service.users import hashed, new_token

    if password:
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        click.echo(f'users:\n  {name}: {{role: {role}, password: "{hashed(given)}"}}')
        return
    token, digest = new_token()
    click.echo(f"The token, which is not shown again: {token}", err=True)
    click.echo(f'tokens:\n  {name}: {{role: {role}, token: "{digest}"}}')

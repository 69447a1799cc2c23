"""`vimha agents`: install, list and describe the resource and fence agents."""

from dataclasses import asdict
from pathlib import Path

import click

from vimha.render import agents as library
from vimha_cli.output import format_option, print_json


@click.group()
def agents() -> None:
    """Install, list and describe vimha's resource and fence agents.

    \b
    Example:
      vimha agents install            on every control node, as root
      vimha agents describe haproxy   its parameters and timings
    """


@agents.command()
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/"),
    show_default=True,
    help="Folder that stands for the node's root, such as an image's.",
)
@format_option  # fmt: skip
def install(root: Path, output: str) -> None:
    """Install the agents, their runtime and its bytecode; repeat it freely.

    \b
    Example:
      vimha agents install --root /mnt/image
    """
    done = library.install(root)
    if output == "json":
        print_json(asdict(done))
        return
    for path in done.written:
        click.echo(f"written  {path}")
    for path in done.removed:
        click.echo(f"removed  {path}")
    if not (done.written or done.removed):
        click.echo("nothing to do: this version's agents are installed")


@agents.command("list")
@format_option
def list_(output: str) -> None:
    """List the agents.

    \b
    Example:
      vimha agents list --format json
    """
    found = library.agents()
    if output == "json":
        print_json([{"name": agent.full_name, "kind": agent.kind, "short": agent.short} for agent in found])
        return
    width = max(len(agent.full_name) for agent in found)
    for agent in found:
        click.echo(f"{agent.full_name:<{width}}  {agent.short}")


@agents.command()
@click.argument("name")
@format_option
def describe(name: str, output: str) -> None:
    """Describe the agent NAME: what it does, its parameters, its actions' advised timings.

    \b
    Example:
      vimha agents describe ocf:vimha:bond
    """
    agent = library.find(name)
    if output == "json":
        print_json({key: value for key, value in asdict(agent).items() if key != "metadata"})
        return
    click.echo(f"{agent.full_name}: {agent.short}\n\n{agent.long}\n\nParameters:")
    for parameter in agent.parameters:
        value = "required" if parameter.required else f"default {parameter.default or 'empty'}"
        click.echo(f"  {parameter.name:<16} {parameter.short} ({parameter.kind}, {value})")
    click.echo("\nActions:")
    for action in agent.actions:
        timings = [f"timeout {action.timeout_s:g} s"] if action.timeout_s else []
        timings += [f"interval {action.interval_s:g} s"] if action.interval_s else []
        click.echo(f"  {action.name:<16} {', '.join(timings)}")

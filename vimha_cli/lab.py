"""`vimha lab`: real systemd machines with real Corosync and Pacemaker on this host, for drills and for looking."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from vimha.errors import UsageError
from vimha.process import PATH
from vimha_cli.output import format_option, print_json, site_argument

if TYPE_CHECKING:
    from vimha.lab.labs import Lab

DEFAULT = "lab"
name_argument = click.argument("name", default=DEFAULT, metavar="[NAME]")
lab_option = click.option("--lab", "name", default=DEFAULT, show_default=True, metavar="NAME", help="Which lab.")
node_argument = click.argument("node")


@click.group()
def lab() -> None:
    """Boot a site as machines on this host, look into them, take them down again.

    A lab touches nothing of the host's own network, files or services. All commands need root.
    """


@lab.command()
@site_argument
@click.option("--name", default=DEFAULT, show_default=True, help="Several labs stand side by side by name.")
@click.option("--no-apply", is_flag=True, help="Form the cluster, but leave it without the site's resources.")
def up(site_file: Path, name: str, no_apply: bool) -> None:
    """Boot SITE as machines on this host, form their cluster, and apply SITE to it.

    The first lab of a version builds the machines' image (1.5 minutes); after that a lab of three takes seconds.
    On failure or Ctrl-C nothing of it stays.

    \b
    Example:
      vimha lab up examples/site-small.yaml --name demo
    """
    from vimha.lab.labs import Lab
    from vimha.site.loading import load_valid

    made = Lab.up(load_valid(site_file), name, _tell)
    if not no_apply:
        from vimha.drill.session import bring_up

        try:
            bring_up(made, _tell)
        except BaseException:
            made.down()
            raise
    click.echo(f"lab {name} is up: vimha lab status {name}")


@lab.command()
@name_argument
@click.option("--all", "every", is_flag=True, help="All labs on this host, and what any of them left.")
def down(name: str, every: bool) -> None:
    """Take a lab down and remove all that it has on this host.

    \b
    Examples:
      vimha lab down demo
      vimha lab down --all
    """
    from vimha.lab import remains
    from vimha.lab.labs import Lab

    if not every:
        Lab.open(name).down()
        click.echo(f"lab {name} is down")
        return
    for each in remains.names():
        with remains.locked(each):
            remains.teardown(each)
        click.echo(f"lab {each} is down")


@lab.command()
@name_argument
@format_option
def status(name: str, output: str) -> None:
    """Show a lab's machines: power, addresses, the bond's active port, and what is broken on purpose.

    \b
    Example:
      vimha lab status demo --format json | jq '.nodes[] | select(.power | not) | .node'
    """
    from vimha.lab.labs import Lab

    opened = Lab.open(name)
    faults = opened.network.faults
    broken = [f"port {port} of {node} pulled" for node, port in sorted(faults.ports)]
    broken += [f"plane {plane} without power" for plane in sorted(faults.planes)]
    broken += ["partition: " + " | ".join(" ".join(group) for group in faults.groups)] if faults.groups else []
    if output == "json":
        print_json({"name": name, "nodes": [asdict(state) for state in opened.status()], "faults": broken})
        return
    for state in opened.status():
        power = click.style("on ", fg="green") if state.power else click.style("off", fg="red")
        port = f"  active port {state.active_port}" if state.active_port else ""
        click.echo(f"{power}  {state.node:16} {' '.join(state.addresses)}{port}")
    for each in broken:
        click.secho(each, fg="yellow")


@lab.command("list")
@format_option
def list_labs(output: str) -> None:
    """List the labs on this host, and leftovers that the next run will remove."""
    from vimha.lab import remains
    from vimha.lab.labs import Lab

    found: list[dict[str, Any]] = []
    for name in remains.names():
        left = remains.is_leftover(name)
        states = () if left else Lab.open(name).status()
        found.append({"name": name, "leftover": left, "nodes": len(states), "on": sum(each.power for each in states)})
    if output == "json":
        print_json({"labs": found})
        return
    for each in found:
        click.echo(f"{each['name']:12} " + ("left over" if each["leftover"] else f"{each['on']}/{each['nodes']} on"))
    if not found:
        click.echo("no labs")


@lab.command("exec", context_settings={"ignore_unknown_options": True})
@node_argument
@lab_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(node: str, name: str, command: tuple[str, ...]) -> None:
    """Run COMMAND inside a machine, as root; exits with the command's own exit code.

    \b
    Example:
      vimha lab exec control-1 --lab demo -- crm_mon -1
    """
    _become(_open(name), node, command)


@lab.command()
@node_argument
@lab_option
def shell(node: str, name: str) -> None:
    """Open a root shell inside a machine.

    \b
    Example:
      vimha lab shell control-1 --lab demo
    """
    _become(_open(name), node, ("bash", "-l"))


@lab.command()
@node_argument
@lab_option
@click.option("--follow", "-f", is_flag=True, help="Wait for more, until Ctrl-C.")
def console(node: str, name: str, follow: bool) -> None:
    """Show what a machine wrote to its console since the lab came up.

    \b
    Example:
      vimha lab console control-1 --follow
    """
    place = _open(name).machines.places(node).console
    words = ["tail", "--lines=+1", *(["--follow"] if follow else []), str(place)]
    sys.stdout.flush()
    os.execvp(words[0], words)  # noqa: S606


@lab.command()
@click.argument("action", type=click.Choice(["on", "off"]))
@node_argument
@lab_option
def power(action: str, node: str, name: str) -> None:
    """Press a machine's power button (on), or pull its plug (off).

    \b
    Example:
      vimha lab power off control-1
    """
    switch = _open(name).power
    (switch.on if action == "on" else switch.off)(node)


@lab.group()
def image() -> None:
    """The images that the machines run: made once each, kept in /var/cache/vimha-lab."""


@image.command()
@click.option("--clustered", is_flag=True, help="The image of sites with a database or a message queue.")
def build(clustered: bool) -> None:
    """Build the image now, when it is not in the cache.

    \b
    Examples:
      vimha lab image build
      vimha lab image build --clustered
    """
    from vimha.lab.image import ensure

    click.echo(str(ensure(_tell, clustered=clustered).path))


@image.command()
def remove() -> None:
    """Remove every cached image, and what a killed build left."""
    from vimha.lab.image import remove as remove_images

    for each in remove_images():
        click.echo(f"removed {each.path}")


def _open(name: str) -> "Lab":
    from vimha.lab.labs import Lab

    return Lab.open(name)


def _become(opened: "Lab", node: str, command: tuple[str, ...]) -> NoReturn:
    """Replace this process by `command` inside `node`, on our terminal."""
    words = [*opened.machines.enter(node), *command]
    env = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": os.environ.get("TERM", "dumb")}
    try:
        os.execvpe(words[0], words, env)  # noqa: S606
    except FileNotFoundError:
        raise UsageError(f"{words[0]} is not installed", "apt install util-linux") from None


def _tell(line: str) -> None:
    click.echo(line, err=True)

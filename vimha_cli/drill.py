"""`vimha drill`: inject real faults into a lab and time what a client sees."""

import sys
from pathlib import Path

import click

from vimha_cli.output import format_option, print_json


def _say(text: str) -> None:
    click.echo(text, err=True)


@click.group()
def drill() -> None:
    """Inject a real fault, time the outage that a client sees, and judge it against the budget.

    \b
    Example:
      vimha drill list
      vimha drill run node-power-off --site site.yaml --rounds 3 --report drill.html
    """


@drill.command("list")
@format_option
def list_(output: str) -> None:
    """The faults that can be injected, and the budget's class of each.

    Example: vimha drill list
    """
    from vimha.drill.faults import FAULTS

    if output == "json":
        faults = [
            {"name": f.name, "title": f.title, "about": f.about, "fault_class": f.fault_class or None}
            for f in FAULTS.values()
        ]
        print_json({"faults": faults})
        return
    for fault in FAULTS.values():
        click.echo(f"{click.style(fault.name, bold=True)}  ({fault.fault_class or 'own objective'})")
        click.echo(click.wrap_text(fault.about, initial_indent="    ", subsequent_indent="    "))


def _fault_name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    from vimha.drill.faults import FAULTS

    if value not in FAULTS:
        raise click.BadParameter(f"no such fault: {value}. There are: {', '.join(FAULTS)}.", context, parameter)
    return value


@drill.command()
@click.argument("fault", callback=_fault_name)
@click.option("--site", "site_file", required=True, type=click.Path(path_type=Path), help="The site to play on.")
@click.option("--lab", "lab_name", help="A lab that is up; without it one is booted for the drill and taken down.")
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(1, 1000), help="How often.")
@click.option("--dc/--not-dc", "want_dc", default=None, help="The active node must, or must not, be the DC.")
@click.option(
    "--service",
    default="haproxy",
    show_default=True,
    help="Which service is hit: haproxy, one of the site's, database or messaging (the member that writes go to).",
)
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML report to this file.")
@format_option
def run(
    *, fault: str, site_file: Path, lab_name: str | None, rounds: int, want_dc: bool | None, service: str,
    report: Path | None, output: str,
) -> None:  # fmt: skip
    """Run a drill of FAULT. Exit 0: every round passed. Exit 1: one did not, and why is said.

    Example: vimha drill run node-power-off --site site.yaml --rounds 10 --dc --report drill.html
    """
    from vimha.drill import session
    from vimha.site.loading import load_valid

    site = load_valid(site_file)
    order = session.Order(fault, rounds, want_dc, service)
    outcomes, budget = session.play(site, [order], _say, lab_name)
    if report:
        session.write_report(report, outcomes, budget)
    if output == "json":
        print_json(outcomes[0].as_dict())
    else:
        click.echo(session.table(outcomes))
    sys.exit(0 if outcomes[0].verdict == "pass" else 1)


@drill.command()
@click.option("--site", "site_file", required=True, type=click.Path(path_type=Path), help="The site to play on.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML report to this file.")
@format_option
def demo(site_file: Path, report: Path | None, output: str) -> None:
    """Boot a lab, pull the plug on the active node and more, and print the outages beside the budget.

    Example: vimha drill demo --site examples/site-small.yaml --report demo.html
    """
    from vimha.drill import session
    from vimha.site.loading import load_valid

    outcomes, budget = session.play(load_valid(site_file), session.DEMO, _say)
    if report:
        session.write_report(report, outcomes, budget)
    if output == "json":
        print_json({"drills": [outcome.as_dict() for outcome in outcomes]})
    else:
        click.echo(session.table(outcomes))
    sys.exit(0 if all(outcome.verdict == "pass" for outcome in outcomes) else 1)

"""One or several drills from site to verdict: a lab that is up or one of our own, the orders in turn, the summary.

Invariant: a lab that a session booted is taken down by it, whatever happens; a lab that was up stays up.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vimha.cluster import apply, plan, simulate
from vimha.cluster.document import parse_cib
from vimha.cluster.live import ANSWER_S, read_cib
from vimha.cluster.status import status
from vimha.drill.clients import alarm_service, stores
from vimha.drill.faults import FAULTS
from vimha.drill.run import Drill, Tools
from vimha.drill.stage import Stage
from vimha.drill.verdict import Outcome
from vimha.errors import VimhaError
from vimha.files import write_atomic
from vimha.lab.labs import Lab
from vimha.process import run
from vimha.render import render, secrets
from vimha.site.model import Site
from vimha.timing.budget import budget
from vimha.timing.model import Budget
from vimha.timing.solve import solve

IDLE = "S_IDLE"
"""The controller's state in which no transition runs (crmadmin(8)); a fault during one waits for its actions."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """One drill to run: its fault, how often, whether the active node must be the DC, which service is hit."""

    fault: str
    rounds: int = 1
    want_dc: bool | None = None
    service: str = "haproxy"


DEMO = (
    Order("node-power-off", 2, want_dc=True),
    Order("service-kill"),
    Order("port-down"),
    Order("switchover"),
)
"""What the demonstration plays: the fault that matters most, twice, and the quick ones; within 90 s in all."""


@contextmanager
def lab_for(site: Site, name: str | None, say: Say) -> Iterator[Lab]:
    """The lab called `name`, or one booted for `site` with the site applied, taken down at the end."""
    if name:
        yield Lab.open(name)
        return
    lab = Lab.up(site, f"drill{os.getpid()}", say, ephemeral=True)
    try:
        bring_up(lab, say)
        yield lab
    finally:
        lab.down()


def bring_up(lab: Lab, say: Say) -> None:
    """Apply the lab's site to its cluster and wait until all of it runs; VimhaError when it does not."""
    rendered = render.render(lab.site, solve(lab.site), secrets.corosync_authkey(lab.folder))
    runner = lab.runner(next(iter(lab.site.nodes)))
    done = apply.apply(plan.make(lab.site, rendered, runner), runner, [], progress=say)
    say(f"site {lab.site.site} applied: {done.changes} objects, settled in {done.settled_s:.1f} s")


def play(site: Site, orders: Sequence[Order], say: Say, lab_name: str | None = None) -> tuple[list[Outcome], Budget]:
    """Run `orders` on one lab, in turn; what each amounts to, and the budget that they were held against.

    VimhaError when the cluster is not fit to start, or was not healthy again after an order.
    """
    allowed = budget(site, solve(site))
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        say(f"{_load()}: outages measured now will be longer than the cluster's own")
    with lab_for(site, lab_name, say) as lab:
        outcomes = []
        for order in orders:
            stage = Stage(lab, vip_of(lab.site, order.service))
            tools = Tools(partial(health, stage), say)
            drill = Drill(
                stage, FAULTS[order.fault], allowed, tools, service=order.service, stores=stores(lab),
                alarms=alarm_service(lab),
            )  # fmt: skip
            outcomes.append(drill.run(order.rounds, order.want_dc))
    return outcomes, allowed


def vip_of(site: Site, service: str) -> str:
    """The VIP that a drill on `service` is about: its own, or for haproxy the first."""
    return site.vip_of(service) if service in (*site.services, *site.fronted) else next(iter(site.vips))


def health(stage: Stage) -> tuple[str, ...]:
    """What keeps the stage's cluster from a drill: no power, a problem, or something that Pacemaker has yet to do."""
    dark = tuple(f"{node} has no power" for node in stage.nodes() if not stage.machines.power.is_on(node))
    if dark:
        return dark
    runner = stage.machines.runner(stage.nodes()[0])
    try:
        found = status(runner)
        if found.problems:
            return found.problems
        controller = runner(["crmadmin", f"--status={found.dc}"], timeout_s=ANSWER_S).out
        if IDLE not in controller:
            return (f"the DC is at work: {controller.strip()}",)
        planned = simulate.schedule(parse_cib(read_cib(runner).encode(), "the live CIB"), run)
    except VimhaError as error:
        return (error.message,)
    return tuple(f"still to do: {each.kind} {each.resource} on {each.node}" for each in planned.actions)


def write_report(path: Path, outcomes: Sequence[Outcome], allowed: Budget) -> None:
    """Write the HTML report of `outcomes` to `path`."""
    from vimha.drill.report import render

    made = f"{time.strftime('%d %B %Y, %H:%M %Z', time.localtime())}, {_load()}"
    write_atomic(path, render([outcome for outcome in outcomes if outcome.rounds], allowed, made))


def table(outcomes: Sequence[Outcome]) -> str:
    """The summary for people: measured beside budget, a line per drill, and below it why a drill is no pass."""
    head = "fault|rounds|p50|worst|budget typical|budget worst|split brain|lost writes|verdict"
    rows = [tuple(head.split("|"))]
    rows += [
        (
            outcome.fault,
            str(len(outcome.rounds)),
            _seconds(outcome.p50_s),
            _seconds(outcome.worst_s),
            _seconds(outcome.budget_typical_s),
            _seconds(outcome.budget_worst_s),
            "YES" if outcome.split_brain else "none",
            "-" if outcome.lost_writes is None else str(outcome.lost_writes),
            outcome.verdict,
        )
        for outcome in outcomes
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    for outcome in outcomes:
        lines += [f"{outcome.fault}: {problem}" for entry in outcome.rounds for problem in entry.problems]
    return "\n".join(lines)


def _load() -> str:
    """How busy this host is: where everything shares its cores, that is part of every figure."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"

"""The drill itself: round after round, arrange, inject, watch, heal, judge.

Invariant: a fault is injected only into a healthy cluster whose service answers, and whatever happens afterwards
(a failed round, an error, Ctrl-C, another one during that) the fault is undone before anything else. A cluster that
does not become healthy again is said so, and ends the drill.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from vimha.drill import journal
from vimha.drill.alarms import AlarmService
from vimha.drill.assess import Seen, assess, one_line
from vimha.drill.clients import Clients
from vimha.drill.faults import HAPROXY
from vimha.drill.injection import Fault, Injection
from vimha.drill.interrupt import insist
from vimha.drill.journal import Event
from vimha.drill.split_brain import holder_at, holdings
from vimha.drill.stage import Roles, Stage
from vimha.drill.stores import Store
from vimha.drill.verdict import ALARM_S, Limits, Outcome, Round
from vimha.drill.witness import Watch
from vimha.errors import VimhaError
from vimha.lab.cabling import SWITCHES, Cabling
from vimha.site.model import Site
from vimha.timing.model import Budget
from vimha.timing.solve import solve

POLL_S = 0.05
LOOK_S = 0.25
STEADY_S = 1.0
"""A cluster counts as healthy when it has been so for this long: between two transitions it may look idle."""
BASELINE = 25
"""So many unbroken successes of every probe (0.5 s) before a fault: what failed before is not the fault's doing."""
BASELINE_S = 15.0
RECENT = 500
"""So many of a probe's last attempts are looked at while watching: 10 s, far longer than QUIET_S."""
HELP_S = 3.0
"""While a healed cluster is still unhealthy, it is healed again, and failures are forgotten: first after this time,
then after twice that, and so on. Each time Pacemaker drops what it had planned and looks at the services anew: every
3 s, on a host with ten times more work than cores, that went on for as long as the drill waited.
"""
QUIET_S = 1.5
"""Watching ends after so long without a failure, and not before the class's worst case has passed."""
SILENT_S = 1.0
"""A probe that has reported nothing for so long has an attempt under way whose end is not known."""
GIVE_UP_S = 30.0
"""A service that has not returned by then, or by twice its objective, is reported as gone."""
HEALTHY_S = 180.0
"""How long a cluster may take to heal: a boot, a join, every start and a copy of all data, on a slow machine."""
DC_SETTLE_S = 3.0
"""Pacemaker damps elections for 2 s (LOSS_DAMPEN): a DC that dies within that time of its election leaves no winner."""
LOOKED_S = 1.0
"""A monitor's run and the record of its failure, on a busy host."""


@dataclass(frozen=True)
class Tools:
    """What a drill takes from outside: the cluster's problems (none: healthy), progress, the clocks, sleep."""

    health: Callable[[], Sequence[str]]
    say: Callable[[str], object]
    clock: Callable[[], float] = time.monotonic
    epoch: Callable[[], float] = time.time
    sleep: Callable[[float], object] = time.sleep


def notice_s(site: Site, fault: Fault, service: str) -> float:
    """Seconds until Pacemaker has looked at a service that was killed or frozen; 0 for other faults. Where other
    instances mask the fault, nothing else tells that it has had its effect.
    """
    if fault.fault_class not in ("process-crash", "process-hang"):
        return 0.0
    timings = solve(site)
    operations = {HAPROXY: timings.haproxy, "database": timings.database, "messaging": timings.messaging}
    return operations.get(service, timings.api).interval / 1000 + LOOKED_S


def limits(site: Site, budget: Budget, fault: Fault, fault_class: str) -> Limits:
    """What a round of `fault`, being of `fault_class`, is held against."""
    objective_s = site.objective / 1000
    alarm_s = ALARM_S if site.alarms_everywhere else objective_s
    if not fault_class:
        return Limits(fault.objective_s or objective_s, alarm_s=alarm_s)
    entry = budget.named(fault_class)
    return Limits(objective_s, fault_class, entry.typical_s, entry.worst_s, alarm_s)


class Drill:
    """Runs one fault on one stage."""

    def __init__(
        self,
        stage: Stage,
        fault: Fault,
        budget: Budget,
        tools: Tools,
        *,
        service: str = HAPROXY,
        stores: Mapping[str, Store] | None = None,
        alarms: AlarmService | None = None,
    ) -> None:
        self.stage, self.fault, self.budget, self.tools, self.service = stage, fault, budget, tools, service
        self.stores, self.alarms = dict(stores or {}), alarms
        self._settled_at = 0.0

    def run(self, rounds: int, want_dc: bool | None = None) -> Outcome:
        """All rounds. `want_dc`: the active node must be (True), must not be (False) the DC; None: as it comes.

        VimhaError when the cluster is not fit to start a round.
        """
        done: list[Round] = []
        for number in range(1, rounds + 1):
            self._wait_healthy(f"round {number} cannot start")
            roles = self._arrange(want_dc)
            where = "the DC" if roles.dc == roles.active else f"DC is {roles.dc}"
            self.tools.say(f"round {number}/{rounds}: {self.fault.title}: {roles.active} is active, {where}")
            done.append(self._round(number, roles))
            self.tools.say(one_line(done[-1]))
            if not done[-1].healed:
                break
        return Outcome(self.fault.name, self.fault.title, self.stage.site.site, tuple(done))

    def _wait_healthy(self, otherwise: str) -> None:
        deadline = self.tools.clock() + HEALTHY_S
        while found := self.tools.health():
            if self.tools.clock() > deadline:
                raise VimhaError(
                    f"{otherwise}: {'; '.join(found)}", "A drill needs a healthy cluster; see vimha status."
                )
            self.tools.sleep(0.25)

    def _arrange(self, want_dc: bool | None) -> Roles:
        """Bring the DC and the active node together, or apart, and let the last election settle."""
        roles = self.stage.roles()
        if want_dc is not None and (roles.dc == roles.active) is not want_dc:
            self._bring(roles, want_dc)
            self._wait_healthy("the roles could not be arranged")
            roles = self.stage.roles()
            if (roles.dc == roles.active) is not want_dc:
                raise VimhaError(f"the DC is {roles.dc} and {roles.active} is active; they could not be arranged")
        self.tools.sleep(max(0.0, self._settled_at + DC_SETTLE_S - self.tools.clock()))
        return roles

    def _bring(self, roles: Roles, together: bool) -> None:
        full = self.stage.site.full_nodes()
        if together and roles.dc in full:
            self.stage.move_vip(roles.dc)
        elif together:
            self.stage.yield_dc(roles.dc)
            self._settled_at = self.tools.clock()
        else:
            self.stage.move_vip(next(node for node in full if node != roles.active))

    def _round(self, number: int, roles: Roles) -> Round:
        site, machines = self.stage.site, self.stage.machines
        vips = [str(vip.address) for vip in site.vips.values()]
        with ExitStack() as stack:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vimha-drill-")))
            namespaces = {node: machines.netns(node) for node in site.nodes}
            bridges = tuple(Cabling("", site).bridges.values())
            watch = stack.enter_context(Watch(namespaces, vips, machines.netns(SWITCHES), bridges, work / "witness"))
            clients = stack.enter_context(Clients(machines, self.stores, work, self.alarms))
            self._baseline(clients, watch)
            roles = self._aim(roles, clients)
            injection = self.fault.prepare(self.stage, roles, self.service)
            if injection.note:
                self.tools.say(injection.note)
            fault_at, epoch = self.tools.clock(), self.tools.epoch()
            try:
                injection.inject()
                done = self.tools.clock()
                since = self._undo_early(injection, fault_at)
                ended, returned = self._observe(clients, watch, max(since, done), roles)
                injection.heal()
                healed = self._recover(injection)
                audit = clients.settle() if healed else None
                untold = clients.untold(self.fault.expected.alarm, injection.target) if healed else ()
                fenced = healed and self.stage.was_fenced(injection.target, epoch)
                logs = self._logs(fault_at)
                if healed:
                    self.stage.clean_up()
            except BaseException:
                insist(lambda: self._abandon(injection), self.tools.say)
                raise
            tries, sightings = clients.read(), watch.read()
            seen = Seen(
                roles.dc, injection.target, fault_at, since, ended, returned, tries, sightings, logs, audit,
                clients.calls(), untold,
            )  # fmt: skip
        if roles.dc == injection.target:
            self._settled_at = max((e.at for e in logs if e.kind == "dc-elected"), default=self.tools.clock())
        held_to = self._limits(injection.target, roles.dc)
        return assess(number, seen, held_to, self.fault.expected, vips[0], fenced=fenced, healed=healed)

    def _abandon(self, injection: Injection) -> None:
        """Undo the fault of a round that was broken off, and have Pacemaker forget what it has seen of it."""
        injection.heal()
        with suppress(VimhaError):  # the cluster may not be able to answer yet
            self.tools.sleep(notice_s(self.stage.site, self.fault, self.service))
            self.stage.clean_up()

    def _logs(self, since: float) -> tuple[Event, ...]:
        age = self.tools.clock() - since
        able = [node for node in self.stage.nodes() if self.stage.machines.power.is_on(node)]
        return tuple(e for node in able for e in journal.read(self.stage.machines.runner(node), node, since, age))

    def _limits(self, target: str, dc: str) -> Limits:
        return limits(self.stage.site, self.budget, self.fault, self.fault.class_of(target, dc))

    def _aim(self, roles: Roles, clients: Clients) -> Roles:
        """`roles` with the node that has to be hit as the active one: for a clustered service, where writes go to."""
        serving = clients.serving(self.service)
        if serving and serving != roles.active:
            self.tools.say(f"{self.service} is served by {serving}")
        return replace(roles, active=serving or roles.active)

    def _baseline(self, clients: Clients, watch: Watch) -> None:
        """Wait until every probe answers without a break and the witnesses watch; VimhaError when they do not."""
        deadline = self.tools.clock() + BASELINE_S
        while True:
            seen = clients.read()
            watching = any(entry.kind == "ready" for entry in watch.read())
            steady = all(len(entry) >= BASELINE and all(a.ok for a in entry[-BASELINE:]) for entry in seen.values())
            if watching and steady:
                return
            if self.tools.clock() > deadline:
                silent = [name for name, entry in seen.items() if not all(a.ok for a in entry[-BASELINE:])]
                why = next((a.why for a in seen[silent[0]][::-1] if not a.ok), "") if silent else "no attempts"
                raise VimhaError(f"{', '.join(silent)} does not answer before the fault: {why}")
            self.tools.sleep(POLL_S)

    def _undo_early(self, injection: Injection, fault_at: float) -> float:
        """Let a fault that ends by itself end; the moment from which the outage counts."""
        if not self.fault.undone_after_s:
            return fault_at
        self.tools.sleep(max(0.0, fault_at + self.fault.undone_after_s - self.tools.clock()))
        back = self.tools.clock()
        injection.heal()
        return self.tools.clock() if self.fault.staggered else back

    def _observe(self, clients: Clients, watch: Watch, since: float, roles: Roles) -> tuple[float, bool]:
        """Watch until the fault has had its effect, the service has been quiet and the class's worst case has passed,
        or until all hope is gone; the moment of the end, and whether the service was quiet then.
        """
        held_to = self._limits(roles.active, roles.dc)
        noticed_s = notice_s(self.stage.site, self.fault, self.service)
        until = since + max(held_to.budget_worst_s or 0.0, noticed_s, self.fault.watch_s)
        hopeless = since + max(GIVE_UP_S, 2 * held_to.objective_s)
        while True:
            now = self.tools.clock()
            seen = clients.read()
            bad = [a.end for entry in seen.values() for a in entry[-RECENT:] if not a.ok]
            silent = any(
                now - max((a.end for a in entry[-RECENT:]), default=since) > SILENT_S for entry in seen.values()
            )
            quiet = now >= max(until, max(bad, default=since) + QUIET_S) and not silent
            moved = not self.fault.expected.moved or self._holder(watch, now) not in (None, roles.active)
            if (quiet and moved) or now > hopeless:
                return now, quiet
            self.tools.sleep(POLL_S)

    def _holder(self, watch: Watch, now: float) -> str | None:
        return holder_at(holdings(watch.read()), str(self.stage.site.vips[self.stage.vip].address), now)

    def _recover(self, injection: Injection) -> bool:
        """Wait for a healthy cluster after healing; False when it does not come. While it does not, heal again (a
        fencing that was under way may have cut a node's power only after the healing) and forget failures.
        """
        started = self.tools.clock()
        help_at, pause_s = started + HELP_S, HELP_S
        while found := self.tools.health():
            now = self.tools.clock()
            if now > started + HEALTHY_S:
                self.tools.say(f"after {HEALTHY_S:g} s still: {'; '.join(found)}")
                return False
            if now > help_at:
                with suppress(VimhaError):  # the cluster may not be able to answer yet
                    injection.heal()
                    self.stage.forget_failures()
                pause_s *= 2
                help_at = now + pause_s
            self.tools.sleep(LOOK_S)
        return True

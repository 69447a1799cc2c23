"""The least aggressive timings that keep a site's budget under its objective.

Invariant: the same site always gets the same timings, and a smaller objective never gets a slower one. Each knob has
a ladder from calm to hasty; the first step is taken that leaves a fifth of the objective unspent, for what the
formula does not know (loaded hosts, a second attempt of an action); where none does, the last step. The token alone is
not shortened that far for little: a step within a tenth of the shortest possible outage is taken if it meets the
objective. `check` says whether the objective is met. Values that the operator pinned are kept, and only those.

Why the ladders end where they do: each last step is the smallest that still tolerates what a healthy but busy node
does. token: 300 ms leaves corosync 150 ms unscheduled (its pause detection), more than SCHED_RR needs on a host that
is not overcommitted; 150 ms was seen to flap. It never exceeds corosync's own default of 3000. Timeouts: ten times
the measured run time of what they bound. Intervals do not cause false alarms, they cost CPU: a monitor that is answered
by a standing look's verdict takes 1 ms. A verdict may be as old as the interval is long, so that a process stands
still is known two intervals later at worst; its end takes the verdict back at once. Those that a failover waits for are
short, all others as a restart may wait.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from vimha.site.model import Pinned, Site
from vimha.timing import formulas
from vimha.timing.budget import API, HAPROXY, MASKED_API, Shape, crashes, hangs, node_loss, port_loss
from vimha.timing.figures import MONITOR_RUN
from vimha.timing.members import database_hang, messaging_hang
from vimha.timing.model import Checks, Operations, Term, Timings, Wsrep

TOKENS = (3000, 2500, 2000, 1600, 1250, 1000, 800, 650, 500, 400, 300)
"""Steps of about a quarter, in milliseconds: finer differences say nothing about stability."""
MONITORS = (
    (500, 2900), (500, 2400), (500, 1900), (500, 1400), (500, 900), (250, 900), (250, 650), (250, 500), (100, 500),
)  # fmt: skip
"""Interval and timeout of the monitors that a failover waits for."""
CHECKS = ((500, 2000), (500, 1500), (500, 1000), (500, 750), (500, 500), (250, 500), (250, 250), (100, 150))
"""inter and timeout of haproxy's checks."""
BROKERS = ((500, 2000), (500, 1700), (500, 1400), (500, 1000), (500, 750), (500, 500))
"""Interval and timeout of the broker's monitor: nothing but it tells the others that a broker stands still."""
VIP_INTERVAL = 2000
"""A VIP's monitor finds only an address that somebody removed; no failover waits for it."""
PORTS = (250, 125, 50)
"""Interval of the ports monitor where no bond covers a lost port."""
RESERVE = 0.2
"""The share of the objective that the solver leaves unspent where it can."""
LITTLE = 1.1
"""An outage of so many times the shortest possible one is not worth a shorter token: fencing and starts make up most
of a failover, and a jumpy cluster has more of them."""
MASKED_SHARE = 0.1
"""The share of one core that the monitors of masked API instances may take on a node."""
LINK_TIMEOUT = 1000
"""Five lost pings. No failover waits for it: each message goes over both links (link_mode active), so a dead link costs
nothing until it is known; with corosync's own token / 2 a token of 400 ms or less makes healthy links flap
(formulas.knet_flaps)."""
SHORTEST_SUSPICION = 500
"""The shortest evs.suspect_timeout that was tried; five lost keepalives."""
MEMBER_START, MEMBER_STOP = 60_000, 60_000
"""A clustered service's start returns as soon as its member joins; its stop writes to the disk what it holds."""
MEMBER_CHECKS = Checks(inter=170, fastinter=20, downinter=170, timeout=150, fall=2, rise=2)
"""haproxy asks the health endpoints of the clustered services' nodes, which answer within 0.1 s whatever state the
service is in; a change is known within 490 ms even when the endpoint itself hangs (formulas.checks_hang). Two bad
answers count, not one: a single lost packet (a bond that changes its port) would close the sessions of every member."""
PATIENT = 10_000
"""Timeout of monitors that no failover waits for: a busy node may take its time."""


def solve(site: Site) -> Timings:
    """The timings for `site`, in milliseconds; `budget.budget` tells what they cost and `rules.check` judges them."""
    return _solve(Shape.of(site), len(site.services), site.timings, site.objective / 1000)


def hastiest(site: Site) -> Timings:
    """Every ladder's last step, nothing pinned: an objective below what these cost cannot be met."""
    return _solve(Shape.of(site), len(site.services), Pinned(), 0.0)


def _solve(shape: Shape, services: int, pinned: Pinned, objective_s: float) -> Timings:
    target_s = objective_s * (1 - RESERVE)
    timings = _calmest(shape, services, pinned)
    if not shape.bonded:
        timings = _first_fit(
            (_with_ports(timings, interval) for interval in _steps(PORTS, pinned.monitor_interval)),
            lambda each: _worst(port_loss(shape, each)) <= target_s,
        )
    timings = _first_fit(
        (_with_checks(timings, pinned, inter, timeout) for inter, timeout in CHECKS),
        lambda each: _components_fit(shape, each, target_s, masked=True),
    )
    timings = _first_fit(
        (_with_monitors(timings, shape, pinned, interval, timeout) for interval, timeout in MONITORS),
        lambda each: _components_fit(shape, each, target_s, masked=False),
    )
    timings = _first_fit(
        (replace(timings, messaging=Operations(*each, MEMBER_START, MEMBER_STOP)) for each in BROKERS),
        lambda each: not shape.messaging or _worst(messaging_hang(each)) <= target_s,
    )
    tokens = [_with_token(timings, shape, pinned, token) for token in _steps(TOKENS, pinned.token)]
    shortest_s = _worst(node_loss(shape, tokens[-1]))
    enough_s = max(target_s, min(objective_s, shortest_s * LITTLE))
    return _first_fit(
        tokens,
        lambda each: (
            _worst(node_loss(shape, each)) <= enough_s
            and (not shape.database or _worst(database_hang(each)) <= target_s)
        ),
    )


def _first_fit(candidates: Iterable[Timings], fits: Callable[[Timings], bool]) -> Timings:
    """The first candidate that fits, or the last one."""
    chosen = None
    for chosen in candidates:
        if fits(chosen):
            break
    assert chosen is not None  # noqa: S101 (a ladder is never empty)
    return chosen


def _steps(ladder: Sequence[int], pinned: int | None) -> Sequence[int]:
    return ladder if pinned is None else (pinned,)


def _worst(terms: Iterable[Term]) -> float:
    return round(sum(term.worst_s for term in terms), 3)


def _components_fit(shape: Shape, timings: Timings, target_s: float, *, masked: bool) -> bool:
    """Whether what haproxy's checks cover (`masked`), or what Pacemaker restarts, comes back in time."""
    wanted = (MASKED_API,) if masked else (HAPROXY, API)
    found = [*crashes(shape, timings).items(), *hangs(shape, timings).items()]
    return all(_worst(terms) <= target_s for name, terms in found if name in wanted)


def _calmest(shape: Shape, services: int, pinned: Pinned) -> Timings:
    """Every ladder's first step, and what no ladder decides.

    Pacemaker's own timeouts of starts and stops bound a second fault, not a failover; they follow what the agents'
    metadata advises. failure-timeout must exceed the longest of them, or Pacemaker ignores it.
    dc-deadtime only matters as a whole cluster starts: 20 s by default, most of a full start's time.
    """
    masked = max(2000, round(services * MONITOR_RUN.typical / MASKED_SHARE))
    blank = Checks(inter=0, fastinter=0, downinter=0, timeout=0, fall=2, rise=2)
    token = _steps(TOKENS, pinned.token)[0]
    timings = Timings(
        token=token,
        token_coefficient=0,
        consensus=0,
        link_ping=formulas.KNET_TICK,
        link_timeout=LINK_TIMEOUT,
        vip=Operations(pinned.monitor_interval or VIP_INTERVAL, pinned.monitor_timeout or PATIENT, 20_000, 20_000),
        haproxy=Operations(MONITORS[0][0], PATIENT, 20_000, 20_000),
        api=Operations(pinned.monitor_interval or masked, pinned.monitor_timeout or PATIENT, 60_000, 30_000),
        ports=Operations(pinned.monitor_interval or 2000, pinned.monitor_timeout or PATIENT, 20_000, 20_000),
        database=Operations(2000, 2000, MEMBER_START, MEMBER_STOP),
        messaging=Operations(*BROKERS[0], MEMBER_START, MEMBER_STOP),
        health=Operations(2000, 2000, 20_000, 20_000),
        checks=blank,
        members=MEMBER_CHECKS,
        wsrep=_wsrep(token),
        fence_off=formulas.whole_seconds(shape.off_worst) + 1000,
        failure_timeout=2 * max(MEMBER_START, MEMBER_STOP),
        dc_deadtime=2000,
    )
    timings = _with_token(timings, shape, pinned, token)
    timings = _with_checks(timings, pinned, *CHECKS[0])
    return _with_monitors(timings, shape, pinned, *MONITORS[0])


def _with_ports(timings: Timings, interval: int) -> Timings:
    return replace(timings, ports=replace(timings.ports, interval=interval))


def _with_checks(timings: Timings, pinned: Pinned, inter: int, timeout: int) -> Timings:
    inter = pinned.haproxy_inter or inter
    fastinter = max(50, inter // 5)
    checks = replace(timings.checks, inter=inter, fastinter=fastinter, downinter=inter, timeout=timeout)
    return replace(timings, checks=checks)


def _with_monitors(timings: Timings, shape: Shape, pinned: Pinned, interval: int, timeout: int) -> Timings:
    """The monitors that a failover waits for."""
    interval, timeout = pinned.monitor_interval or interval, pinned.monitor_timeout or timeout
    awaited = replace(timings.haproxy, interval=interval, monitor_timeout=timeout)
    if not shape.active_standby:
        return replace(timings, haproxy=awaited)
    api = replace(timings.api, interval=interval, monitor_timeout=timeout)
    return replace(timings, haproxy=awaited, api=api)


def _with_token(timings: Timings, shape: Shape, pinned: Pinned, token: int) -> Timings:
    coefficient = pinned.token_coefficient or 0
    effective = formulas.token_effective(token, coefficient, shape.nodes)
    consensus = pinned.consensus or formulas.consensus_default(effective)
    return replace(
        timings, token=token, token_coefficient=coefficient, consensus=consensus, wsrep=_wsrep(effective)
    )  # fmt: skip


def _wsrep(token_eff: int) -> Wsrep:
    """Galera suspects a silent member about as soon as corosync suspects its node, so that neither waits for the other;
    the other options keep the proportions that were measured at 500 ms (0.52-0.73 s without writes after a kill).
    """
    suspect = max(SHORTEST_SUSPICION, token_eff)
    return Wsrep(
        keepalive=suspect // 5, check=suspect // 10, suspect=suspect, inactive=3 * suspect, install=3 * suspect,
        join_retrans=2 * suspect // 5,
    )  # fmt: skip

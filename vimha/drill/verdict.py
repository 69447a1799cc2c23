"""The verdict of a drill: what was measured, what was allowed, and every reason why it is not a pass.

Invariant: a round passes only when its outage is within both the budget's worst case and the objective, no VIP had
two holders, the fault had the effect that it must have (fencing, a move), the probes were awake, and the cluster was
healthy again afterwards. Beating the budget's worst case is what validates the formula; missing it refutes it.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vimha.drill.alarms import Call
from vimha.drill.journal import Event
from vimha.drill.outage import Attempt, Window
from vimha.drill.split_brain import Holding
from vimha.drill.timeline import Phase

ALARM_S = 1.0
"""A subscriber is told of an event within this time of Pacemaker's (B2)."""
STALL_S = 0.25
"""A probe that slept longer than this (12 attempts) has not watched: the round's figure is not to be believed."""

LOST_WRITES = (
    "not measurable here: the site has neither a database nor messaging, so there is no replicated write to lose"
)
"""Why the `lost_writes` of a round whose cluster became healthy again is null."""


@dataclass(frozen=True)
class Limits:
    """What a round is held against, in seconds. `budget_*` are None for a fault that has no class in the budget."""

    objective_s: float
    fault_class: str = ""
    budget_typical_s: float | None = None
    budget_worst_s: float | None = None
    alarm_s: float = ALARM_S


@dataclass(frozen=True)
class Expectation:
    """What a fault must lead to; None: either is right. `alarm`: the begin of what a subscriber must be told of the
    node that is hit, where the site has an alarm service.
    """

    fenced: bool | None = None
    moved: bool | None = None
    alarm: str = ""


@dataclass(frozen=True)
class Round:
    """One round of a drill, as measured. `fault_at`, `ended_at` (the watching's end, before healing), `outage`,
    `probes`, `holdings` and `events` carry monotonic seconds; for a fault that ends by itself, `outage_s` counts from
    its end. `outages` and `heal_outages` (while healing) have the longest one of every probe, `books` what the audit
    of the stores found. `calls` is what the alarm service's subscriber was told (None: there is no such service),
    `told` the one of them that was expected, `untold` what it was not.
    """

    number: int
    target: str
    dc: str
    fault_at: float
    limits: Limits
    outage_s: float
    unavailable_s: float
    windows: int
    returned: bool
    split_brain: tuple[str, ...]
    fenced: bool
    moved: bool
    healed: bool
    heal_outage_s: float
    stall_s: float
    lost_writes: int | None = None
    books: tuple[str, ...] = ()
    outages: tuple[tuple[str, float], ...] = ()
    heal_outages: tuple[tuple[str, float], ...] = ()
    outage: Window | None = None
    ended_at: float = 0.0
    probes: tuple[tuple[str, tuple[Attempt, ...]], ...] = ()
    holdings: tuple[Holding, ...] = ()
    events: tuple[Event, ...] = ()
    phases: tuple[Phase, ...] = ()
    problems: tuple[str, ...] = ()
    calls: tuple[Call, ...] | None = None
    told: Call | None = None
    untold: tuple[str, ...] = ()


def overruns(seen: Round) -> tuple[str, ...]:
    """What took the round `seen` longer than it may, in words for the operator; the figures of a busy host."""
    found = []
    limits = seen.limits
    if limits.budget_worst_s is not None and seen.outage_s > limits.budget_worst_s:
        found.append(
            f"outage {seen.outage_s:.2f} s exceeds the budget's worst case of {limits.budget_worst_s:.2f} s "
            f"for {limits.fault_class}"
        )
    if seen.outage_s > limits.objective_s:
        found.append(f"outage {seen.outage_s:.2f} s exceeds the objective of {limits.objective_s:g} s")
    if seen.heal_outage_s > limits.objective_s:
        probe = max(seen.heal_outages, key=lambda entry: entry[1], default=("the service", 0.0))[0]
        found.append(f"healing interrupted {probe} for {seen.heal_outage_s:.2f} s, over the objective")
    if seen.told and seen.told.lag_s > limits.alarm_s:
        told = f"{seen.told.definition} was told {seen.told.lag_s:.2f} s after Pacemaker's event"
        found.append(f"{told}, over {limits.alarm_s:g} s")
    if seen.stall_s > STALL_S:
        found.append(f"the probe itself stalled for {seen.stall_s:.2f} s: this machine is too busy to measure")
    return tuple(found)


def misbehaviour(seen: Round, expected: Expectation) -> tuple[str, ...]:
    """What the cluster did in the round `seen` that it may never do, however slow its host is."""
    found = []
    if not seen.returned:
        found.append(f"the service had not returned {seen.outage_s:.2f} s after the fault")
    found += [f"split brain: {evidence}" for evidence in seen.split_brain]
    if expected.fenced is not None and seen.fenced != expected.fenced:
        found.append(f"{seen.target} was {'' if seen.fenced else 'not '}fenced")
    if expected.moved is not None and seen.moved != expected.moved:
        found.append(f"the VIP {'left' if seen.moved else 'stayed on'} {seen.target}")
    if seen.lost_writes:
        found.append(f"{seen.lost_writes} acknowledged writes cannot be read back")
    found += seen.books
    if expected.alarm and seen.calls is not None and seen.told is None:
        found.append(f"the subscriber was not told of {expected.alarm.rstrip('.')} on {seen.target}")
    found += seen.untold
    if not seen.healed:
        found.append("the cluster did not become healthy again after the round")
    return tuple(found)


def problems(seen: Round, expected: Expectation) -> tuple[str, ...]:
    """Every reason why the round `seen` is not a pass."""
    return misbehaviour(seen, expected) + overruns(seen)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all `values` do not exceed (nearest rank); 0 when there is none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


@dataclass(frozen=True)
class Outcome:
    """A whole drill: its rounds and what they amount to."""

    fault: str
    title: str
    site: str
    rounds: tuple[Round, ...]
    note: str = ""

    @property
    def verdict(self) -> str:
        """`pass` when there are rounds and none has a problem, else `fail`."""
        return "pass" if self.rounds and not any(entry.problems for entry in self.rounds) else "fail"

    @property
    def outages(self) -> tuple[float, ...]:
        return tuple(entry.outage_s for entry in self.rounds)

    @property
    def p50_s(self) -> float:
        return statistics.median(self.outages) if self.outages else 0.0

    @property
    def p95_s(self) -> float:
        return percentile(self.outages, 0.95)

    @property
    def worst_s(self) -> float:
        return max(self.outages, default=0.0)

    @property
    def budget_worst_s(self) -> float | None:
        """The largest worst case among the rounds' classes (a node with and without the DC are two)."""
        return max((e.limits.budget_worst_s for e in self.rounds if e.limits.budget_worst_s is not None), default=None)

    @property
    def budget_typical_s(self) -> float | None:
        found = (e.limits.budget_typical_s for e in self.rounds if e.limits.budget_typical_s is not None)
        return max(found, default=None)

    @property
    def objective_s(self) -> float:
        return max((entry.limits.objective_s for entry in self.rounds), default=0.0)

    @property
    def split_brain(self) -> bool:
        return any(entry.split_brain for entry in self.rounds)

    @property
    def alarms(self) -> bool:
        """Whether a subscriber to alarms listened."""
        return any(entry.calls is not None for entry in self.rounds)

    @property
    def lost_writes(self) -> int | None:
        """Acknowledged writes lost in all rounds that were audited; None when none was."""
        audited = [entry.lost_writes for entry in self.rounds if entry.lost_writes is not None]
        return sum(audited) if audited else None

    def as_dict(self) -> dict[str, Any]:
        """The stable JSON shape of `vimha drill run --format json`; keys are only ever added."""
        return {
            "fault": self.fault,
            "verdict": self.verdict,
            "p50_s": round(self.p50_s, 3),
            "worst_s": round(self.worst_s, 3),
            "budget_worst_s": self.budget_worst_s,
            "rounds": [_round_as_dict(entry) for entry in self.rounds],
            "p95_s": round(self.p95_s, 3),
            "objective_s": self.objective_s,
            "site": self.site,
        }


def _round_as_dict(entry: Round) -> dict[str, Any]:
    return {
        "outage_s": round(entry.outage_s, 3),
        "split_brain": bool(entry.split_brain),
        "fenced": entry.fenced,
        "lost_writes": entry.lost_writes,
        "target": entry.target,
        "dc": entry.dc == entry.target,
        "fault_class": entry.limits.fault_class or None,
        "budget_worst_s": entry.limits.budget_worst_s,
        "unavailable_s": round(entry.unavailable_s, 3),
        "heal_outage_s": round(entry.heal_outage_s, 3),
        "phases": [{"name": phase.name, "s": round(phase.length_s, 3)} for phase in entry.phases],
        "problems": list(entry.problems),
        "outages": {name: round(length_s, 3) for name, length_s in entry.outages},
        "heal_outages": {name: round(length_s, 3) for name, length_s in entry.heal_outages},
        "alarms": None
        if entry.calls is None
        else [
            {
                "alarm": c.definition,
                "about": c.about,
                "host": c.host,
                "severity": c.severity,
                "after_fault_s": round(c.at - entry.fault_at, 3),
                "after_event_s": round(c.lag_s, 3),
            }
            for c in entry.calls
            if c.definition and c.at >= entry.fault_at
        ],
    }

"""What the timing room computes, as data: the timings of a site, and its budget.

Invariant: timings are integer milliseconds, budgets are seconds; a class's typical and worst case are the sums of its
terms', so that a reader can check every figure by hand.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Operations:
    """One resource's operations, in milliseconds. Pacemaker measures `interval` from the last monitor's end."""

    interval: int
    monitor_timeout: int
    start_timeout: int
    stop_timeout: int


@dataclass(frozen=True)
class Checks:
    """haproxy's health checks of a backend, in milliseconds and counts (haproxy configuration manual, 5.2)."""

    inter: int
    fastinter: int
    downinter: int
    timeout: int
    fall: int
    rise: int


@dataclass(frozen=True)
class Wsrep:
    """Galera's group communication, in milliseconds: the evs.* options of the same names (Galera documentation,
    wsrep_provider_options).
    """

    keepalive: int
    check: int
    suspect: int
    inactive: int
    install: int
    join_retrans: int


@dataclass(frozen=True)
class Timings:
    """Every timing that vimha writes into an artefact, in milliseconds.

    token, token_coefficient, consensus: corosync.conf(5). link_ping, link_timeout: knet_ping_interval and
    knet_ping_timeout of each of corosync's links. dc_deadtime, failure_timeout: Pacemaker properties.
    fence_off: the fence device's off operation, from request to verified off. members: haproxy's checks of the
    clustered services' members, at their nodes' health endpoints, whose own operations are `health`.
    """

    token: int
    token_coefficient: int
    consensus: int
    link_ping: int
    link_timeout: int
    vip: Operations
    haproxy: Operations
    api: Operations
    ports: Operations
    database: Operations
    messaging: Operations
    health: Operations
    checks: Checks
    members: Checks
    wsrep: Wsrep
    fence_off: int
    failure_timeout: int
    dc_deadtime: int


@dataclass(frozen=True)
class Term:
    """One named part of an outage, in seconds. `source` says where the figure comes from; `measured` is False where
    it is an estimate that no drill or benchmark of this project has measured yet. `knob` is the key of site.yaml that
    decides the term, empty where none does.
    """

    name: str
    typical_s: float
    worst_s: float
    source: str
    measured: bool = True
    knob: str = ""


@dataclass(frozen=True)
class FaultClass:
    """A kind of fault and what it costs a client: the sum of `terms`."""

    name: str
    title: str
    terms: tuple[Term, ...]

    @property
    def typical_s(self) -> float:
        return round(sum(term.typical_s for term in self.terms), 3)

    @property
    def worst_s(self) -> float:
        return round(sum(term.worst_s for term in self.terms), 3)

    @property
    def dominating(self) -> Term:
        """The term that costs most at worst."""
        return max(self.terms, key=lambda term: term.worst_s)


@dataclass(frozen=True)
class Margin:
    """How much false alarm a timing tolerates: a disturbance shorter than `tolerates_ms` is not taken for a fault."""

    name: str
    tolerates_ms: int
    why: str


@dataclass(frozen=True)
class Budget:
    """The whole site's budget: each fault class against the objective."""

    objective_s: float
    classes: tuple[FaultClass, ...]

    @property
    def verdict(self) -> str:
        """`pass` when every class's worst case is within the objective, else `fail`."""
        return "pass" if all(entry.worst_s <= self.objective_s for entry in self.classes) else "fail"

    def named(self, name: str) -> FaultClass:
        """The class called `name`; KeyError when there is none."""
        return {entry.name: entry for entry in self.classes}[name]

    def as_dict(self) -> dict[str, Any]:
        """The stable JSON shape of `vimha budget --format json`."""
        return {
            "objective_s": self.objective_s,
            "verdict": self.verdict,
            "classes": [
                {
                    "name": entry.name,
                    "typical_s": entry.typical_s,
                    "worst_s": entry.worst_s,
                    "terms": [
                        {
                            "name": term.name,
                            "typical_s": term.typical_s,
                            "worst_s": term.worst_s,
                            "source": term.source,
                        }
                        for term in entry.terms
                    ],
                }
                for entry in self.classes
            ],
        }

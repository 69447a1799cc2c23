"""What the CIB contains, as data that the template only has to spell.

Invariant: resources are called by names from site.yaml, joined by dashes; every other id has a dot, which no such name
has, so that only resources can clash. A resource's operations and parameters are whole, so that nothing
depends on a default of Pacemaker or of an agent that may differ between versions.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Op:
    """An operation, in milliseconds. `on_fail` empty: Pacemaker's own (stop: fence, else restart). `level`: OCF's check
    level, how thorough a monitor is.
    """

    name: Literal["start", "stop", "monitor"]
    timeout: int
    interval: int = 0
    on_fail: Literal["", "ignore"] = ""
    level: int = 0


@dataclass(frozen=True)
class Primitive:
    """A resource: an agent as `standard:provider:type` (`stonith:type`), its parameters and operations.

    `by_node`: parameters that a node has otherwise, by node. `utilization`: what it takes of its node's capacity.
    """

    id: str
    agent: str
    params: dict[str, str]
    ops: tuple[Op, ...]
    by_node: dict[str, dict[str, str]] = field(default_factory=dict)
    utilization: dict[str, str] = field(default_factory=dict)

    @property
    def standard(self) -> str:
        return self.agent.split(":")[0]

    @property
    def provider(self) -> str:
        """Empty for fence devices, which have none."""
        return self.agent.split(":")[1] if self.agent.count(":") == 2 else ""

    @property
    def type(self) -> str:
        return self.agent.split(":")[-1]


@dataclass(frozen=True)
class Group:
    """Resources on one node, started in order and stopped in reverse."""

    id: str
    members: tuple[Primitive, ...]


@dataclass(frozen=True)
class Clone:
    """The same resource on `instances` nodes at once."""

    id: str
    child: Primitive
    instances: int


@dataclass(frozen=True)
class Needs:
    """`resource` runs only where the node attribute `attribute` is at least 1."""

    id: str
    resource: str
    attribute: str


@dataclass(frozen=True)
class Called:
    """`resource` prefers, by `score`, nodes whose attribute `attribute` is 1."""

    id: str
    resource: str
    attribute: str
    score: str


@dataclass(frozen=True)
class Location:
    """`resource` has `score` on `node`."""

    id: str
    resource: str
    node: str
    score: str


@dataclass(frozen=True)
class Nowhere:
    """None of `resources` runs, or is even looked for, on `node`."""

    id: str
    resources: tuple[str, ...]
    node: str


@dataclass(frozen=True)
class Colocation:
    """`resource` runs where `anchor` does; unless `influence`, its own failures never move the anchor."""

    id: str
    resource: str
    anchor: str
    influence: bool = True


@dataclass(frozen=True)
class Order:
    """When both are to be done in one transition, each of `first` starts before each of `then`; and, if `both_ways`,
    stops after it.
    """

    id: str
    first: tuple[str, ...]
    then: tuple[str, ...]
    both_ways: bool = True


@dataclass(frozen=True)
class Level:
    """The device that fences `target`."""

    id: str
    target: str
    device: str


@dataclass(frozen=True)
class Alert:
    """A program that Pacemaker runs on every node for events of these `kinds` (nodes, fencing, resources), and for
    changes of these node attributes.
    """

    id: str
    path: str
    kinds: tuple[str, ...]
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cib:
    """A whole configuration. `nodes` are (corosync's nodeid, name); `capacity`: what resources can take of each."""

    nodes: tuple[tuple[int, str], ...]
    capacity: dict[str, dict[str, str]]
    properties: dict[str, str]
    defaults: dict[str, str]
    fencing: tuple[Primitive, ...]
    resources: tuple[Primitive | Group | Clone, ...]
    needs: tuple[Needs, ...]
    called: tuple[Called, ...]
    locations: tuple[Location, ...]
    nowhere: tuple[Nowhere, ...]
    colocations: tuple[Colocation, ...]
    orders: tuple[Order, ...]
    levels: tuple[Level, ...]
    alerts: tuple[Alert, ...] = ()

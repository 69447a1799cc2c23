"""What an alarm is, what a source says of a fault, and what subscribers are told.

Invariant: all are frozen; a change makes a new one. Times are microseconds since 1970, UTC (times.py).
"""

import hashlib
from dataclasses import dataclass, field

from vimha.alarms.words import AckState, ClearingType, EventType, FaultDomain, ProbableCause, ResourceType, Severity


@dataclass(frozen=True, slots=True)
class Location:
    """Where the faulty thing is, as far as it is known; empty: not known (row B4)."""

    site: str = ""
    zone: str = ""
    rack: str = ""
    host: str = ""
    slot: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """One entry of the catalogue: what an alarm of this kind is, wherever it is raised."""

    id: str
    fault_type: str
    event_type: EventType
    probable_cause: ProbableCause
    severities: tuple[Severity, ...]
    """Those it may have, the usual one first."""
    managed_object: str
    """The pattern of its managed objects' identifiers, such as `service/<resource>[/<node>]`."""
    resource_type: ResourceType
    fault_domain: FaultDomain
    service_affecting: bool
    clearing: ClearingType
    meaning: str
    repair: str
    """What an operator does about it (X.733's proposed repair action)."""
    external: bool = False
    """Only monitors outside of vimha raise it."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a source observed. `id` makes its repetition harmless; severity CLEARED ends the alarm."""

    id: str
    definition: Definition
    managed_object: str
    severity: Severity
    event_us: int
    specific_problem: str = ""
    location: Location = field(default_factory=Location)
    details: tuple[str, ...] = ()
    detector: str = ""
    correlated: tuple[str, ...] = ()
    root_cause: bool = False

    @property
    def key(self) -> str:
        return key(self.definition, self.managed_object, self.specific_problem)


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm as subscribers see it. `id` is never used again; `events` counts what was observed of it."""

    id: str
    definition: Definition
    managed_object: str
    severity: Severity
    event_us: int
    raised_us: int
    specific_problem: str = ""
    location: Location = field(default_factory=Location)
    details: tuple[str, ...] = ()
    detector: str = ""
    correlated: tuple[str, ...] = ()
    root_cause: bool = False
    changed_us: int | None = None
    cleared_us: int | None = None
    acknowledged_us: int | None = None
    ack: AckState = AckState.UNACKNOWLEDGED
    acknowledged_by: str = ""
    events: int = 1
    flapping: bool = False
    cleared_from: Severity | None = None
    """Of a cleared one: its severity until then."""

    @property
    def key(self) -> str:
        return key(self.definition, self.managed_object, self.specific_problem)

    @property
    def active(self) -> bool:
        return self.severity is not Severity.CLEARED


def key(definition: Definition, managed_object: str, specific_problem: str) -> str:
    """What makes two reports the same alarm (X.733, 8.1.2.3, on clearing): the managed object, the event type, the
    probable cause and the specific problem; as 32 hexadecimal digits.
    """
    words = (managed_object, definition.event_type, definition.probable_cause, specific_problem or definition.id)
    return hashlib.blake2b("\0".join(words).encode(), digest_size=16).hexdigest()

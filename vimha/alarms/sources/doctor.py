"""OPNFV Doctor's event shape: `{"event": {"time", "type", "details": {"hostname", "status", ...}}}`.

Invariant: the same report is the same event: its id is the monitor's own when it has one, else made of what it says.

A type that is no entry of the catalogue is `external.reported`, with the type as its specific problem. A time without
a zone, as Doctor's own monitors send it, is UTC.
"""

from pydantic import BaseModel, ConfigDict

from vimha.alarms.catalogue import definitions
from vimha.alarms.model import Event
from vimha.alarms.sources.event import EXTERNAL, Detail, Id, Word, check, fitting, name, when
from vimha.alarms.sources.settings import Cluster
from vimha.alarms.sources.severities import severity
from vimha.alarms.words import Severity

CLEARED = frozenset({"up", "ok", "healthy", "cleared", "resolved"})
"""What `status` says when the fault is over."""


class Details(BaseModel):
    """Of a Doctor event; what else is in it is passed over, as monitors put in what they like."""

    model_config = ConfigDict(frozen=True)

    hostname: Word
    source: Word | None = None
    cause: Detail | None = None
    severity: Word | None = None
    status: Word = "down"
    monitor: Word | None = None
    monitor_id: Id | None = None
    monitor_event_id: Id | None = None


class DoctorEvent(BaseModel):
    """One report of a monitor."""

    model_config = ConfigDict(frozen=True)

    time: Word
    type: Word
    details: Details


def event(said: DoctorEvent, cluster: Cluster, now_us: int) -> Event:
    """The event that a report is; SourceError for what an alarm of its type cannot be."""
    known, told = definitions().get(said.type) or definitions()[EXTERNAL], said.details
    over = told.status.lower() in CLEARED
    found = Severity.CLEARED if over else fitting(known, severity(told.severity) if told.severity else None)
    managed_object = f"host/{told.hostname}"
    check(known, managed_object, found)
    own = (told.monitor_id, told.monitor_event_id) if told.monitor_event_id else (said.time, told.hostname)
    return Event(
        id=name("doctor", said.type, told.status, *(word or "" for word in own)),
        definition=known,
        managed_object=managed_object,
        severity=found,
        event_us=when(said.time, now_us, zone="Z"),
        specific_problem=said.type if known.id == EXTERNAL else "",
        location=cluster.location(told.hostname),
        details=(told.cause,) if told.cause else (),
        detector=told.monitor or told.source or "",
    )

"""OPNFV Doctor's event shape: `{"event": {"time", "type", "details": {"hostname", "status", ...}}}`.

Invariant: the same report is the same event: its id is the monitor's own when it has one, else made of what it says.
"""

from pydantic import BaseModel, ConfigDict

from vimha.alarms.model import Event, Location
from vimha.alarms.sources.event import Detail, Id, Word, check, definition, name, when
from vimha.alarms.words import Severity

CLEARED = frozenset({"up", "ok", "healthy", "cleared"})
"""What `status` says when the fault is over."""


class Details(BaseModel):
    """Of a Doctor event; what else is in it is passed over, as monitors put in what they like."""

    model_config = ConfigDict(frozen=True)

    hostname: Word
    source: Word | None = None
    cause: Detail | None = None
    severity: str | None = None
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


def event(said: DoctorEvent, now_us: int) -> Event:
    """The event that a report is; SourceError for what is not in the catalogue. A severity that the definition does not
    have, such as a monitor's own scale, is the definition's usual one.
    """
    known, told = definition(said.type), said.details
    over = told.status.lower() in CLEARED
    wanted = (told.severity or "").upper()
    severity = Severity.CLEARED if over else Severity(wanted) if wanted in known.severities else known.severities[0]
    managed_object = f"host/{told.hostname}"
    check(known, managed_object, severity)
    own = (told.monitor_id, told.monitor_event_id) if told.monitor_event_id else (said.time, said.type, told.hostname)
    return Event(
        id=name("doctor", *(word or "" for word in own), told.status),
        definition=known,
        managed_object=managed_object,
        severity=severity,
        event_us=when(said.time, now_us),
        location=Location(host=told.hostname),
        details=(told.cause,) if told.cause else (),
        detector=told.monitor or told.source or "",
    )

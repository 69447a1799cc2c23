"""vimha's own event shape: an alarm's attributes by the names that SOL003 gives them, and the event's id.

Invariant: nothing unknown is taken in; the sender chose the id, so that it may send again what was not answered.
"""

from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from vimha.alarms.model import Event
from vimha.alarms.sources.event import Detail, Id, Word, check, definition, when
from vimha.alarms.sources.settings import Cluster
from vimha.alarms.words import Severity


class Place(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    site: Word | None = None
    zone: Word | None = None
    rack: Word | None = None
    host: Word | None = None
    slot: Word | None = None


class NativeEvent(BaseModel):
    """One observation; perceivedSeverity CLEARED ends the alarm."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)

    id: Id
    alarm_definition_id: Word
    managed_object_id: Word
    perceived_severity: Severity
    event_time: Word
    specific_problem: Word | None = None
    location: Place | None = None
    fault_details: Annotated[list[Detail], Field(max_length=64)] = []
    detector: Word | None = None
    correlated_alarm_ids: Annotated[list[Id], Field(max_length=100)] = []
    is_root_cause: Annotated[bool, Field(strict=True)] = False


def event(said: NativeEvent, cluster: Cluster, now_us: int) -> Event:
    """The event that was said; SourceError for what is not in the catalogue, or not of its definition."""
    known = definition(said.alarm_definition_id)
    check(known, said.managed_object_id, said.perceived_severity)
    given = said.location.model_dump(exclude_none=True) if said.location else {}
    host = given.get("host") or _host(said.managed_object_id)
    return Event(
        id=said.id,
        definition=known,
        managed_object=said.managed_object_id,
        severity=said.perceived_severity,
        event_us=when(said.event_time, now_us),
        specific_problem=said.specific_problem or "",
        location=replace(cluster.location(host), **given),
        details=tuple(said.fault_details),
        detector=said.detector or "",
        correlated=tuple(said.correlated_alarm_ids),
        root_cause=said.is_root_cause,
    )


def _host(managed_object: str) -> str:
    """The host that an object's identifier names, if it does."""
    kind, _, rest = managed_object.partition("/")
    return rest if kind in ("host", "bond", "spool") else ""

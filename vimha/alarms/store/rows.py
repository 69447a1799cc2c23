"""Rows to objects and back: the only place that knows both the columns and the alarm's model.

Invariant: `entry_of(entry_row(e)) == e`, with the alarm beside it.
"""

import json
import uuid
from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping

from vimha.alarms import sol
from vimha.alarms.catalogue import definitions
from vimha.alarms.machine import Entry
from vimha.alarms.model import Alarm, Event, Location
from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.schema import NAME
from vimha.alarms.words import NotificationType, Severity

Row = dict[str, Any]


dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def alarm_row(alarm: Alarm, sequence: int, body: str) -> Row:
    """A row of table alarm; `body` is the alarm's JSON text."""
    known = alarm.definition
    return {
        "id": alarm.id,
        "managed_object": alarm.managed_object[:NAME],
        "definition": known.id,
        "severity": alarm.severity.value,
        "event_type": known.event_type.value,
        "probable_cause": known.probable_cause.value,
        "resource_type": known.resource_type.value,
        "fault_domain": known.fault_domain.value,
        "host": alarm.location.host[:NAME],
        "ack": alarm.ack.value,
        "event_us": alarm.event_us,
        "raised_us": alarm.raised_us,
        "body": body,
        "sequence": sequence,
    }


def history_row(alarm: Alarm, last: Severity, sequence: int, body: str) -> Row:
    """A row of table history for an alarm that was cleared; `last` is its severity before."""
    return {**alarm_row(alarm, sequence, body), "severity": last.value, "cleared_us": alarm.cleared_us}


def notification_row(sequence: int, kind: NotificationType, alarm: Alarm, at_us: int) -> Row:
    """A row of table notification, for all subscribers."""
    return {
        "sequence": sequence,
        "id": str(uuid.uuid4()),
        "kind": kind.value,
        "alarm_id": alarm.id,
        "at_us": at_us,
        "subscription_id": None,
        "body": dumps(sol.body(alarm)),
    }


def entry_row(key: str, entry: Entry) -> Row:
    """A row of table entry."""
    return {
        "key": key,
        "alarm_id": entry.alarm.id if entry.alarm else None,
        "seen_us": entry.seen_us,
        "due_us": entry.due_us,
        "changes": dumps(entry.changes),
        "latest": dumps(_event_record(entry.latest)) if entry.latest else None,
    }


def entry_of(row: RowMapping, body: str | None) -> Entry:
    """The entry of a row of table entry and its alarm's body."""
    return Entry(
        alarm=alarm_of(body) if body else None,
        latest=_event_of(json.loads(row["latest"])) if row["latest"] else None,
        due_us=row["due_us"],
        seen_us=row["seen_us"],
        changes=tuple(json.loads(row["changes"])),
    )


def alarm_of(body: str) -> Alarm:
    """The alarm of a kept body; StoreError when a later version raised it, whose catalogue has more."""
    try:
        return sol.alarm(json.loads(body))
    except KeyError as error:
        raise StoreError(f"alarm definition {error} is not known here", "Upgrade vimha on this node too.") from error


def _event_record(event: Event) -> Row:
    return {
        **{name: getattr(event, name) for name in ("id", "managed_object", "event_us", "specific_problem", "details")},
        "definition": event.definition.id,
        "severity": event.severity.value,
        "location": asdict(event.location),
        "detector": event.detector,
        "correlated": event.correlated,
        "root_cause": event.root_cause,
    }


def _event_of(record: Row) -> Event:
    return Event(
        **{
            **record,
            "definition": definitions()[record["definition"]],
            "severity": Severity(record["severity"]),
            "location": Location(**record["location"]),
            "details": tuple(record["details"]),
            "correlated": tuple(record["correlated"]),
        }
    )

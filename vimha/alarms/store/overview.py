"""Alarms seen from afar: how many there are, when they were, what became of one; for consoles.

Invariant: only reads, and never more than it was asked for, however many alarms there are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, func, literal, select

from vimha.alarms.store.outbox import Notice
from vimha.alarms.store.schema import ALARM, HISTORY, NOTIFICATION
from vimha.alarms.times import SECOND
from vimha.alarms.words import AckState, Severity

DAY = 86_400 * SECOND
"""An alarm that was raised longer than that before a range is found in it if it was cleared in it, or never."""
Where = Sequence[ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when an alarm was active; of a cleared one, `severity` is the last before."""

    id: str
    severity: Severity
    managed_object: str
    definition: str
    raised_us: int
    cleared_us: int | None


def counts(connection: Connection, where: Where) -> Mapping[tuple[Severity, AckState], int]:
    """How many active alarms meet all conditions (on schema.ALARM's columns), by severity and acknowledgement."""
    group = (ALARM.c.severity, ALARM.c.ack)
    rows: Iterable[Any] = connection.execute(select(*group, func.count()).where(*where).group_by(*group))
    return {(Severity(severity), AckState(ack)): number for severity, ack, number in rows}


def active_spans(connection: Connection, to_us: int, where: Where, most: int) -> list[Span]:
    """The active alarms that were raised before `to_us`, the newest `most`."""
    return _spans(connection, ALARM, [ALARM.c.raised_us < to_us, *where], most)


def cleared_spans(connection: Connection, from_us: int, to_us: int, where: Where, most: int) -> list[Span]:
    """The cleared alarms that were active in [from_us, to_us), the newest `most`; see DAY."""
    raised, cleared = HISTORY.c.raised_us, HISTORY.c.cleared_us
    recent = and_(raised >= from_us - DAY, raised < to_us, cleared >= from_us)
    older = and_(raised < from_us - DAY, cleared >= from_us, cleared < to_us)
    found = _spans(connection, HISTORY, [recent, *where], most)
    return found + _spans(connection, HISTORY, [older, *where], most - len(found))


def told(connection: Connection, alarm_id: str, since_us: int, most: int) -> list[Notice]:
    """The last notifications of an alarm since `since_us`, as far as they are kept, the oldest first."""
    columns = [NOTIFICATION.c[name] for name in ("sequence", "id", "kind", "alarm_id", "at_us", "body")]
    query = select(*columns).where(NOTIFICATION.c.at_us >= since_us, NOTIFICATION.c.alarm_id == alarm_id)
    rows = connection.execute(query.order_by(NOTIFICATION.c.sequence.desc()).limit(most)).mappings()
    return [Notice(**row) for row in rows][::-1]


def _spans(connection: Connection, table: Table, where: Where, most: int) -> list[Span]:
    names = ("id", "severity", "managed_object", "definition", "raised_us")
    cleared = table.c.cleared_us if table is HISTORY else literal(None).label("cleared_us")
    query = select(*(table.c[name] for name in names), cleared).where(*where)
    rows = connection.execute(query.order_by(table.c.raised_us.desc()).limit(max(most, 0))).mappings()
    return [Span(**{**row, "severity": Severity(row["severity"])}) for row in rows]

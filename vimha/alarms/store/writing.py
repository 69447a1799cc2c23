"""What changes alarms in the store: events, holds that end, what operators do.

Invariant: an alarm's row, its key's entry, the events that were taken in and the notification that tells of it are
written in one transaction; nothing is told that was not kept, and nothing kept that is not told.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.sql.expression import ColumnElement

from vimha.alarms import machine, sol
from vimha.alarms.machine import Entry, Rules, Step
from vimha.alarms.model import Alarm, Event
from vimha.alarms.store.database import advance
from vimha.alarms.store.rows import Row, alarm_row, dumps, entry_of, entry_row, history_row, notification_row
from vimha.alarms.store.schema import ALARM, ENTRY, HISTORY, NOTIFICATION, SEEN
from vimha.alarms.words import NotificationType

CHUNK = 500
"""Keys to a query: SQLite takes 32,766 parameters at most."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One writing transaction: its connection, the last number that was given out, its time and the rules that hold;
    `again`: it was tried before, with the same time, and perhaps done.
    """

    connection: Connection
    sequence: int
    now_us: int
    rules: Rules
    again: bool = False


@dataclass
class Desk:
    """The entries that one transaction works on, and what it will write."""

    sequence: int
    now_us: int
    entries: dict[str, Entry] = field(default_factory=dict)
    before: dict[str, Entry] = field(default_factory=dict)
    told: dict[str, tuple[Alarm, Row]] = field(default_factory=dict)
    """Key -> what was told of it last, and the notification's row."""
    notices: list[Row] = field(default_factory=list)
    archived: list[Row] = field(default_factory=list)

    def step(self, key: str, work: Callable[[Entry], Step]) -> Alarm | None:
        """Do one step of the machine; what was told."""
        entry = self.entries.get(key, Entry())
        step = work(entry)
        self.entries[key] = step.entry
        if step.told is not None:
            self._tell(key, step.told, entry.alarm)
        return step.told

    def _tell(self, key: str, alarm: Alarm, before: Alarm | None) -> None:
        self.sequence += 1
        kind = NotificationType.ALARM if alarm.active else NotificationType.CLEARED
        row = notification_row(self.sequence, kind, alarm, self.now_us)
        self.notices.append(row)
        self.told[key] = alarm, row
        if not alarm.active:
            last = before.severity if before else alarm.severity
            self.archived.append(history_row(alarm, last, self.sequence, row["body"]))

    def row(self, key: str, alarm: Alarm) -> Row:
        """The alarm's row; of one that was not told, without a sequence: it keeps its version."""
        told, notice = self.told.get(key, (None, {}))
        row = alarm_row(alarm, notice.get("sequence", 0), notice["body"] if told is alarm else dumps(sol.body(alarm)))
        if not row["sequence"]:
            del row["sequence"]
        return row


def take_in(turn: Turn, batches: Sequence[Sequence[Event]]) -> tuple[list[Row], list[int]]:
    """Take in batches of events, in their order; those that were taken in before are passed over. The
    notifications' rows, and how many of them each batch made.
    """
    fresh = _fresh(turn.connection, [event for batch in batches for event in batch])
    desk = _desk(turn, ENTRY.c.key, {event.key for event in fresh.values()})
    told = {
        id(event)
        for event in fresh.values()
        if desk.step(event.key, lambda entry, event=event: machine.observe(entry, event, turn.now_us, turn.rules))  # type: ignore[misc]
    }
    if fresh:
        turn.connection.execute(insert(SEEN), [{"id": name, "at_us": turn.now_us} for name in fresh])
    return _write(turn.connection, desk), [sum(id(event) in told for event in batch) for batch in batches]


def settle_due(turn: Turn, most: int = 1000) -> list[Row]:
    """End the holds that are due, `most` of them at a time. The notifications' rows."""
    due = select(ENTRY.c.key).where(ENTRY.c.due_us <= turn.now_us).order_by(ENTRY.c.due_us).limit(most)
    keys: list[str] = list(turn.connection.execute(due).scalars())
    desk = _desk(turn, ENTRY.c.key, keys)
    for key in keys:
        desk.step(key, lambda entry: machine.settle(entry, turn.now_us, turn.rules))
    return _write(turn.connection, desk)


def change(turn: Turn, alarm_id: str, work: Callable[[Entry], Step]) -> list[Row]:
    """Do a step that an operator asked for on one active alarm. The notifications' rows."""
    desk = _desk(turn, ENTRY.c.alarm_id, [alarm_id])
    for key in list(desk.entries):
        desk.step(key, work)
    return _write(turn.connection, desk)


def _fresh(connection: Connection, events: Sequence[Event]) -> dict[str, Event]:
    """The events that were not taken in before, by the digests of their ids; of two with one id, the first."""
    found: dict[str, Event] = {}
    for event in events:
        found.setdefault(digest(event.id), event)
    for chunk in _chunks(list(found)):
        known: list[str] = list(connection.execute(select(SEEN.c.id).where(SEEN.c.id.in_(chunk))).scalars())
        for each in known:
            del found[each]
    return found


def digest(event_id: str) -> str:
    """What an event's id is remembered by: short, whatever the id is."""
    return hashlib.blake2b(event_id.encode(), digest_size=16).hexdigest()


def _desk(turn: Turn, column: "ColumnElement[str]", values: Collection[str]) -> Desk:
    """The entries whose `column` has one of `values`, with their alarms."""
    desk = Desk(turn.sequence, turn.now_us)
    for chunk in _chunks(list(values)):
        query = select(ENTRY, ALARM.c.body).outerjoin(ALARM, ALARM.c.id == ENTRY.c.alarm_id).where(column.in_(chunk))
        for row in turn.connection.execute(query).mappings():
            desk.before[row["key"]] = desk.entries[row["key"]] = entry_of(row, row["body"])
    return desk


def _write(connection: Connection, desk: Desk) -> list[Row]:
    changed = {key: entry for key, entry in desk.entries.items() if entry != desk.before.get(key)}
    _write_entries(connection, changed, desk.before)
    _write_alarms(connection, changed, desk)
    if desk.notices:
        connection.execute(insert(NOTIFICATION), desk.notices)
        advance(connection, desk.sequence)
    if desk.archived:
        connection.execute(insert(HISTORY), desk.archived)
    return desk.notices


def _write_entries(connection: Connection, changed: dict[str, Entry], before: dict[str, Entry]) -> None:
    rows = [entry_row(key, entry) for key, entry in changed.items()]
    if new := [row for row in rows if row["key"] not in before]:
        connection.execute(insert(ENTRY), new)
    if old := [{**row, "the_key": row.pop("key")} for row in rows if row["key"] in before]:
        connection.execute(update(ENTRY).where(ENTRY.c.key == bindparam("the_key")), old)


def _write_alarms(connection: Connection, changed: dict[str, Entry], desk: Desk) -> None:
    """An alarm that was raised and cleared in one batch was never in table alarm."""
    kept = {entry.alarm.id for entry in desk.before.values() if entry.alarm}
    active = {entry.alarm.id: desk.row(key, entry.alarm) for key, entry in changed.items() if entry.alarm}
    gone = {before.alarm.id for key in changed if (before := desk.before.get(key)) and before.alarm} - active.keys()
    for chunk in _chunks(list(gone)):
        connection.execute(delete(ALARM).where(ALARM.c.id.in_(chunk)))
    if new := [row for alarm_id, row in active.items() if alarm_id not in kept]:
        connection.execute(insert(ALARM), new)
    old = [{**row, "the_id": row.pop("id")} for alarm_id, row in active.items() if alarm_id in kept]
    for told in (True, False):
        if some := [row for row in old if ("sequence" in row) is told]:
            connection.execute(update(ALARM).where(ALARM.c.id == bindparam("the_id")), some)


def _chunks(values: list[str]) -> Iterable[list[str]]:
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))

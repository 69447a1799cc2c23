"""What operators do to one alarm: acknowledge, escalate, clear.

Invariant: a transaction may be repeated after its answer was lost: a state that bears the call's own time is then its
own work, whatever version the asker named.
"""

from sqlalchemy import insert, update

from vimha.alarms import machine
from vimha.alarms.machine import Entry, Step
from vimha.alarms.model import Alarm
from vimha.alarms.store import queries, writing
from vimha.alarms.store.database import advance
from vimha.alarms.store.errors import AlreadySoError, ChangedError, UnknownAlarmError
from vimha.alarms.store.queries import Kept
from vimha.alarms.store.rows import Row, alarm_of, notification_row
from vimha.alarms.store.schema import HISTORY, NOTIFICATION
from vimha.alarms.store.writing import Turn
from vimha.alarms.words import AckState, NotificationType, Severity


def acknowledge(turn: Turn, alarm_id: str, state: AckState, who: str, expected: int | None) -> list[Row]:
    """Acknowledge an alarm, or take that back; one that is cleared too. The notifications' rows."""
    kept = _found(turn, alarm_id)
    known = _alarm(kept)
    if turn.again and known.ack is state and known.changed_us == turn.now_us:
        return []
    _check(kept, expected)
    if known.ack is state:
        raise AlreadySoError(f"alarm {alarm_id} is {state.value} already")
    if kept.active:
        return writing.change(turn, alarm_id, lambda entry: machine.acknowledge(entry, state, who, turn.now_us))
    told = machine.acknowledge(Entry(alarm=known), state, who, turn.now_us).told
    return _rewrite_history(turn, told) if told else []


def escalate(turn: Turn, alarm_id: str, severity: Severity, expected: int | None) -> list[Row]:
    """Give an active alarm another severity. The notifications' rows."""
    kept = _found(turn, alarm_id)
    known = _alarm(kept)
    if turn.again and known.severity is severity and known.changed_us == turn.now_us:
        return []
    _check(kept, expected)
    if not kept.active or known.severity is severity:
        raise AlreadySoError(f"alarm {alarm_id} is {known.severity.value} already")
    return writing.change(turn, alarm_id, lambda entry: machine.escalate(entry, severity, turn.now_us))


def clear(turn: Turn, alarm_id: str, who: str) -> list[Row]:
    """Clear an active alarm by hand; that acknowledges it, if nobody did. The notifications' rows."""
    kept = _found(turn, alarm_id)
    if turn.again and not kept.active and _alarm(kept).cleared_us == turn.now_us:
        return []
    if not kept.active:
        raise AlreadySoError(f"alarm {alarm_id} is cleared already")

    def work(entry: Entry) -> Step:
        seen = machine.acknowledge(entry, AckState.ACKNOWLEDGED, who, turn.now_us).entry
        return machine.clear(seen, turn.now_us)

    return writing.change(turn, alarm_id, work)


def _found(turn: Turn, alarm_id: str) -> Kept:
    kept = queries.alarm(turn.connection, alarm_id)
    if kept is None:
        raise UnknownAlarmError(f"there is no alarm {alarm_id}", "It may have aged out of the history.")
    return kept


def _alarm(kept: Kept) -> Alarm:
    return alarm_of(kept.body)


def _check(kept: Kept, expected: int | None) -> None:
    if expected is not None and expected != kept.version:
        raise ChangedError("the alarm has changed since it was read", "Read it again, then decide.")


def _rewrite_history(turn: Turn, alarm: Alarm) -> list[Row]:
    number = turn.sequence + 1
    notice = notification_row(number, NotificationType.ALARM, alarm, turn.now_us)
    values = {"ack": alarm.ack.value, "body": notice["body"], "sequence": number}
    turn.connection.execute(update(HISTORY).where(HISTORY.c.id == alarm.id).values(values))
    turn.connection.execute(insert(NOTIFICATION), [notice])
    advance(turn.connection, number)
    return [notice]

"""How long what is over is kept: the history, and what the store remembers for its own work.

Invariant: ageing removes only what is cleared or done; an active alarm and its entry are never touched, nor is a
notification that a living subscriber still waits for, unless that is older than `LONGEST_NOTIFICATION_US`.
"""

from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Column, ColumnElement, Connection, and_, delete, func, select, tuple_

from vimha.alarms.store import outbox, settings
from vimha.alarms.store.database import Database
from vimha.alarms.store.schema import ENTRY, HISTORY, NOTIFICATION, SEEN, SETTING, SUBSCRIPTION
from vimha.alarms.times import SECOND
from vimha.alarms.words import Severity

DAY = 86_400 * SECOND
SEEN_US = DAY
"""An event that is repeated after that long is taken for a new one."""
ENTRY_US = DAY
"""That long after an alarm's last event, a report of something older does not raise it again."""
NOTIFICATION_US = 3600 * SECOND
"""That long what all have got is kept: for consoles that come back to the stream."""
LONGEST_NOTIFICATION_US = 7 * DAY
"""No cursor holds back more than that: a sink that is gone for good must not fill the disk."""
CHUNK = 500
"""Rows to a transaction, which holds the store for some 10 ms then."""
SETTING_NAME = "retention"
CURSOR = "cursor/"
"""The beginning of the names of settings that are cursors of configured sinks."""


class Retention(BaseModel):
    """How long the history is kept; O-RAN's default retention period is 14 days (O2, alarmServiceConfiguration)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: Annotated[int, Field(ge=1, le=36_500)] = 14
    most: dict[Severity, Annotated[int, Field(ge=0)]] = {}
    """The most cleared alarms that are kept of a severity, the last one before clearing; not listed: any number."""


def read(connection: Connection) -> Retention:
    """What holds now."""
    return Retention.model_validate(settings.read(connection, SETTING_NAME, {}))


def write(connection: Connection, retention: Retention) -> None:
    """What holds from now on, on all nodes."""
    settings.write(connection, SETTING_NAME, retention.model_dump(mode="json"))


def sweep(database: Database, now_us: int, goes_on: Callable[[], bool] = lambda: True) -> Counter[str]:
    """Remove what is too old, chunk by chunk as long as `goes_on()`; how many rows of each table."""
    with database.reading() as connection:
        rules = _rules(connection, now_us)
    removed: Counter[str] = Counter()
    for column, old in rules:
        while goes_on() and (size := database.write(lambda connection, _: _remove(connection, column, old))):  # noqa: B023
            removed[column.table.name] += size
    database.analyse()
    return removed


def _rules(connection: Connection, now_us: int) -> list[tuple[Column[Any], ColumnElement[bool]]]:
    """For each table its key, and which of its rows are too old."""
    kept = read(connection)
    over = [_over(connection, severity, most) for severity, most in kept.most.items()]
    history = [HISTORY.c.cleared_us < now_us - kept.days * DAY, *(each for each in over if each is not None)]
    told = and_(NOTIFICATION.c.sequence <= _told(connection), NOTIFICATION.c.at_us < now_us - NOTIFICATION_US)
    done = and_(ENTRY.c.alarm_id.is_(None), ENTRY.c.due_us.is_(None), ENTRY.c.seen_us < now_us - ENTRY_US)
    return [
        *((HISTORY.c.id, old) for old in history),
        (SEEN.c.id, SEEN.c.at_us < now_us - SEEN_US),
        (NOTIFICATION.c.sequence, told),
        (NOTIFICATION.c.sequence, NOTIFICATION.c.at_us < now_us - LONGEST_NOTIFICATION_US),
        (ENTRY.c.key, done),
    ]


def _over(connection: Connection, severity: Severity, most: int) -> ColumnElement[bool] | None:
    """The cleared alarms of a severity beyond the newest `most`, in the order in which they are listed."""
    mine, key = HISTORY.c.severity == severity.value, (HISTORY.c.raised_us, HISTORY.c.id)
    newest_first = select(*key).where(mine).order_by(*(column.desc() for column in key))
    first = connection.execute(newest_first.offset(most).limit(1)).first()
    return None if first is None else and_(mine, key[0] <= first[0], tuple_(*key) <= tuple_(*first))


def _told(connection: Connection) -> int:
    """The number up to which all who live have got everything."""
    living = select(func.min(SUBSCRIPTION.c.cursor)).where(SUBSCRIPTION.c.dead.is_(False))
    sinks: list[str] = list(
        connection.execute(select(SETTING.c.value).where(SETTING.c.name.startswith(CURSOR))).scalars()
    )
    cursors = [connection.execute(living).scalar(), *(int(value) for value in sinks)]
    return min((cursor for cursor in cursors if cursor is not None), default=outbox.head(connection))


def _remove(connection: Connection, column: "Column[Any]", old: ColumnElement[bool]) -> int:
    keys: list[Any] = list(connection.execute(select(column).where(old).limit(CHUNK)).scalars())
    if keys:
        connection.execute(delete(column.table).where(column.in_(keys)))
    return len(keys)

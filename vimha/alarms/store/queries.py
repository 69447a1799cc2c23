"""Reading alarms: one, the active ones, the history.

Invariant: pages are cut by key (raised_us, id), newest first, so alarms that come or go between two pages neither
repeat nor hide another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Row, Table, select, tuple_

from vimha.alarms.store.schema import ALARM, HISTORY

Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """An alarm as it is kept: its JSON text (alarms/sol.py) and its version, the sequence of its last notification."""

    body: str
    version: int
    active: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Some alarms; `after` is where the next page begins, None at the end."""

    items: list[Kept]
    after: Key | None


def alarm(connection: Connection, alarm_id: str) -> Kept | None:
    """The alarm of that id, active or cleared."""
    for table in (ALARM, HISTORY):
        found = connection.execute(select(table.c.body, table.c.sequence).where(table.c.id == alarm_id)).first()
        if found:
            return Kept(found.body, found.sequence, table is ALARM)
    return None


def page(
    connection: Connection, table: Table, where: Sequence[ColumnElement[bool]], after: Key | None, limit: int
) -> Page:
    """Up to `limit` alarms of `table` (ALARM or HISTORY) that meet all conditions `where`, those after `after`."""
    key = (table.c.raised_us, table.c.id)
    query = select(*key, table.c.body, table.c.sequence).where(*where)
    if after is not None:
        query = query.where(table.c.raised_us <= after[0], tuple_(*key) < tuple_(*after))
    query = query.order_by(*(column.desc() for column in key)).limit(limit + 1)
    rows = connection.execute(query).all()
    return Page([_kept(row, table) for row in rows[:limit]], _key(rows[limit - 1]) if len(rows) > limit else None)


def _kept(row: "Row[tuple[int, str, str, int]]", table: Table) -> Kept:
    return Kept(row.body, row.sequence, table is ALARM)


def _key(row: "Row[tuple[int, str, str, int]]") -> Key:
    return row.raised_us, row.id

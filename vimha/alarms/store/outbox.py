"""What subscribers are to be told, and how far each has been told.

Invariant: notifications are read in the order of their commits; a cursor moves only forward, and only past what was
delivered, or is not for its subscription.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, or_, select, update

from vimha.alarms.store.schema import NOTIFICATION, SEQUENCE, SUBSCRIPTION


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification; `body` is the alarm's JSON text as it was then."""

    sequence: int
    id: str
    kind: str
    alarm_id: str | None
    at_us: int
    body: str


def head(engine: Engine) -> int:
    """The last sequence number that is committed."""
    with engine.connect() as connection:
        return int(connection.execute(select(SEQUENCE.c.value).where(SEQUENCE.c.name == 1)).scalar_one())


def notices(engine: Engine, after: int, most: int, subscription_id: str | None = None) -> list[Notice]:
    """Up to `most` notifications after the sequence number `after`: those for all, and those for this subscription."""
    mine = NOTIFICATION.c.subscription_id.is_(None)
    if subscription_id is not None:
        mine = or_(mine, NOTIFICATION.c.subscription_id == subscription_id)
    columns = [NOTIFICATION.c[name] for name in ("sequence", "id", "kind", "alarm_id", "at_us", "body")]
    query = select(*columns).where(NOTIFICATION.c.sequence > after, mine).order_by(NOTIFICATION.c.sequence).limit(most)
    with engine.connect() as connection:
        return [Notice(*row) for row in connection.execute(query)]


def move(connection: Connection, cursors: Mapping[str, int]) -> None:
    """Set the cursors of subscriptions, by id; one that is further already stays."""
    for subscription_id, cursor in cursors.items():
        table = SUBSCRIPTION
        mine = (table.c.id == subscription_id) & (table.c.cursor < cursor)
        connection.execute(update(table).where(mine).values(cursor=cursor))


def subscriptions(engine: Engine) -> Sequence[Mapping[str, Any]]:
    """All subscriptions' rows."""
    with engine.connect() as connection:
        return connection.execute(select(SUBSCRIPTION).order_by(SUBSCRIPTION.c.created_us)).mappings().all()

"""What subscribers are to be told, and how far each has been told.

Invariant: notifications are read in the order of their commits; a cursor moves only forward, and only past what was
delivered, or is not for its subscription.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, insert, or_, select, update

from vimha.alarms.store.database import advance
from vimha.alarms.store.rows import Row, dumps
from vimha.alarms.store.schema import NOTIFICATION, SEQUENCE, SUBSCRIPTION
from vimha.alarms.store.writing import Turn
from vimha.alarms.words import NotificationType


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification; `body` is the alarm's JSON text as it was then, {} for one that is about no alarm."""

    sequence: int
    id: str
    kind: str
    alarm_id: str | None
    at_us: int
    body: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscriber. `request` is what it asked for, credentials included; up to `cursor` all is delivered; `dead`: it
    gets nothing until it answers again."""

    id: str
    digest: str
    created_us: int
    request: dict[str, Any]
    cursor: int
    failing_since_us: int | None
    dead: bool


def head(connection: Connection) -> int:
    """The last sequence number that is committed."""
    return int(connection.execute(select(SEQUENCE.c.value).where(SEQUENCE.c.name == 1)).scalar_one())


def notices(connection: Connection, after: int, most: int, subscription_id: str | None = None) -> list[Notice]:
    """Up to `most` notifications after the sequence number `after`: those for all, and those for this subscription."""
    mine: ColumnElement[bool] = NOTIFICATION.c.subscription_id.is_(None)
    if subscription_id is not None:
        mine = or_(mine, NOTIFICATION.c.subscription_id == subscription_id)
    columns = [NOTIFICATION.c[name] for name in ("sequence", "id", "kind", "alarm_id", "at_us", "body")]
    query = select(*columns).where(NOTIFICATION.c.sequence > after, mine).order_by(NOTIFICATION.c.sequence).limit(most)
    return [Notice(**row) for row in connection.execute(query).mappings()]


def move(connection: Connection, cursors: Mapping[str, int]) -> None:
    """Set the cursors of subscriptions, by id; one that is further already stays."""
    for subscription_id, cursor in cursors.items():
        table = SUBSCRIPTION
        mine = (table.c.id == subscription_id) & (table.c.cursor < cursor)
        connection.execute(update(table).where(mine).values(cursor=cursor))


def subscribe(
    connection: Connection, sequence: int, digest: str, request: Mapping[str, Any], now_us: int
) -> tuple[Subscription, bool]:
    """A new subscription that is told what comes from now on, and True; or the one that has this digest, and False."""
    query = select(SUBSCRIPTION).where(SUBSCRIPTION.c.digest == digest)
    if found := connection.execute(query).mappings().first():
        return _subscription(found), False
    made = Subscription(str(uuid.uuid4()), digest, now_us, dict(request), sequence, None, False)
    row = {name: getattr(made, name) for name in ("id", "digest", "created_us", "cursor", "failing_since_us", "dead")}
    connection.execute(insert(SUBSCRIPTION).values(**row, request=dumps(made.request)))
    return made, True


def unsubscribe(connection: Connection, subscription_id: str) -> bool:
    """Remove a subscription and what was for it alone; False when there is none."""
    connection.execute(delete(NOTIFICATION).where(NOTIFICATION.c.subscription_id == subscription_id))
    return bool(connection.execute(delete(SUBSCRIPTION).where(SUBSCRIPTION.c.id == subscription_id)).rowcount)


def subscriptions(connection: Connection, subscription_id: str | None = None) -> list[Subscription]:
    """All subscriptions, the oldest first; or the one of that id."""
    query = select(SUBSCRIPTION).order_by(SUBSCRIPTION.c.created_us, SUBSCRIPTION.c.id)
    if subscription_id is not None:
        query = query.where(SUBSCRIPTION.c.id == subscription_id)
    return [_subscription(row) for row in connection.execute(query).mappings()]


def mark(connection: Connection, subscription_id: str, failing_since_us: int | None, dead: bool) -> None:
    """Remember how a subscriber does."""
    values = {"failing_since_us": failing_since_us, "dead": dead}
    connection.execute(update(SUBSCRIPTION).where(SUBSCRIPTION.c.id == subscription_id).values(values))


def revive(turn: Turn, subscription_id: str) -> list[Row]:
    """A dead subscriber answers again: it is told that the list was rebuilt, and then what comes from now on."""
    notice = {
        "sequence": turn.sequence + 1, "id": str(uuid.uuid4()), "kind": NotificationType.REBUILT.value,
        "alarm_id": None, "at_us": turn.now_us, "subscription_id": subscription_id, "body": "{}",
    }  # fmt: skip
    values = {"cursor": turn.sequence, "failing_since_us": None, "dead": False}
    mine = (SUBSCRIPTION.c.id == subscription_id) & SUBSCRIPTION.c.dead
    if not turn.connection.execute(update(SUBSCRIPTION).where(mine).values(values)).rowcount:
        return []
    turn.connection.execute(insert(NOTIFICATION), [notice])
    advance(turn.connection, turn.sequence + 1)
    return [notice]


def _subscription(row: RowMapping) -> Subscription:
    return Subscription(**{**row, "request": json.loads(row["request"]), "dead": bool(row["dead"])})

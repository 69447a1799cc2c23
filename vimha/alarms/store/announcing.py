"""Notifications that are about no alarm, made by who watches the alarms (service/node_watch.py).

Invariant: what is told and what the teller remembers of it are one transaction; done again, it tells nothing.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert

from vimha.alarms.store import settings
from vimha.alarms.store.database import advance
from vimha.alarms.store.rows import Row, dumps
from vimha.alarms.store.schema import NOTIFICATION
from vimha.alarms.store.writing import Turn
from vimha.alarms.words import NotificationType

NAMES = uuid.UUID("6f1b6a0e-2f5c-5d0c-9d7e-6b1f1a7c2e90")


def announce(
    turn: Turn, kind: NotificationType, bodies: Mapping[str, Any], setting: str, value: Any
) -> list[Row]:  # fmt: skip
    """Tell all of `bodies`, by what each is about, and remember `value`. Those about one thing are delivered in order:
    it has the place of an alarm's id.
    """
    if settings.read(turn.connection, setting, None) == value:
        return []
    rows = [
        {
            "sequence": turn.sequence + number, "id": str(uuid.uuid4()), "kind": kind.value,
            "alarm_id": str(uuid.uuid5(NAMES, about)), "at_us": turn.now_us, "subscription_id": None,
            "body": dumps(body),
        }
        for number, (about, body) in enumerate(bodies.items(), 1)
    ]  # fmt: skip
    settings.write(turn.connection, setting, value)
    if rows:
        turn.connection.execute(insert(NOTIFICATION), rows)
        advance(turn.connection, turn.sequence + len(rows))
    return rows

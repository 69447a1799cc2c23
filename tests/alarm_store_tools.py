"""What tests of the store of alarms share: a clock, events, and what is in the store."""

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import func, select

from vimha.alarms import sol
from vimha.alarms.catalogue import definitions
from vimha.alarms.machine import Rules
from vimha.alarms.model import Alarm, Event
from vimha.alarms.store.queries import Kept
from vimha.alarms.store.store import Store
from vimha.alarms.times import SECOND
from vimha.alarms.words import AckState, Severity

START = 1_800_000_000 * SECOND
RULES = Rules(changes=3, window_us=20 * SECOND, quiet_us=5 * SECOND)
ACKED, UNACKED = AckState.ACKNOWLEDGED, AckState.UNACKNOWLEDGED


class Clock:
    """A wall clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


NewStore = Callable[..., Store]


def event(name: str, object_: str = "vm/1", severity: Severity = Severity.MAJOR, at: int = START, **more: Any) -> Event:
    return Event(name, definitions()["compute.vm.failed"], object_, severity, at, **more)


def raised(store: Store, object_: str = "vm/1", severity: Severity = Severity.MAJOR, at: int = START) -> str:
    """Raise an alarm; its id."""
    store.submit([event(f"raise {object_} {at}", object_, severity, at)]).result()
    return next(alarm.id for alarm in active(store) if alarm.managed_object == object_)


def cleared(store: Store, object_: str = "vm/1", at: int = START) -> None:
    store.submit([event(f"clear {object_} {at}", object_, Severity.CLEARED, at)]).result()


def alarm(kept: Kept | None) -> Alarm:
    assert kept is not None
    return sol.alarm(json.loads(kept.body))


def active(store: Store) -> list[Alarm]:
    return [alarm(kept) for kept in store.alarms(limit=100_000).items]


def past(store: Store) -> list[Alarm]:
    return [alarm(kept) for kept in store.history(limit=100_000).items]


def count(store: Store, table: Any) -> int:
    with store._database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def told(store: Store, after: int = 0) -> list[tuple[int, str, str]]:
    """Sequence, kind and severity of each notification."""
    return [
        (notice.sequence, notice.kind, json.loads(notice.body).get("perceivedSeverity", ""))
        for notice in store.notices(after)
    ]

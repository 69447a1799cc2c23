"""The store of alarms on SQLite."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pymysql
import pytest
from alarm_overview_cases import Overview
from alarm_store_cases import Alarms, Tables
from alarm_store_telling_cases import Ageing, Telling
from alarm_store_tools import RULES, Clock, NewStore, active, event, raised
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from vimha.alarms.store import database
from vimha.alarms.store.database import Database, engine
from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.store import Store
from vimha.alarms.words import AckState, Severity

T = TypeVar("T")


@pytest.fixture
def new_store(tmp_path: Path) -> Iterator[NewStore]:
    opened: list[Store] = []

    def new(clock: Clock | None = None) -> Store:
        opened.append(Store.open(f"sqlite:///{tmp_path}/alarms.db", RULES, clock=clock or Clock()))
        return opened[-1]

    yield new
    for store in opened:
        store.close()


class TestAlarms(Alarms):
    pass


class TestTelling(Telling):
    pass


class TestAgeing(Ageing):
    pass


class TestTables(Tables):
    pass


class TestOverview(Overview):
    pass


class FakeLostAnswers(Database):
    """A database whose next commit is done, but nobody hears of it."""

    lost = False

    def _attempt(self, work: Callable[[Connection], T]) -> T:
        found = super()._attempt(work)
        if self.lost:
            self.lost = False
            raise OperationalError("COMMIT", {}, pymysql.err.OperationalError(2013, "Lost connection"))
        return found


def test_a_commit_that_nobody_heard_of_is_done_once(new_store: NewStore, tmp_path: Path) -> None:
    new_store().close()
    fake = FakeLostAnswers(engine(f"sqlite:///{tmp_path}/alarms.db"))
    store = Store(fake, RULES, Clock())
    fake.lost = True
    store.submit([event("1")]).result()
    assert [one.events for one in active(store)] == [1]
    one = active(store)[0].id
    for work in (
        lambda: store.acknowledge(one, AckState.ACKNOWLEDGED, "ann", 1),
        lambda: store.escalate(one, Severity.CRITICAL, 2),
        lambda: store.clear(one, "ann"),
        lambda: store.acknowledge(one, AckState.UNACKNOWLEDGED, "ann", 4),
    ):
        fake.lost = True
        kept = work()
        assert not fake.lost
        assert kept.version == store.head()
    assert store.head() == 5
    store.close()


def test_an_endless_question_is_broken_off(new_store: NewStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store()
    raised(store)
    monkeypatch.setattr(database, "ANSWER_S", 0.2)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(StoreError, match="took longer"), store._database.reading() as connection:
        connection.exec_driver_sql(endless)
    assert len(active(store)) == 1


def test_its_files_are_for_its_user_alone(new_store: NewStore, tmp_path: Path) -> None:
    raised(new_store())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(modes, 0o600)
    assert "alarms.db" in modes


@pytest.mark.parametrize("url", ["nonsense", "postgresql://localhost/alarms", "sqlite://"])
def test_an_address_of_no_store_is_told(url: str) -> None:
    with pytest.raises(StoreError):
        Store.open(url)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        Store.open(f"sqlite:///{tmp_path}/none/alarms.db")

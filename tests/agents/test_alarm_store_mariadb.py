"""The store of alarms on a real MariaDB: what it does on SQLite, and what becomes of it when the server is killed."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event as Flag
from threading import Thread

import pytest
from alarm_overview_cases import Overview
from alarm_store_cases import Alarms, Tables
from alarm_store_telling_cases import Ageing, Telling
from alarm_store_tools import RULES, Clock, NewStore, active, alarm, event, past, told
from single_daemons import Mariadb, Namespace
from sqlalchemy import create_engine, text

from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.store import Store

pytestmark = pytest.mark.agents


@pytest.fixture(scope="module")
def server(root_user: None) -> Iterator[Mariadb]:
    with Namespace() as namespace:
        daemon = Mariadb(namespace)
        daemon.start()
        yield daemon


@pytest.fixture
def url(server: Mariadb) -> Iterator[str]:
    """An empty database."""
    root = f"mysql+pymysql://root@localhost/%s?unix_socket={server.socket}"
    engine = create_engine(root % "mysql", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE OR REPLACE DATABASE alarms"))
    yield root % "alarms"
    engine.dispose()


@pytest.fixture
def new_store(url: str) -> Iterator[NewStore]:
    opened: list[Store] = []

    def new(clock: Clock | None = None) -> Store:
        opened.append(Store.open(url, RULES, clock=clock or Clock()))
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


def test_two_services_write_at_once(new_store: NewStore) -> None:
    """Each event is taken in once, whoever had it; numbers have no gaps."""
    stores = [new_store(), new_store()]

    def write(index: int) -> None:
        for batch in range(60):
            mine = [event(f"{index} {batch} {each}", f"vm/{index} {batch} {each}") for each in range(3)]
            both = event(f"both {batch}", f"vm/both {batch}")
            stores[index].submit([*mine, both]).result()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(2)))
    assert len(active(stores[0])) == 60 * 7
    assert [sequence for sequence, *_ in told(stores[0])] == list(range(1, 60 * 7 + 1))


def test_what_was_acknowledged_outlives_the_server(server: Mariadb, new_store: NewStore) -> None:
    """The server is killed again and again in the middle of a storm; the service waits, and loses nothing."""
    store = new_store()
    pending: list[tuple[str, Future[int]]] = []
    end = Flag()

    def storm() -> None:
        while not end.is_set():
            name = f"vm/{len(pending)}"
            pending.append((name, store.submit([event(name, name)])))
            if len(pending) % 50 == 0:
                pending[-50][1].exception()

    thread = Thread(target=storm)
    thread.start()
    for _ in range(3):
        done = len(pending) + 100
        while len(pending) < done:
            end.wait(0.01)
        server.kill()
        server.start()
    end.set()
    thread.join()
    failed = {name for name, future in pending if isinstance(future.exception(60), StoreError)}
    assert len(pending) > 300
    assert len(failed) < len(pending)
    assert {name for name, _ in pending} - failed <= objects(store)
    again = [store.submit([event(name, name)]) for name, _ in pending]
    assert sum(future.result() for future in again) <= len(failed)
    assert objects(store) == {name for name, _ in pending}
    assert [notice.sequence for notice in store.notices(0, 100_000)] == list(range(1, len(pending) + 1))


def test_without_its_server_it_says_why_and_goes_on_later(server: Mariadb, new_store: NewStore) -> None:
    store = new_store()
    store._database.patience_s = 0.5
    server.kill()
    try:
        assert "write" in store.health()
        with pytest.raises(StoreError, match="does not take a write"):
            store.submit([event("1")]).result(30)
        with pytest.raises(StoreError):
            store.alarms()
    finally:
        server.start()
    assert store.health() == ""
    assert store.submit([event("1")]).result() == 1
    assert past(store) == []


def objects(store: Store) -> set[str]:
    """The managed objects of all active alarms."""
    return {alarm(kept).managed_object for kept in store.alarms(limit=100_000).items}

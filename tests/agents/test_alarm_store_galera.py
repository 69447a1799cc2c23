"""The store of alarms on a real Galera cluster of three: writers on several members, and members that are lost."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from alarm_store_tools import RULES, event
from galera_nodes import Node, Nodes, galera_nodes
from ocf_calls import wait_until

from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.store import Store

pytestmark = pytest.mark.agents


@pytest.fixture(scope="module")
def cluster(installed: None) -> Iterator[Nodes]:
    with galera_nodes(3) as nodes:
        nodes.start()
        wait_until(nodes.whole, 60)
        yield nodes


@pytest.fixture
def stores(cluster: Nodes) -> Iterator[list[Store]]:
    """A store on each member, of an empty database."""
    cluster.nodes[0].sql("CREATE OR REPLACE DATABASE alarms")
    opened = [Store.open(url(node), RULES) for node in cluster.nodes]
    yield opened
    for store in opened:
        store.close()


def url(node: Node) -> str:
    return f"mysql+pymysql://root@localhost/alarms?unix_socket={node.agent.parameters['socket']}"


def whole(store: Store) -> list[str]:
    """The ids of all alarms that were told; their numbers have no gaps, and none is told twice."""
    notices = store.notices(0, 1_000_000)
    assert [notice.sequence for notice in notices] == list(range(1, len(notices) + 1))
    ids = [str(notice.alarm_id) for notice in notices]
    assert len(ids) == len(set(ids))
    return ids


def test_three_services_start_and_write_at_once(cluster: Nodes, stores: list[Store]) -> None:
    """Each event is taken in once, whoever had it, although all write at the same time."""

    def write(index: int) -> None:
        for batch in range(30):
            mine = event(f"{index} {batch}", f"vm/{index} {batch}")
            stores[index].submit([mine, event(f"all {batch}", f"vm/all {batch}")]).result(60)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    wait_until(lambda: {store.head() for store in stores} == {30 * 4})
    assert whole(stores[0]) == whole(stores[1]) == whole(stores[2])


def test_one_lease_over_all_members(cluster: Nodes, stores: list[Store]) -> None:
    with ThreadPoolExecutor(3) as pool:
        got = list(pool.map(lambda pair: pair[1].lease("x", str(pair[0]), 1000), enumerate(stores)))
    assert sum(got) == 1
    assert [store.lease("x", str(index), 1000) for index, store in enumerate(stores)] == got


def test_a_member_outside_its_cluster_takes_nothing_and_returns(cluster: Nodes, stores: list[Store]) -> None:
    """What waits for it is taken in when it is back, and what came meanwhile by others is there."""
    cut_off, other = stores[0], stores[1]
    cluster.nodes[0].sql("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'")
    wait_until(lambda: cluster.nodes[0].status().cluster_status != "Primary", 30)
    assert "write" in cut_off.health()
    cut_off._database.patience_s = 60
    waiting = cut_off.submit([event("1")])
    assert other.submit([event("2", "vm/2")]).result(30) == 1
    assert not waiting.done()
    cluster.nodes[0].sql("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'")
    assert waiting.result(60) == 1
    assert cut_off.health() == ""
    wait_until(lambda: len(whole(other)) == 2)


def test_what_was_acknowledged_outlives_a_member(cluster: Nodes, stores: list[Store]) -> None:
    """A member loses its power in a storm. What it did not acknowledge is sent again, to another one."""
    lost, other = stores[0], stores[1]
    lost._database.patience_s = 1
    pending: list[tuple[str, Future[int]]] = []
    while len(pending) < 400:
        for store in (lost, other):
            name = f"vm/{len(pending)}"
            pending.append((name, store.submit([event(name, name)])))
        pending[-1][1].result(60)
        if len(pending) == 100:
            cluster.nodes[0].kill()
    done = {name for name, future in pending if not isinstance(future.exception(60), StoreError)}
    assert 50 < len(done) < len(pending)
    told = whole(other)
    assert len(told) >= len(done)
    for name, _ in pending:
        other.submit([event(name, name)])
    assert other.submit([event("last", "vm/last")]).result(60) == 1
    assert len(whole(other)) == len(pending) + 1
    wait_until(lambda: len(whole(stores[2])) == len(pending) + 1)

"""The galera agent on three nodes with real mariadbds: who begins, who joins how, and that nothing is ever lost.

The attribute daemon is a fake (galera_nodes.py); the tests go from one state of the cluster to the next.
"""

import shutil
from collections.abc import Iterator

import pytest
from galera_nodes import NEEDS_GALERA, Node, Nodes, galera_nodes
from ocf_calls import wait_until

from resource_agents.mysql.client import Connection

pytestmark = [pytest.mark.soak, *NEEDS_GALERA]
WHOLE_S = 180.0


@pytest.fixture(scope="module")
def cluster(installed: None) -> Iterator[Nodes]:
    """Three nodes with a cluster that was begun by the first start ever, and a table."""
    with galera_nodes(3) as nodes:
        nodes.form(WHOLE_S)
        nodes.nodes[0].sql("CREATE DATABASE app")
        nodes.nodes[0].sql("CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY)")
        yield nodes


@pytest.fixture
def nodes(cluster: Nodes) -> Iterator[list[Node]]:
    """The three nodes, whole again before each test; one UUID for all tests, and no row lost in any."""
    if not all(node.agent.probe() == 0 for node in cluster.nodes):
        cluster.start()
    wait_until(cluster.whole, WHOLE_S)
    uuid, rows = cluster.nodes[0].status().uuid, count(cluster.nodes[0])
    yield cluster.nodes
    assert {node.status().uuid for node in cluster.nodes if node.agent.probe() == 0} == {uuid}
    assert all(count(node) >= rows for node in cluster.nodes if node.agent.probe() == 0)


def insert(node: Node, number: int = 10) -> None:
    for _ in range(number):
        node.sql("INSERT INTO app.t VALUES ()")


def count(node: Node) -> int:
    return int(node.sql("SELECT COUNT(*) FROM app.t")[0][0])


def kill(*nodes: Node) -> None:
    for node in nodes:
        node.kill()


def test_a_first_start_makes_one_cluster(nodes: list[Node]) -> None:
    assert len({node.status().uuid for node in nodes}) == 1
    assert [node.bootstrapped() for node in nodes] == [True, False, False]


def test_all_killed_at_once_form_again_without_a_bootstrap(cluster: Nodes, nodes: list[Node]) -> None:
    insert(nodes[1])
    before = count(nodes[0])
    kill(*nodes)
    cluster.form(WHOLE_S)
    assert [node.bootstrapped() for node in nodes] == [False] * 3
    assert [count(node) for node in nodes] == [before] * 3
    assert all("requires full state transfer" not in node.said_since_start() for node in nodes)


def test_with_the_views_lost_the_highest_begins_and_the_others_join_by_ist(cluster: Nodes, nodes: list[Node]) -> None:
    insert(nodes[0])
    nodes[2].kill()
    insert(nodes[0])
    before = count(nodes[0])
    kill(nodes[0], nodes[1])
    for node in nodes:
        node.lose_view()
    cluster.form(WHOLE_S)
    assert sum(node.bootstrapped() for node in nodes) == 1
    assert not nodes[2].bootstrapped()
    assert [count(node) for node in nodes] == [before] * 3
    assert "Receiving IST" in nodes[2].said_since_start()


def test_a_stale_node_waits_and_says_for_whom_and_never_begins(cluster: Nodes, nodes: list[Node]) -> None:
    nodes[2].kill()
    insert(nodes[0])
    before = count(nodes[0])
    kill(nodes[0], nodes[1])
    for lost in (False, True):
        if lost:
            nodes[2].lose_view()
        assert nodes[2].start(patience="1").code == 0
        answer = nodes[2].monitor()
        assert answer.code == 190
        assert answer.reason.startswith("waits for c1, c2, which may be ahead of c3 (at ")
        assert "; if that never comes: vimha decide " in answer.reason
        assert nodes[2].stop().code == 0
    assert nodes[2].start(patience="1").code == 0
    assert nodes[0].start(patience="1").code == 0
    assert nodes[2].monitor().code == 190
    assert nodes[0].monitor().code == 190
    assert nodes[1].start().code == 0
    wait_until(cluster.whole, WHOLE_S)
    assert not nodes[2].bootstrapped()
    assert [count(node) for node in nodes] == [before] * 3


def test_an_operator_decides_who_begins(cluster: Nodes, nodes: list[Node]) -> None:
    insert(nodes[0])
    kill(*nodes)
    assert nodes[1].start(patience="1").code == 0
    assert nodes[1].monitor().code == 190
    position = cluster.said("c2").position
    cluster.decide("c2", "00000000-0000-0000-0000-000000000000:1")
    assert nodes[1].monitor().code == 190
    cluster.decide("c2", position)
    wait_until(nodes[1].synced, WHOLE_S)
    assert nodes[1].bootstrapped()
    assert [nodes[0].start().code, nodes[2].start().code] == [0, 0]
    wait_until(cluster.whole, WHOLE_S)


def test_the_last_to_stop_begins_alone(cluster: Nodes, nodes: list[Node]) -> None:
    for node in (nodes[0], nodes[2], nodes[1]):
        assert node.stop().code == 0
    assert "safe_to_bootstrap: 1" in (nodes[1].datadir / "grastate.dat").read_text()
    assert nodes[0].start(patience="1").code == 0
    assert nodes[0].monitor().code == 190
    assert nodes[1].start().code == 0
    wait_until(lambda: nodes[1].synced() and nodes[0].synced(), WHOLE_S)
    assert nodes[1].bootstrapped()
    assert nodes[2].start().code == 0
    wait_until(cluster.whole, WHOLE_S)


def test_a_lost_disk_takes_a_full_copy_and_the_start_does_not_wait_for_it(cluster: Nodes, nodes: list[Node]) -> None:
    nodes[2].kill()
    for path in nodes[2].datadir.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    answer = nodes[2].start(patience="0")
    assert answer.code == 0
    assert nodes[2].monitor().code == 190
    wait_until(cluster.whole, WHOLE_S)
    assert count(nodes[2]) == count(nodes[0])


def test_a_transfer_that_is_interrupted_begins_again_and_its_data_never_count(
    cluster: Nodes, nodes: list[Node]
) -> None:
    for end in (Node.stop, Node.kill):
        nodes[2].kill()
        for path in nodes[2].datadir.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert nodes[2].start(patience="0").code == 0
        wait_until(
            lambda: nodes[2].monitor().code == 190 and "Requesting state transfer" in nodes[2].said_since_start()
        )
        end(nodes[2])
        assert nodes[2].agent.probe() == 7
    kill(nodes[0], nodes[1])
    assert nodes[2].start(patience="1").code == 0
    answer = nodes[2].monitor()
    assert answer.code == 190
    assert "waits for c1, c2" in answer.reason or "restore a backup" in answer.reason
    cluster.form(WHOLE_S)
    assert not nodes[2].bootstrapped()


def test_a_lost_grastate_costs_no_full_copy(cluster: Nodes, nodes: list[Node]) -> None:
    nodes[2].kill()
    insert(nodes[0])
    (nodes[2].datadir / "grastate.dat").unlink()
    assert nodes[2].start().code == 0
    wait_until(cluster.whole, WHOLE_S)
    assert "Receiving IST" in nodes[2].said_since_start()


def test_without_quorum_it_is_degraded_and_then_failed(cluster: Nodes, nodes: list[Node]) -> None:
    uuid = nodes[2].status().uuid
    kill(nodes[0], nodes[1])
    wait_until(lambda: nodes[2].monitor().code == 190, 10)
    assert nodes[2].monitor().reason.startswith("without quorum: non-Primary")
    wait_until(lambda: nodes[2].monitor().code == 1, 10)
    assert nodes[2].stop().code == 0
    assert (nodes[2].datadir / "gvwstate.dat").exists(), "it can still form the last view with the others"
    cluster.form(WHOLE_S)
    assert {node.status().uuid for node in nodes} == {uuid}
    assert sum(node.bootstrapped() for node in nodes) <= 1, "they form the view again, or one begins before c3 is there"


def test_what_two_of_three_cannot_apply_is_not_lost(cluster: Nodes, nodes: list[Node]) -> None:
    """As on two full disks: what the third acknowledged outvotes them, and they copy its state."""
    nodes[2].sql("CREATE TABLE app.outvoted (id INT PRIMARY KEY)")
    wait_until(lambda: all(node.sql("SHOW TABLES FROM app LIKE 'outvoted'") for node in nodes))
    for node in nodes[:2]:
        with Connection.connect(node.agent.parameters["socket"], "root", "", 5) as connection:
            connection.query("SET SESSION wsrep_on = OFF")
            connection.query("DROP TABLE app.outvoted")
    nodes[2].sql("INSERT INTO app.outvoted VALUES (1)")
    for node in nodes[:2]:
        wait_until(lambda node=node: node.monitor().code == 1, 10)  # type: ignore[misc]
        assert node.monitor().reason.startswith("its cluster took it out, for it could not apply a write; it needs a ")
    for node in nodes:
        assert node.stop().code == 0
    cluster.form(WHOLE_S)
    assert [node.sql("SELECT * FROM app.outvoted") for node in nodes] == [[("1",)]] * 3
    nodes[2].sql("DROP TABLE app.outvoted")


def test_a_foreign_clusters_data_are_never_overwritten(cluster: Nodes, nodes: list[Node]) -> None:
    assert nodes[2].stop().code == 0
    state = nodes[2].datadir / "grastate.dat"
    kept = nodes[2].datadir.rename(nodes[2].folder / "kept")
    nodes[2].datadir.mkdir(0o700)
    shutil.chown(nodes[2].datadir, "mysql")
    alone = {"members": "c3=10.77.9.13", "attribute": "vimha-other"}
    assert nodes[2].agent("start", timeout_ms=40000, **alone).code == 0
    nodes[2].sql("CREATE DATABASE precious")
    assert nodes[2].agent("stop", timeout_ms=20000, **alone).code == 0
    before = state.read_text()
    answer = nodes[2].start()
    assert answer.code == 5
    assert answer.reason.startswith("foreign cluster: the data here are of ")
    assert nodes[2].stop().code == 0
    assert (state.read_text(), (nodes[2].datadir / "precious").is_dir()) == (before, True)
    state.unlink()
    for path in nodes[2].datadir.glob("ib*"):
        path.unlink()
    shutil.rmtree(nodes[2].datadir)
    kept.rename(nodes[2].datadir)
    assert nodes[2].start().code == 0
    wait_until(cluster.whole, WHOLE_S)

"""The galera agent where three of four nodes have a member: the spare's data count, and it is called when needed.

Pacemaker is played by the test: it probes every node, starts three, and moves a member to a node that is called.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from galera_nodes import NEEDS_GALERA, Node, Nodes, galera_nodes
from ocf_calls import processes, wait_until

pytestmark = NEEDS_GALERA
FORMS_S = 180.0


def start(*nodes: Node) -> None:
    with ThreadPoolExecutor(len(nodes)) as pool:
        answers = list(pool.map(Node.start, nodes))
    assert [answer.code for answer in answers] == [0] * len(nodes), answers


def probe(cluster: Nodes) -> None:
    """As Pacemaker does when the nodes have joined; and then, each node has told its data."""
    assert [node.agent.probe() for node in cluster.nodes] == [7] * len(cluster.nodes)
    wait_until(lambda: [said(node).partition(",")[0] for node in cluster.nodes] == ["spare"] * len(cluster.nodes), 20)


def attribute(cluster: Nodes, name: str) -> dict[str, str]:
    values = json.loads(cluster.store.read_text() or "{}").get(name, {}) if cluster.store.exists() else {}
    return {node: value for node, value in values.items() if value}


def said(node: Node) -> str:
    return attribute(node.cluster, "vimha-galera").get(node.name, "")


def whole(*nodes: Node) -> bool:
    return all(node.synced() for node in nodes) and {node.status().cluster_size for node in nodes} == {len(nodes)}


def count(node: Node) -> int:
    return int(node.sql("SELECT COUNT(*) FROM app.t")[0][0])


@pytest.fixture(scope="module")
def cluster(installed: None) -> Iterator[Nodes]:
    with galera_nodes(4) as nodes:
        for node in nodes.nodes:
            node.agent.parameters["CRM_meta_clone_max"] = "3"
        yield nodes


def test_a_first_start_needs_no_member_on_the_spare(cluster: Nodes) -> None:
    members, spare = cluster.nodes[:3], cluster.nodes[3]
    start(*members)
    answer = members[0].monitor()
    assert answer.code == 190 and answer.reason.startswith("waits for c4: a first start needs all configured nodes")
    assert spare.agent.probe() == 7
    wait_until(lambda: whole(*members), FORMS_S)
    assert [node.bootstrapped() for node in members] == [True, False, False]
    assert said(spare).startswith("spare,kind=empty") and attribute(cluster, "vimha-galera-called") == {}


@pytest.fixture
def formed(cluster: Nodes) -> Nodes:
    """Members on the first three, as the test above leaves them."""
    if not attribute(cluster, "vimha-galera"):
        assert cluster.nodes[3].agent.probe() == 7
        start(*cluster.nodes[:3])
        wait_until(lambda: whole(*cluster.nodes[:3]), FORMS_S)
    return cluster


@pytest.mark.soak
def test_a_spare_that_took_over_and_has_the_latest_data_is_called_after_a_loss_of_all(formed: Nodes) -> None:
    cluster, (c1, c2, c3, c4) = formed, formed.nodes
    c2.sql("CREATE DATABASE app")
    c2.sql("CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY)")
    c1.kill()
    start(c4)
    wait_until(lambda: whole(c2, c3, c4), FORMS_S)
    for gone in (c2, c3):
        c4.sql("INSERT INTO app.t VALUES ()")
        gone.kill() if gone is c2 else gone.stop()
        wait_until(lambda: c4.monitor().code == 0, 20)
    c4.sql("INSERT INTO app.t VALUES ()")
    rows = count(c4)
    for node in (c2, c3, c4):
        node.kill()

    probe(cluster)
    start(c1, c2, c3)
    for node in (c1, c2, c3):
        answer = node.monitor()
        assert answer.code == 190 and answer.reason.startswith("c4 has the latest data"), answer
    assert attribute(cluster, "vimha-galera-called") == {"c4": "1"}

    assert c1.stop().code == 0
    start(c4)
    wait_until(lambda: whole(c2, c3, c4), FORMS_S)
    assert [count(node) for node in (c2, c3, c4)] == [rows] * 3
    assert attribute(cluster, "vimha-galera-called") == {} and said(c1).startswith("spare,kind=state")


@pytest.mark.soak
def test_a_member_that_starts_while_its_data_are_recovered_ends_that_first(cluster: Nodes) -> None:
    c4 = cluster.nodes[3]
    c4.kill()
    slow = c4.folder / "slow"
    slow.write_text("#!/bin/sh\nsleep 600\n")
    slow.chmod(0o755)
    assert c4.agent.probe(binary=str(slow)) == 7
    wait_until(lambda: processes(str(slow)))
    start(c4)
    assert processes(str(slow)) == []
    wait_until(lambda: whole(*cluster.nodes[1:]), FORMS_S)
    assert said(c4).startswith("primary")

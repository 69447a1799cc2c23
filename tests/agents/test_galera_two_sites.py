"""Nodes of two sites on one network, with real mariadbds: no data are ever overwritten, and the operator is told."""

import json
from collections.abc import Iterator

import pytest
from galera_nodes import NEEDS_GALERA, Node, Nodes, galera_nodes
from ocf_calls import wait_until

pytestmark = NEEDS_GALERA
STALL_S = 90


@pytest.fixture(scope="module")
def sites(installed: None) -> Iterator[Nodes]:
    """c1 runs the cluster of another site; c2 has a database of its own, and is stopped."""
    with galera_nodes(2) as nodes:
        c1, c2 = nodes.nodes
        c1.config.write_text(c1.config.read_text().replace("vimha-test", "other-site"))
        for node in nodes.nodes:
            assert node.agent("start", timeout_ms=40000, **alone(node)).code == 0
            wait_until(lambda node=node: node.agent("monitor", **alone(node)).code == 0, 30)
        c2.sql("CREATE DATABASE precious")
        assert c2.agent("stop", timeout_ms=20000, **alone(c2)).code == 0
        yield nodes
        c1.agent("stop", timeout_ms=20000, **alone(c1))


def alone(node: Node) -> dict[str, str]:
    """Parameters of a site with this one member."""
    return {"members": f"{node.name}={node.address}", "attribute": f"vimha-{node.name}"}


def is_said_to_run(sites: Nodes, uuid: str) -> None:
    """c2's attribute daemon shows c1 as a member of the cluster `uuid`."""
    sites.store.write_text(json.dumps({"vimha-galera": {"c1": f"primary,kind=state,position={uuid}:-1"}}))


def test_a_foreign_clusters_data_are_not_overwritten(sites: Nodes) -> None:
    c1, c2 = sites.nodes
    state = c2.datadir / "grastate.dat"
    before, foreign = state.read_text(), c1.status().uuid
    is_said_to_run(sites, foreign)
    answer = c2.start()
    assert answer.code == 5
    assert answer.reason.startswith("foreign cluster: the data here are of ")
    assert f"c1 runs {foreign}; joining would overwrite them: move the datadir away" in answer.reason
    assert answer.reason.endswith("or see whether two sites share a network")
    assert c2.stop().code == 0
    assert (state.read_text(), (c2.datadir / "precious").is_dir()) == (before, True)


def test_another_sites_member_at_a_members_address_is_not_joined(sites: Nodes) -> None:
    c1, c2 = sites.nodes
    uuid = (c2.datadir / "grastate.dat").read_text().split()[7]
    is_said_to_run(sites, uuid)
    assert c2.start(patience="1").code == 0
    answers = [c2.monitor()]

    def explained() -> bool:
        answers.append(c2.monitor())
        return "another site" in answers[-1].reason

    wait_until(explained, STALL_S)
    assert answers[-1].code in (1, 190)
    assert "c1 is in it: if this lasts, are ports 4567 and 4444 open" in answers[-1].reason
    assert c1.status().cluster_size == 1
    assert c2.stop().code == 0
    assert (c2.datadir / "precious").is_dir()
    assert c2.agent("start", timeout_ms=40000, **alone(c2)).code == 0
    wait_until(lambda: c2.agent("monitor", **alone(c2)).code == 0, 30)
    assert c2.status().uuid == uuid
    assert c2.agent("stop", timeout_ms=20000, **alone(c2)).code == 0

"""The network between two real members fails for a moment while one sends the other what it missed."""

import threading
import time
from collections.abc import Iterator

import pytest
from galera_nodes import NEEDS_GALERA, Node, Nodes, galera_nodes
from ocf_calls import wait_until

from resource_agents.wsrep.status import DONOR
from vimha.process import checked, run

pytestmark = [pytest.mark.soak, *NEEDS_GALERA]
WHOLE_S = 120.0
ROUNDS = 6
ROWS = 30
CUT_S = 3.0
SOON = "evs.suspect_timeout=PT0.5S; evs.inactive_timeout=PT1.5S; evs.install_timeout=PT1.5S"
"""Galera's script of a transfer takes 1.3 s at least: so it ends without quorum."""


@pytest.fixture(scope="module")
def pair(installed: None) -> Iterator[Nodes]:
    with galera_nodes(2) as nodes:
        nodes.form(WHOLE_S)
        nodes.nodes[0].sql("CREATE DATABASE d")
        nodes.nodes[0].sql("CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, b LONGBLOB)")
        yield nodes


def recovered(node: Node) -> bool:
    """What Pacemaker does all the time: monitor, and start a failed member anew."""
    answer = node.monitor()
    if answer.code == 1:
        assert node.stop().code == 0
        assert node.start(patience="1").code == 0
    return answer.code == 0


def donates(node: Node) -> bool:
    return node.status().local_state == DONOR


def cut_off(pair: Nodes, node: Node, *, cut: bool) -> None:
    checked(run(["ip", "-n", f"{pair.prefix}hub", "link", "set", node.name, "down" if cut else "up"]))


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_a_donor_that_loses_its_quorum_in_a_transfer_serves_again(pair: Nodes, turn: int) -> None:
    """Galera itself leaves it a donor for ever, and not ready, when the transfer ends meanwhile (two turns of five)."""
    first, second = pair.nodes
    first.sql(f"SET GLOBAL wsrep_provider_options = '{SOON}'")
    assert second.stop().code == 0
    for _ in range(ROWS):
        first.sql("INSERT INTO d.t (b) VALUES (REPEAT('x', 4000000))")
    starting = threading.Thread(target=second.start)
    starting.start()
    wait_until(lambda: donates(first), 20)
    time.sleep(0.1 * turn)
    cut_off(pair, second, cut=True)
    time.sleep(CUT_S)
    cut_off(pair, second, cut=False)
    starting.join()
    wait_until(lambda: [recovered(node) for node in pair.nodes] == [True, True], WHOLE_S)
    assert {node.sql("SELECT COUNT(*) FROM d.t")[0][0] for node in pair.nodes} == {str(ROWS * (turn + 1))}

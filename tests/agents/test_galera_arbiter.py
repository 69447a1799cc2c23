"""The garbd agent: two real members and an arbitrator, which keeps one of them going and lets both come back."""

import os
import shutil
import signal
from collections.abc import Iterator

import pytest
from galera_nodes import Node, Nodes, galera_nodes
from ocf_calls import kill, wait_until

pytestmark = [
    pytest.mark.agents,
    pytest.mark.usefixtures("installed"),
    pytest.mark.skipif(not shutil.which("garbd"), reason="needs galera-arbitrator-4 and mariadb-server"),
]
WHOLE_S = 180.0


@pytest.fixture(scope="module")
def pair(installed: None) -> Iterator[Nodes]:
    with galera_nodes(2, arbiter=True) as nodes:
        yield nodes


def arbiter(pair: Nodes) -> Node:
    assert pair.arbiter is not None
    return pair.arbiter


def test_an_arbiter_waits_for_the_members_and_then_votes(pair: Nodes) -> None:
    agent = arbiter(pair).agent
    assert agent.probe() == 7
    assert agent("start").code == 0
    answer = agent("monitor")
    assert answer.code == 190
    assert answer.reason == "no member of gcomm://10.77.9.11,10.77.9.12 is connected"
    pair.start()
    wait_until(lambda: agent("monitor").code == 0, WHOLE_S)
    wait_until(pair.whole, WHOLE_S)
    assert agent.probe() == 0


def test_one_member_and_the_arbiter_go_on(pair: Nodes) -> None:
    first, second = pair.nodes
    second.kill()
    wait_until(lambda: first.status().cluster_size == 2, 20)
    assert first.status().synced
    assert second.start().code == 0
    wait_until(pair.whole, WHOLE_S)


def test_both_members_killed_come_back_with_the_arbiter_that_stayed(pair: Nodes) -> None:
    uuid = pair.nodes[0].status().uuid
    for node in pair.nodes:
        node.kill()
    pair.form(WHOLE_S)
    assert {node.status().uuid for node in pair.nodes} == {uuid}


def test_the_survivor_alone_with_the_arbiter_begins_again(pair: Nodes) -> None:
    """The one that died first may not: it is behind, and the arbiter's last view was without it."""
    first, second = pair.nodes
    second.kill()
    wait_until(lambda: first.status().cluster_size == 2, 20)
    first.sql("CREATE DATABASE later")
    first.kill()
    assert second.start(patience="1").code == 0
    assert second.monitor().code == 190
    assert first.start().code == 0
    wait_until(pair.whole, WHOLE_S)
    assert second.sql("SHOW DATABASES LIKE 'later'") == [("later",)]


def test_killed_frozen_and_stopped(pair: Nodes) -> None:
    agent = arbiter(pair).agent
    kill(agent.pid)
    assert agent("monitor").code == 7
    assert agent("start").code == 0
    wait_until(lambda: agent("monitor").code == 0, WHOLE_S)
    os.kill(agent.pid, signal.SIGSTOP)
    answer = agent("monitor")
    assert (answer.code, answer.reason) == (1, "stopped by a signal (state T): it lives, but has no vote")
    assert agent("stop").code == 0
    assert agent.probe() == 7
    wait_until(lambda: pair.nodes[0].status().cluster_size == 2, 20)
    assert pair.nodes[0].status().synced


@pytest.mark.parametrize(
    ("changed", "code", "reason"),
    [({"binary": "/usr/bin/no-garbd"}, 5, "/usr/bin/no-garbd is not installed"),
     ({"user": "nobody-at-all"}, 5, "user nobody-at-all does not exist"),
     ({"address": "gcomm://"}, 6, "parameter address='gcomm://' is not gcomm:// and the members' addresses"),
     ({"options": "evs.no_such=PT1S"}, 6, "parameter options is wrong: Unrecognized parameter 'evs.no_such'"),
     ({"options": "evs.suspect_timeout=soon"}, 6,
      "parameter options is wrong: failed to open gcomm backend connection: 22: Bad value 'soon' for parameter"),
     ({"workdir": "/root"}, 5,
      "workdir /root is root's, so nobody cannot keep its last view there: chown nobody: /root"),
     ({"log": "/root/garbd.log"}, 5, "the log is in a folder that is not garbd's user's: ")],
)  # fmt: skip
def test_what_cannot_start(pair: Nodes, changed: dict[str, str], code: int, reason: str) -> None:
    agent = arbiter(pair).agent
    assert agent("stop").code == 0
    answer = agent("start", **changed)
    assert answer.code == code, answer
    assert answer.reason.startswith(reason)
    assert agent("stop", **changed).code == 0

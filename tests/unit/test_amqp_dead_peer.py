"""The alert that tells a broker of a peer's death: which events count, and that only the dead one's sockets close."""

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from resource_agents.amqp import dead_peer
from resource_agents.amqp.dead_peer import act, answers, verdict
from resource_agents.amqp.sockets import Connections, close_all

MEMBERS = {"c1": "127.0.0.2", "c2": "127.0.0.3"}
LOST = {"CRM_alert_kind": "node", "CRM_alert_desc": "lost", "CRM_alert_node": "c2"}
FENCED = {
    "CRM_alert_kind": "fencing", "CRM_alert_task": "st_notify_fence", "CRM_alert_rc": "0", "CRM_alert_node": "c2",
    "CRM_alert_desc": "Operation reboot of c2 by c1 for pacemaker-controld.45@c1: OK (ref=a6fa44ab)",
}  # fmt: skip
"""As Pacemaker 2.1.5 told in a lab."""


@pytest.mark.parametrize(
    ("event", "told"),
    [(LOST, "lost"), ({**LOST, "CRM_alert_desc": "member"}, ""), (FENCED, "fenced"),
     ({**FENCED, "CRM_alert_desc": "Operation off of c2 by a human for stonith_admin.859@c1: OK"}, "fenced"),
     ({**FENCED, "CRM_alert_desc": "Operation on of c2 by c1: OK"}, ""), ({**FENCED, "CRM_alert_rc": "-19"}, ""),
     ({**FENCED, "CRM_alert_desc": "", "CRM_alert_task": "off"}, "fenced"),
     ({"CRM_alert_kind": "resource"}, ""), ({}, "")],
)  # fmt: skip
def test_events(event: dict[str, str], told: str) -> None:
    assert verdict(event) == told


def test_a_node_that_is_no_member_is_none_of_ours() -> None:
    assert act({**LOST, "CRM_alert_node": "arbiter"}, MEMBERS) == ""


def test_a_lost_node_whose_port_mapper_answers_is_left_to_fencing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_peer, "answers", lambda _address: True)
    assert "waits for its fencing" in act(LOST, MEMBERS)


def test_a_frozen_port_mapper_does_not_answer() -> None:
    """The kernel accepts for it."""
    with socket.create_server(("127.0.0.3", 0)) as listener:
        assert not answers("127.0.0.3", listener.getsockname()[1])


def test_a_host_that_refuses_lives() -> None:
    with socket.create_server(("127.0.0.3", 0)) as listener:
        port = listener.getsockname()[1]
    assert answers("127.0.0.3", port)


@pytest.fixture
def pairs() -> Iterator[dict[str, tuple[socket.socket, socket.socket]]]:
    """Connections from 127.0.0.2 to two peers: the client's end first."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    found = {}
    listeners = []
    for peer in ("127.0.0.3", "127.0.0.4"):
        listener = socket.create_server((peer, 0))
        client = socket.create_connection(listener.getsockname(), source_address=("127.0.0.2", 0))
        found[peer] = client, listener.accept()[0]
        listeners.append(listener)
    yield found
    for sock in [*listeners, *(each for pair in found.values() for each in pair)]:
        sock.close()


def test_the_dead_ones_connections_end_at_once_and_no_other(
    pairs: dict[str, tuple[socket.socket, socket.socket]],
) -> None:
    dead, living = pairs["127.0.0.3"], pairs["127.0.0.4"]
    port = dead[0].getpeername()[1]
    assert close_all("127.0.0.3", frozenset({port + 1})) == 0
    assert close_all("127.0.0.3", frozenset({port})) == 1
    dead[0].settimeout(2)
    with pytest.raises(ConnectionAbortedError):
        dead[0].recv(1)
    living[1].sendall(b"x")
    assert living[0].recv(1) == b"x"
    assert close_all("127.0.0.3", frozenset({port})) == 0


def test_a_brokers_connections_are_told_apart(pairs: dict[str, tuple[socket.socket, socket.socket]]) -> None:
    """Clients of its own listener, and peers at either end of a distribution's connection; each may be closed alone."""
    (client, served), (linked, far) = pairs["127.0.0.3"], pairs["127.0.0.4"]
    broker = Connections("127.0.0.3", served.getsockname()[1], 1)
    clients, peers = broker.all()
    assert (len(clients), peers) == (1, {})
    assert broker.there(clients)
    _, peers = Connections("127.0.0.2", 1, far.getsockname()[1]).all()
    assert list(peers.values()) == ["127.0.0.4"]
    broker.close(clients)
    assert not any(broker.there([each]) for each in clients)
    client.settimeout(2)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    far.sendall(b"x")
    assert linked.recv(1) == b"x"


def test_fenced_closes(pairs: dict[str, tuple[socket.socket, socket.socket]]) -> None:
    port = pairs["127.0.0.3"][0].getpeername()[1]
    assert "c2 is fenced: closed 1 connections to 127.0.0.3" in act(FENCED, MEMBERS, frozenset({port}))


def test_the_agent_runs_without_anything_but_the_standard_library() -> None:
    code = "import sys; sys.path.insert(0, '.'); from resource_agents.amqp.dead_peer import main; main()"
    done = subprocess.run(["/usr/bin/python3", "-IS", "-c", code], env={}, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")

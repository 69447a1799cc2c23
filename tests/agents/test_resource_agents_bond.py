"""The bond agent over plain ports, against real network interfaces in a namespace. Kernel bonds: tests/agents/qemu."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ocf_calls import Resource

from vimha.process import checked, run

pytestmark = [pytest.mark.agents, pytest.mark.usefixtures("installed")]

NETNS = f"vh-agents-{os.getpid()}"


def ip(*words: str) -> None:
    checked(run(["ip", "-n", NETNS, *words]))


@pytest.fixture
def ports() -> Iterator[Resource]:
    """Two veth ports, eth0 and eth1, whose far ends s0 and s1 stand for the switches'."""
    checked(run(["ip", "netns", "add", NETNS]))
    try:
        for number in (0, 1):
            ip("link", "add", f"eth{number}", "type", "veth", "peer", "name", f"s{number}")
            ip("link", "set", f"eth{number}", "up")
            ip("link", "set", f"s{number}", "up")
        resource = Resource("bond", ("ip", "netns", "exec", NETNS), bond="", attribute=f"test-{NETNS}")
        yield resource
        resource("stop")
    finally:
        run(["ip", "netns", "del", NETNS])


def published() -> str:
    return Path(f"/run/resource-agents/test-{NETNS}.attribute").read_text().split()[0]


def test_ports_come_and_go(ports: Resource) -> None:
    assert ports.probe() == 7
    assert ports("start").code == 0
    assert (ports("monitor").code, published()) == (0, "2")
    ip("link", "set", "s1", "down")
    answer = ports("monitor")
    assert (answer.code, answer.reason.partition(";")[0], published()) == (190, "eth1 has no carrier", "1")
    assert ports.probe() == 190
    ip("link", "set", "eth0", "down")
    answer = ports("monitor")
    assert (answer.code, published()) == (1, "0")
    assert answer.reason.startswith("no usable port: eth0 is administratively down: ip link set eth0 up")
    ip("link", "del", "eth1")
    assert "eth1 does not exist on this node" in ports("monitor").reason
    ip("link", "set", "eth0", "up")
    assert (ports("monitor").code, published()) == (190, "1")
    assert ports("stop").code == 0
    assert ports.probe() == 7


def test_it_starts_with_every_cable_pulled(ports: Resource) -> None:
    ip("link", "set", "s0", "down")
    ip("link", "set", "s1", "down")
    assert ports("start").code == 0
    assert published() == "0"
    assert ports("monitor").code == 1


@pytest.mark.parametrize(
    ("changed", "code", "reason"),
    [({"bond": "bond0"}, 5, "bond0 does not exist on this node: create it from eth0 and eth1"),
     ({"bond": "eth0"}, 5, "eth0 is no kernel bond"),
     ({"ports": "eth7 eth8"}, 5, "none of eth7, eth8 exists on this node"),
     ({"ports": "eth0"}, 6, "parameter ports='eth0' names fewer than 2 different ports"),
     ({"min_ports": "x"}, 6, "parameter min_ports='x' is not a whole number")],
)  # fmt: skip
def test_what_cannot_start(ports: Resource, changed: dict[str, str], code: int, reason: str) -> None:
    answer = ports("start", **changed)
    assert answer.code == code
    assert answer.reason.startswith(reason)
    assert ports.probe(**changed) == 7
    assert ports("stop", **changed).code == 0

"""The VIP's agent in network namespaces: two nodes and a client on one wire, which a bridge makes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from ocf_calls import Resource, wait_until

from vimha.process import checked, run

pytestmark = [pytest.mark.agents, pytest.mark.usefixtures("installed")]

NETNS = f"vh-vip-{os.getpid()}"
VIP, VIP6 = "10.99.0.100", "fd99::100"
LISTENER = """
import socket, sys, time
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
sniffer.bind(("eth0", 0))
print("listening", flush=True)
while True:
    frame = sniffer.recv(2000)
    if frame[12:14] == bytes((8, 6)) and frame[28:32] == frame[38:42] == socket.inet_aton(sys.argv[1]):
        print(time.monotonic(), frame[21], frame[22:28].hex(":"), flush=True)
"""
"""Gratuitous ARP as it arrives: when, the operation, and the MAC address that it tells."""

ECHO = """
import socket
server = socket.create_server(("", 7777))
print("listening", flush=True)
peer = server.accept()[0]
peer.sendall(peer.recv(9))
peer.recv(9)
"""
TALKER = """
import socket, sys
peer = socket.create_connection((sys.argv[1], 7777))
print("connected", flush=True)
sys.stdin.readline()
peer.sendall(b"x")
print(peer.recv(9))
"""
WAITER = """
import socket, sys
peer = socket.create_connection((sys.argv[1], 7777))
print("connected", flush=True)
try:
    print(peer.recv(9))
except ConnectionResetError:
    print("reset")
"""


def ip(where: str, *words: str) -> str:
    return checked(run(["ip", "-n", f"{NETNS}-{where}", *words])).out


@pytest.fixture
def wire() -> Iterator[None]:
    """Hosts one, two and client, each with eth0 on the wire, 10.99.0.N/24 and fd99::N/64."""
    hosts = ("wire", "one", "two", "client")
    try:
        for number, host in enumerate(hosts):
            checked(run(["ip", "netns", "add", f"{NETNS}-{host}"]))
            ip(host, "link", "set", "lo", "up")
            if host == "wire":
                ip(host, "link", "add", "bridge", "type", "bridge")
                ip(host, "link", "set", "bridge", "up")
                continue
            peer = ("peer", "name", host, "netns", f"{NETNS}-wire")
            ip(host, "link", "add", "eth0", "type", "veth", *peer)
            ip(host, "addr", "add", f"10.99.0.{number}/24", "dev", "eth0")
            ip(host, "addr", "add", f"fd99::{number}/64", "dev", "eth0", "nodad")
            ip(host, "link", "set", "eth0", "up")
            ip("wire", "link", "set", host, "master", "bridge", "up")
        yield
    finally:
        for host in hosts:
            run(["ip", "netns", "del", f"{NETNS}-{host}"])


def vip_on(host: str, address: str = VIP, **parameters: str) -> Resource:
    return Resource("vip", ("ip", "netns", "exec", f"{NETNS}-{host}"), ip=address, **parameters)


def mac_of(host: str) -> str:
    return ip(host, "link", "show", "eth0").split("link/ether ")[1].split()[0]


def known_mac(address: str = VIP) -> str:
    """The MAC address that the client has for `address`."""
    words = ip("client", "neigh", "show", address).split()
    return words[words.index("lladdr") + 1] if "lladdr" in words else ""


def ping(address: str = VIP) -> bool:
    return run(["ip", "netns", "exec", f"{NETNS}-client", "ping", "-n", "-c1", "-W1", address]).ok


@pytest.fixture
def heard(wire: None, tmp_path: Path) -> Iterator[Path]:
    """What the client heard of the VIP, a line for each frame."""
    log = tmp_path / "heard"
    argv = ["ip", "netns", "exec", f"{NETNS}-client", sys.executable, "-c", LISTENER, VIP]
    with log.open("w") as sink, subprocess.Popen(argv, stdout=sink) as listener:
        wait_until(log.read_text)
        yield log
        listener.kill()


def frames(heard: Path) -> list[tuple[float, int, str]]:
    found = [line.split() for line in heard.read_text().splitlines()[1:]]
    return [(float(at), int(operation), mac) for at, operation, mac in found]


def announcers() -> list[int]:
    """Processes that repeat announcements, in our namespaces' files or not."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        if "(vimha-announce)" in text and ") Z " not in text:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize("address", [VIP, VIP6])
def test_it_moves_and_a_client_that_knows_the_old_holder_follows(wire: None, address: str) -> None:
    one, two = vip_on("one", address), vip_on("two", address)
    assert one.probe() == 7
    assert one("start").code == 0
    assert one("monitor").code == one.probe() == 0
    assert ping(address)
    assert known_mac(address) == mac_of("one")
    assert one("stop").code == 0
    assert one("monitor").code == 7
    assert two("start").code == 0
    assert known_mac(address) == mac_of("two"), "told, not asked for"
    assert ping(address)
    assert two("stop").code == 0


def test_it_is_announced_before_start_returns_and_five_times_in_all(heard: Path) -> None:
    begun = time.monotonic()
    assert vip_on("one")("start").code == 0
    returned = time.monotonic()
    wait_until(lambda: len(frames(heard)) >= 10)
    wait_until(lambda: not announcers())
    told = frames(heard)
    assert [operation for _, operation, _ in told] == [1, 2] * 5
    assert {mac for _, _, mac in told} == {mac_of("one")}
    times = [at for at, operation, _ in told if operation == 1]
    assert begun < times[0] < returned + 0.05
    assert all(later - before > 0.19 for before, later in pairwise(times))
    vip_on("one")("stop")


def test_no_announcement_outlives_the_holding(heard: Path) -> None:
    vip = vip_on("one")
    vip("start")
    assert announcers()
    assert vip("stop").code == 0
    assert not announcers()
    vip("start")
    ip("one", "addr", "del", f"{VIP}/24", "dev", "eth0")
    removed = time.monotonic()
    wait_until(lambda: not announcers())
    assert all(at < removed + 0.02 for at, _, _ in frames(heard)), "removed by hand: the announcer sees it"


def test_start_and_stop_leave_it_nowhere_else(wire: None) -> None:
    ip("one", "link", "add", "other", "type", "bridge")
    ip("one", "link", "set", "other", "up")
    ip("one", "addr", "add", f"{VIP}/32", "dev", "other")
    vip = vip_on("one", nic="eth0", cidr_netmask="24")
    assert (vip.probe(), vip("monitor").reason) == (1, f"{VIP} is on other, and only eth0 should have it")
    assert vip("start").code == 0
    assert VIP not in ip("one", "addr", "show", "dev", "other")
    assert f"{VIP}/24 brd 10.99.0.255" in ip("one", "addr", "show", "dev", "eth0")
    ip("one", "addr", "add", f"{VIP}/32", "dev", "other")
    assert vip("monitor").code == 1
    assert vip("stop").code == 0
    assert VIP not in ip("one", "addr")
    assert "10.99.0.1/24" in ip("one", "addr"), "the node's own address stays"


def test_an_interface_that_is_down_or_gone(wire: None) -> None:
    vip = vip_on("one", nic="eth0", cidr_netmask="24")
    vip("start")
    ip("one", "link", "set", "eth0", "down")
    down = "eth0 is administratively down: ip link set eth0 up"
    assert (vip("monitor").code, vip("monitor").reason) == (1, down)
    assert vip("stop").code == 0
    assert VIP not in ip("one", "addr")
    answer = vip("start")
    assert (answer.code, answer.reason) == (1, down)
    assert vip("start", nic="eth7").code == 5
    assert vip("stop", nic="eth7").code == 0
    assert vip.probe(nic="eth7") == 7


def test_a_foreign_answer_does_not_stop_a_failover(wire: None) -> None:
    """Somebody on the wire has the address already, as a stale or proxy ARP would say."""
    ip("client", "addr", "add", f"{VIP}/24", "dev", "eth0")
    ip("client", "addr", "add", f"{VIP6}/64", "dev", "eth0", "nodad")
    for address in (VIP, VIP6):
        vip = vip_on("one", address)
        answer = vip("start")
        assert (answer.code, vip("monitor").code) == (0, 0)
        assert answer.took_s < 1, "nobody is asked first"


@contextmanager
def client(program: str) -> Iterator[subprocess.Popen[str]]:
    """A client that runs `program`, connected to the VIP on the host one, where ECHO serves it."""
    argv = ["ip", "netns", "exec", f"{NETNS}-one", sys.executable, "-c", ECHO]
    words = ["ip", "netns", "exec", f"{NETNS}-client", sys.executable, "-c", program, VIP]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdout=pipe, text=True) as server:
        try:
            assert server.stdout
            assert server.stdout.readline() == "listening\n"
            with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as it:
                try:
                    assert it.stdout
                    assert it.stdout.readline() == "connected\n"
                    yield it
                finally:
                    it.kill()
        finally:
            server.kill()


def test_a_connection_to_it_comes_back_with_the_address(wire: None) -> None:
    """A removed address cuts nobody off by itself: TCP's own retries find the address again, as with IPaddr2."""
    vip = vip_on("one")
    vip("start")
    with client(TALKER) as talker:
        assert vip("stop").code == 0
        assert vip("start").code == 0
        assert talker.communicate("\n", timeout=20)[0] == "b'x'\n"


def test_a_client_that_waits_for_an_answer_hears_that_the_address_has_moved(wire: None) -> None:
    one, two = vip_on("one"), vip_on("two")
    one("start")
    with client(WAITER) as waiter:
        assert one("stop").code == 0
        assert two("start").code == 0
        assert waiter.communicate(timeout=5)[0] == "reset\n", "it sends nothing, and would wait for ever"
    two("stop")


def test_a_removed_address_is_found_by_the_standing_looks(wire: None) -> None:
    vip = vip_on("one")
    vip("start")
    assert vip("monitor", interval_ms=200).code == 0
    ip("one", "addr", "del", f"{VIP}/24", "dev", "eth0")
    wait_until(lambda: vip("monitor", interval_ms=200).code == 7, 2.0)
    vip("stop")

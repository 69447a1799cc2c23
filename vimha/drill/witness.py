"""The witnesses of split brain: netlink inside every node's namespace, ARP on the planes' switches.

One process (`python -m vimha.drill.witness`) holds all the sockets and writes a `Sighting` per JSON line. Invariant:
everything that one wake-up finds carries one stamp, taken before anything is read, so that the order in which sockets
are read cannot make an overlap out of a clean move. A node's namespace that is built anew (power off and on) is found
again. A node's power is cut when every one of its cables goes dead at once, the out-of-band one too (no other fault
does that), or when its namespace is gone.
"""

import argparse
import json
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from vimha.drill.recorder import Recorder, orphaned
from vimha.drill.split_brain import Sighting

NETNS = Path("/run/netns")
RESCAN_S = 0.1
"""How often namespaces are looked at for having been rebuilt; a machine takes longer than that to boot."""

RTM_NEWLINK, RTM_DELADDR, RTM_NEWADDR = 16, 21, 20
RTM_GETLINK, RTM_GETADDR = 18, 22
RTMGRP_LINK, RTMGRP_IPV4_IFADDR = 0x1, 0x10
NLM_REQUEST_DUMP = 0x1 | 0x300
IFF_LOOPBACK, IFF_LOWER_UP = 0x8, 0x10000
ETH_P_ARP = 0x0806
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 1, 1


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The netlink messages in `data`: type and payload (rfc3549)."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        if length < 16:
            return
        yield kind, data[16:length]
        data = data[(length + 3) & ~3 :]


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes of a route-netlink payload behind its fixed header."""
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


def address_change(kind: int, payload: bytes) -> tuple[str, str] | None:
    """(`hold` or `release`, address) of an RTM_NEWADDR or RTM_DELADDR message; None of any other."""
    if kind not in (RTM_NEWADDR, RTM_DELADDR):
        return None
    found = attributes(payload[8:])
    raw = found.get(2) or found.get(1) or b""  # IFA_LOCAL, IFA_ADDRESS
    return ("hold" if kind == RTM_NEWADDR else "release", socket.inet_ntoa(raw)) if len(raw) == 4 else None


@dataclass(frozen=True)
class Link:
    """An interface as a netlink message tells it: its MAC address, and whether it feels its cable's other end."""

    index: int
    mac: str
    carrier: bool


def link_change(kind: int, payload: bytes) -> Link | None:
    """The interface in an RTM_NEWLINK message; None of any other message and of loopback."""
    if kind != RTM_NEWLINK or len(payload) < 16:
        return None
    index, flags = struct.unpack_from("=iI", payload, 4)
    raw = attributes(payload[16:]).get(1, b"")  # IFLA_ADDRESS
    return None if flags & IFF_LOOPBACK else Link(index, raw.hex(":"), bool(flags & IFF_LOWER_UP))


def arp_claim(frame: bytes) -> tuple[str, str] | None:
    """(MAC, address) that an ARP frame claims: its sender's (rfc826, rfc5227); None for a probe or another frame."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x06" or not any(frame[28:32]):
        return None
    return frame[22:28].hex(":"), socket.inet_ntoa(frame[28:32])


@contextmanager
def inside(netns: str) -> Iterator[None]:
    """This thread in the network namespace `netns` (its name); sockets made here stay there."""
    from pyroute2 import netns as door  # 180 ms, needed by the recorder's process only

    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        door.setns(netns)
        try:
            yield
        finally:
            door.setns(home)
    finally:
        os.close(home)


class Witness:
    """All sockets of one lab: `wait` reads what is ready and emits it."""

    def __init__(self, nodes: Mapping[str, str], vips: frozenset[str], emit: Callable[[Sighting], object]) -> None:
        self._nodes, self._vips, self._emit = nodes, vips, emit
        self._selector = selectors.DefaultSelector()
        self._open: dict[str, tuple[int, socket.socket]] = {}
        self._macs: dict[str, str] = {}
        self._carriers: dict[str, dict[int, bool]] = {}

    def sniff(self, netns: str, interfaces: Sequence[str]) -> None:
        """Listen to the ARP frames on `interfaces` (the planes' bridges) in the namespace `netns`."""
        with inside(netns):
            for name in interfaces:
                sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, ETH_P_ARP)
                sniffer.bind((name, ETH_P_ARP))
                request = struct.pack("=iHH8s", socket.if_nametoindex(name), PACKET_MR_PROMISC, 0, b"")
                sniffer.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, request)
                self._selector.register(sniffer, selectors.EVENT_READ, "")

    def rescan(self) -> None:
        """Open the namespaces that are new since the last look; those that are gone are a power cut."""
        for node, netns in self._nodes.items():
            try:
                inode = (NETNS / netns).stat().st_ino
            except FileNotFoundError:
                inode = 0
            known = self._open.get(node)
            if known and known[0] != inode:
                self._forget(node)
            if inode and node not in self._open:
                self._attach(node, netns, inode)

    def wait(self, timeout_s: float) -> None:
        """Wait for the next sightings, at most `timeout_s` seconds, and emit them with one stamp."""
        ready = self._selector.select(timeout_s)
        stamp = time.monotonic()
        for key, _ in ready:
            assert isinstance(key.fileobj, socket.socket)  # noqa: S101
            for data in _drain(key.fileobj):
                self._note(stamp, key.data, data)

    def _attach(self, node: str, netns: str, inode: int) -> None:
        try:
            with inside(netns):
                link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        except OSError:  # its name is there, the namespace not yet or no longer: the next look finds out
            return
        link.bind((0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR))
        self._open[node] = (inode, link)
        self._carriers[node] = {}
        for request in (RTM_GETLINK, RTM_GETADDR):
            link.send(struct.pack("=IHHIIB3x", 20, request, NLM_REQUEST_DUMP, 1, 0, 0))
            for data in _drain(link):
                self._note(time.monotonic(), node, data)
        self._selector.register(link, selectors.EVENT_READ, node)

    def _forget(self, node: str) -> None:
        _, link = self._open.pop(node)
        self._selector.unregister(link)
        link.close()
        if any(self._carriers.pop(node).values()):
            self._emit(Sighting(time.monotonic(), "cut", node))

    def _note(self, stamp: float, node: str, data: bytes) -> None:
        if not node:
            claim = arp_claim(data)
            if claim and claim[1] in self._vips:
                self._emit(Sighting(stamp, "claim", self._macs.get(claim[0], claim[0]), claim[1]))
            return
        for kind, payload in messages(data):
            change, link = address_change(kind, payload), link_change(kind, payload)
            if link:
                self._note_link(stamp, node, link)
            if change and change[1] in self._vips:
                self._emit(Sighting(stamp, change[0], node, change[1]))

    def _note_link(self, stamp: float, node: str, link: Link) -> None:
        carriers = self._carriers[node]
        had_power = any(carriers.values())
        carriers[link.index] = link.carrier
        if link.mac:
            self._macs[link.mac] = node
        if had_power and not any(carriers.values()):
            self._emit(Sighting(stamp, "cut", node))


def _drain(source: socket.socket) -> Iterator[bytes]:
    """Everything that can be read from `source` without waiting."""
    while True:
        try:
            yield source.recv(65536)
        except OSError:  # nothing left, or the interface behind it went away
            return


class Watch:
    """The witness process of a drill; use as a context manager."""

    def __init__(
        self, nodes: Mapping[str, str], vips: Sequence[str], netns: str, bridges: Sequence[str], log: Path
    ) -> None:
        order = {"nodes": dict(nodes), "vips": list(vips), "netns": netns, "bridges": list(bridges)}
        self._sightings: list[Sighting] = []
        self._recorder = Recorder("vimha.drill.witness", [json.dumps(order)], log)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self._recorder.stop()

    def read(self) -> list[Sighting]:
        """Every sighting by now; the first `ready` says that nothing is missed any more. VimhaError when the process
        died.
        """
        self._sightings.extend(Sighting(**record) for record in self._recorder.fresh())
        return self._sightings


def _main() -> None:
    parser = argparse.ArgumentParser(description="Watch VIP holders as ORDER (JSON) says, until stopped.")
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("order", type=json.loads)
    options = parser.parse_args()
    order = options.order
    witness = Witness(
        order["nodes"], frozenset(order["vips"]), lambda seen: print(json.dumps(asdict(seen)), flush=True)
    )
    witness.sniff(order["netns"], order["bridges"])
    witness.rescan()
    print(json.dumps(asdict(Sighting(time.monotonic(), "ready", ""))), flush=True)
    while not orphaned(options.parent):
        witness.wait(RESCAN_S)
        witness.rescan()


if __name__ == "__main__":
    _main()

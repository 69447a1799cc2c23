"""What a node owes the clients of an address that it gives up: to hear of it once another node has taken it over.

A client that waits for an answer sends nothing, so nothing tells it that its connection is gone: it waits until a
time-out of its own, and most have none. So the node that gave the address up sends each client an empty segment of the
old connection, out of sequence. The client answers with what it does expect (RFC 9293, 3.10.7.4), to the new holder,
who knows no such connection and resets it (3.10.7.1): the client connects anew. (CTDB's "tickle ACK".)

Invariant: nothing is sent before another host has announced the address, as seen on the wire; so nothing is where the
address comes back to this node. The segments tell no neighbour who has the address: only ARP does.
"""

import _socket
import struct

from resource_agents.address.announce import ARP, ARP_PACKET, ETHERNET, internet_checksum
from resource_agents.address.kernel import Link
from resource_agents.ocf import netlink, tcp
from resource_agents.ocf.process import leave
from resource_agents.ocf.system import System

NAME = "vimha-handover"
"""What ps shows."""
WAIT_S = 10.0
"""So long after a stop another node's start is waited for."""
TIMES = 2
PAUSE_S = 0.6
"""A segment or its answer may get lost; a client's kernel answers one of them in 0.5 s (tcp_invalid_ratelimit)."""
SEGMENT = struct.Struct("!HHIIBBHHH")
"""RFC 9293, 3.1: ports, sequence and acknowledgement numbers, header's length, flags, window, checksum, urgent."""
ACK = 0x10
WORDS = 5 << 4
"""The header's length: five words of 32 bits."""
PACKET = struct.Struct("!BBHHHBBH4s4s")
"""RFC 791, 3.1; the kernel fills in length, identification and checksum (raw(7))."""
VERSION, TTL = 0x45, 64
FRAME = ETHERNET.size + ARP_PACKET.size


def clients(local: bytes) -> list[tuple[int, bytes, int]]:
    """The connections to the packed IPv4 address `local`: own port, the client's address and port."""
    found = netlink.asking(tcp.NETLINK_SOCK_DIAG, lambda sock: tcp.identities(sock, _socket.AF_INET))
    every = (tcp.ID.unpack(each) for each in found)
    return [(port, far[:4], far_port) for port, far_port, own, far, *_ in every if own[:4] == local]


def segment(local: bytes, port: int, far: bytes, far_port: int) -> bytes:
    """The packet that makes a client answer: no data, and numbers that are hardly ever those of its connection."""
    bare = SEGMENT.pack(port, far_port, 0, 0, WORDS, ACK, 0, 0, 0)
    checksum = internet_checksum(local + far + struct.pack("!HH", _socket.IPPROTO_TCP, len(bare)) + bare)
    packed = SEGMENT.pack(port, far_port, 0, 0, WORDS, ACK, 0, checksum, 0)
    return PACKET.pack(VERSION, 0, 0, 0, 0, TTL, _socket.IPPROTO_TCP, 0, local, far) + packed


def announced(frame: bytes, local: bytes, mac: bytes) -> bool:
    """Whether in this frame another host than `mac` announces `local` (RFC 5227, 3: sender and target are the same)."""
    if len(frame) < FRAME or ETHERNET.unpack_from(frame)[2] != ARP:
        return False
    *_, sender, own, _, target = ARP_PACKET.unpack_from(frame, ETHERNET.size)
    return bool(own == target == local and sender != mac)


def begin(system: System, link: Link, local: bytes) -> None:
    """Leave a process that tells the clients of the packed IPv4 address `local`, which `link` is about to lose; none
    where it has no clients. OSError when that is not possible.
    """
    if not (known := clients(local)):
        return
    ears = _socket.socket(_socket.AF_PACKET, _socket.SOCK_RAW, 0)
    try:
        ears.bind((link.name, ARP))
        leave(lambda: _tell(system, ears, link.mac, local, known))
    finally:
        ears.close()


def _tell(system: System, ears: _socket.socket, mac: bytes, local: bytes, known: list[tuple[int, bytes, int]]) -> None:
    system.name_process(NAME)
    if not _taken_over(system, ears, mac, local):
        return
    mouth = _socket.socket(_socket.AF_INET, _socket.SOCK_RAW, _socket.IPPROTO_RAW)
    for number in range(TIMES):
        system.sleep(PAUSE_S if number else 0.0)
        for port, far, far_port in known:
            try:
                mouth.sendto(segment(local, port, far, far_port), (_socket.inet_ntoa(far), 0))
            except OSError:  # no way to this one; the others are told
                continue


def _taken_over(system: System, ears: _socket.socket, mac: bytes, local: bytes) -> bool:
    """Whether another host announces `local` within WAIT_S; True as soon as it does."""
    end = system.monotonic() + WAIT_S
    while (left := end - system.monotonic()) > 0:
        ears.settimeout(left)
        try:
            if announced(ears.recv(FRAME), local, mac):
                return True
        except TimeoutError:
            return False
    return False

"""Telling the neighbours on a network who holds an address now, so that none sends to the holder before.

Invariant: no announcement outlives the holding. The process that repeats them looks each time whether the address is
still where it was, and whoever gives the address up ends it first and waits until it is gone.
"""

import _socket
import struct

from resource_agents.address import kernel
from resource_agents.ocf.process import kill_named, leave, parse_stat
from resource_agents.ocf.system import KILL, System

FOLDER = "/run/vimha/announcing"
NAME = "vimha-announce"
"""What ps shows."""
TIMES = 5
PAUSE_S = 0.2
"""A frame may get lost, or meet a switch port that does not forward yet: as often as IPaddr2, and as soon."""

BROADCAST = b"\xff" * 6
ALL_NODES = b"\xff\x02" + bytes(13) + b"\x01"
"""ff02::1; its frames go to 33:33: and the address's last four bytes (RFC 2464, 7)."""
ARP, IPV6, ICMPV6 = 0x0806, 0x86DD, 58
ETHERNET = struct.Struct("!6s6sH")
ARP_PACKET = struct.Struct("!HHBBH6s4s6s4s")
"""RFC 826: hardware and protocol, their lengths, operation; sender's and target's MAC and IPv4 address."""
ARP_REQUEST, ARP_REPLY = 1, 2
ADVERTISEMENT = 136
OVERRIDE = 0x20000000
"""Neighbours replace the MAC address that they know (RFC 4861, 4.4)."""
HOPS = 255
"""What an advertisement must have left, so that none comes from another network (RFC 4861, 7.1.2)."""


def frames(mac: bytes, local: bytes) -> list[bytes]:
    """One announcement that `mac` has the packed address `local`: for IPv4 a gratuitous ARP request and a reply, since
    some neighbours learn from the one only, some from the other; for IPv6 an unsolicited neighbour advertisement.
    """
    if len(local) == 16:
        return [_advertisement(mac, local)]
    head = ETHERNET.pack(BROADCAST, mac, ARP)
    return [
        head + ARP_PACKET.pack(1, 0x0800, 6, 4, operation, mac, local, target, local)
        for operation, target in ((ARP_REQUEST, bytes(6)), (ARP_REPLY, mac))
    ]


def _advertisement(mac: bytes, local: bytes) -> bytes:
    said = struct.pack("!I16sBB6s", OVERRIDE, local, 2, 1, mac)
    length = 4 + len(said)
    pseudo = local + ALL_NODES + struct.pack("!II", length, ICMPV6)
    checksum = internet_checksum(pseudo + struct.pack("!BBH", ADVERTISEMENT, 0, 0) + said)
    packet = struct.pack("!IHBB", 6 << 28, length, ICMPV6, HOPS) + local + ALL_NODES
    message = struct.pack("!BBH", ADVERTISEMENT, 0, checksum) + said
    return ETHERNET.pack(b"\x33\x33" + ALL_NODES[-4:], mac, IPV6) + packet + message


def internet_checksum(data: bytes) -> int:
    """RFC 1071, of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def begin(system: System, resource: str, link: kernel.Link, local: bytes) -> None:
    """Announce `local` on `link` now, and leave a process that repeats it; `end` comes first.

    OSError when nothing can be sent, or it cannot be written down which process that is: then nothing repeats it.
    """
    sock = _socket.socket(_socket.AF_PACKET, _socket.SOCK_RAW, 0)
    try:
        sock.bind((link.name, 0))
        _send(sock, link, local)
        system.make_folder(_file(resource))
        pid = leave(lambda: _repeat(system, sock, link, local))
        try:
            if process := parse_stat(system.read(f"/proc/{pid}/stat") or ""):
                system.write(_file(resource), f"{pid} {process.ticks}\n")
        except OSError:
            system.signal(pid, KILL)
            raise
    finally:
        sock.close()


def end(system: System, resource: str) -> None:
    """Nothing announces an address for `resource` any more when this returns."""
    kill_named(system, (system.read(_file(resource)) or "").split())
    system.remove(_file(resource))


def _repeat(system: System, sock: _socket.socket, link: kernel.Link, local: bytes) -> None:
    system.name_process(NAME)
    for _ in range(TIMES - 1):
        system.sleep(PAUSE_S)
        found = kernel.addresses(_socket.AF_INET if len(local) == 4 else _socket.AF_INET6)
        if not any(each.local == local and each.index == link.index for each in found):
            return
        _send(sock, link, local)


def _send(sock: _socket.socket, link: kernel.Link, local: bytes) -> None:
    for frame in frames(link.mac, local):
        sock.send(frame)


def _file(resource: str) -> str:
    return f"{FOLDER}/{resource}"

"""This host's interfaces and addresses, by rtnetlink(7): which there are, one more, one less.

Invariant: only the address that was asked for is added or removed, in our own network namespace.
"""

import _socket
import os
import struct

from resource_agents.ocf import netlink

NETLINK_ROUTE = 0
NEWLINK, GETLINK = 16, 18
NEWADDR, DELADDR, GETADDR = 20, 21, 22
LINK = struct.Struct("=BxHiII")
"""struct ifinfomsg: family, hardware type, index, flags, changed flags."""
ADDRESS = struct.Struct("=BBBBi")
"""struct ifaddrmsg: family, prefix length, flags, scope, interface's index."""
IFLA_ADDRESS, IFLA_IFNAME = 1, 3
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
IFF_UP, IFF_LOOPBACK = 0x1, 0x8
ETHERNET = 1
"""ARPHRD_ETHER: bonds, VLANs, bridges and veths too."""
NODAD, DADFAILED, TENTATIVE = 0x02, 0x08, 0x40
UNIVERSE, HOST = 0, 254
ENODEV, EADDRNOTAVAIL, EEXIST = 19, 99, 17


class Link:
    """An interface; `mac` is what its neighbours know it by, a bond's own where it is one."""

    __slots__ = ("ethernet", "index", "loopback", "mac", "name", "up")

    def __init__(self, name: str, index: int, mac: bytes, *, up: bool, loopback: bool, ethernet: bool) -> None:
        self.name = name
        self.index = index
        self.mac = mac
        self.up = up
        self.loopback = loopback
        self.ethernet = ethernet


class Address:
    """An address on the interface with number `index`; `network` is that of its prefix, packed like `local`."""

    __slots__ = ("index", "local", "network", "prefix", "usable")

    def __init__(self, index: int, local: bytes, network: bytes, prefix: int, *, usable: bool) -> None:
        self.index = index
        self.local = local
        self.network = network
        self.prefix = prefix
        self.usable = usable
        """False for an IPv6 address that the kernel does not answer for: its uniqueness is not known, or disproved."""

    def spans(self, other: bytes) -> bool:
        """Whether the packed address `other` is in the network of this one."""
        rest = 8 * len(other) - self.prefix
        return len(other) == len(self.network) and _number(other) >> rest == _number(self.network) >> rest


def link(name: str) -> Link | None:
    """The interface `name`; None when there is none. OSError for what else the kernel says."""
    body = LINK.pack(_socket.AF_UNSPEC, 0, 0, 0, 0) + netlink.attribute(IFLA_IFNAME, name.encode() + b"\0")
    for kind, answer in _ask(netlink.request(GETLINK, 0, body)):
        if (number := netlink.failure(kind, answer)) not in (0, ENODEV):
            raise OSError(number, os.strerror(number))
        if kind == NEWLINK:
            return parse_link(answer)
    return None


def name_of(index: int) -> str:
    """The name of the interface with number `index`; empty when it has gone."""
    try:
        return _socket.if_indextoname(index)
    except OSError:
        return ""


def addresses(family: int) -> list[Address]:
    """Every address of `family` (AF_INET, AF_INET6) on this host's interfaces."""
    body = ADDRESS.pack(family, 0, 0, 0, 0)
    found = netlink.asking(NETLINK_ROUTE, lambda sock: netlink.dump(sock, GETADDR, body))
    return [address for each in found if (address := parse_address(each))]


def add(link: Link, local: bytes, prefix: int) -> None:
    """Put the packed address `local` on `link`; one that is there already is as good. OSError when the kernel refuses.

    IPv6: usable at once, nobody is asked first whether he has it too (no duplicate address detection).
    """
    _change(netlink.request(NEWADDR, netlink.ACK | netlink.CREATE | netlink.EXCLUSIVE, message(link, local, prefix)),
            EEXIST)  # fmt: skip


def remove(address: Address) -> None:
    """Take `address` off its interface; one that has gone, with its interface or without, is as good."""
    head = ADDRESS.pack(_family(address.local), address.prefix, 0, 0, address.index)
    body = head + netlink.attribute(IFA_LOCAL, address.local)
    _change(netlink.request(DELADDR, netlink.ACK, body), EADDRNOTAVAIL, ENODEV)


def message(link: Link, local: bytes, prefix: int) -> bytes:
    """What RTM_NEWADDR carries for `local` on `link`."""
    family = _family(local)
    flags = NODAD if family == _socket.AF_INET6 else 0
    head = ADDRESS.pack(family, prefix, flags, HOST if link.loopback else UNIVERSE, link.index)
    body = head + netlink.attribute(IFA_LOCAL, local) + netlink.attribute(IFA_ADDRESS, local)
    if family == _socket.AF_INET and prefix < 31 and not link.loopback:
        last = _number(local) | (1 << 32 - prefix) - 1
        body += netlink.attribute(IFA_BROADCAST, last.to_bytes(4, "big"))
    return body


def parse_link(body: bytes) -> Link | None:
    """The interface that RTM_NEWLINK tells of; None when it is cut short."""
    if len(body) < LINK.size:
        return None
    _, hardware, index, flags, _ = LINK.unpack_from(body)
    found = netlink.attributes(body[LINK.size :])
    return Link(
        found.get(IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace"), index, found.get(IFLA_ADDRESS, b""),
        up=bool(flags & IFF_UP), loopback=bool(flags & IFF_LOOPBACK), ethernet=hardware == ETHERNET,
    )  # fmt: skip


def parse_address(body: bytes) -> Address | None:
    """The address that RTM_NEWADDR tells of; None when it is cut short or has none."""
    if len(body) < ADDRESS.size:
        return None
    _, prefix, flags, _, index = ADDRESS.unpack_from(body)
    found = netlink.attributes(body[ADDRESS.size :])
    network = found.get(IFA_ADDRESS, b"")
    local = found.get(IFA_LOCAL, network)
    if len(local) not in (4, 16) or len(network) != len(local) or prefix > 8 * len(local):
        return None
    return Address(index, local, network, prefix, usable=not flags & (TENTATIVE | DADFAILED))


def _change(request: bytes, *as_good: int) -> None:
    for kind, body in _ask(request):
        if (number := netlink.failure(kind, body)) not in (0, *as_good):
            raise OSError(number, os.strerror(number))


def _ask(request: bytes) -> list[tuple[int, bytes]]:
    return netlink.asking(NETLINK_ROUTE, lambda sock: netlink.exchange(sock, request))


def _family(packed: bytes) -> int:
    return _socket.AF_INET if len(packed) == 4 else _socket.AF_INET6


def _number(packed: bytes) -> int:
    return int.from_bytes(packed, "big")

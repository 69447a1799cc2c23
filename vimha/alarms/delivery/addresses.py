"""Which addresses may be called: subscribers name them, so they may be anything.

Invariant: pure; an address is judged as it is connected to, never a name. Metadata services are refused whatever is
allowed. An IPv6 address that carries an IPv4 one (mapped, NAT64, 6to4) is judged as that too.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from vimha.alarms.delivery.settings import Network

Address = IPv4Address | IPv6Address

METADATA = frozenset(map(ip_address, ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254")))
"""Where clouds hand out credentials: EC2 and OpenStack (and over IPv6), ECS tasks, Alibaba."""
NAT64 = ip_network("64:ff9b::/96")


class Policy:
    """What the operator allows: `networks`, and `domains` that begin with a dot; both empty: all that is public."""

    def __init__(self, networks: Iterable[Network], domains: Iterable[str]) -> None:
        self._networks = tuple(networks)
        self._domains = tuple(domains)

    def refusal(self, address: str, name: str) -> str:
        """Why `address` (a literal), found under `name`, may not be called; empty: it may."""
        for each in faces(ip_address(address.partition("%")[0])):
            if why := self._judge(each, name.lower().rstrip(".")):
                shown = name if name == address else f"{name} ({address})"
                return f"{shown} is {why}"
        return ""

    def _judge(self, address: Address, name: str) -> str:
        if address in METADATA:
            return "a metadata service's address"
        if any(address in network for network in self._networks):
            return ""
        if any(name.endswith(domain) for domain in self._domains):
            return _own(address)
        if self._networks or self._domains:
            return "not in a network or domain that `allow` names"
        return _own(address) or ("" if address.is_global else "a private or reserved address")


def faces(address: Address) -> list[Address]:
    """The address, and the IPv4 address that it stands for, if it does; a mapped one is that alone."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in NAT64:
        return [address, IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address] if address.sixtofour is None else [address, address.sixtofour]


def _own(address: Address) -> str:
    """Why not even an allowed domain may be there."""
    if address.is_loopback or address.is_unspecified:
        return "this host's own address"
    if address.is_link_local or (isinstance(address, IPv6Address) and address.is_site_local):
        return "a link-local address"
    if address.is_multicast or address.is_reserved:
        return "a multicast or reserved address"
    return ""

"""Who is cabled to what: the names, addresses and fault states of a lab's networks, as pure data.

Invariant: every interface of a lab has one name and one MAC that follow from the site alone, so that any process can
name them, and what a switch port's state must be follows from `Faults` alone.

A lab has one bridge per network plane (plane-a, plane-b, ...) and one out-of-band bridge, all in the namespace of the
switches. With a bond, the planes' switches are linked to each other (a bond's standby leg is of no use otherwise);
without one they share nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import pairwise
from string import ascii_lowercase

from vimha.errors import VimhaError
from vimha.site.model import Site

CLIENT = "cli"
SWITCHES = "net"
BMCS = "bmc"
OOB = "oob"
CLIENT_HOST = 250
"""The client's host part in every plane."""
OOB_OFFSET = 100
"""A node's own address in the out-of-band network is its BMC's, this much further."""


@dataclass(frozen=True)
class Cable:
    """A cable from interface `inner` of a node (or the client) to port `outer` of the bridge `bridge`."""

    owner: str
    inner: str
    outer: str
    mac: str
    bridge: str


@dataclass(frozen=True)
class Faults:
    """What is broken on purpose: pulled ports as (node, port), planes without power, groups that cannot hear each
    other. A frozen value, kept in the lab's folder, so that it outlives the command that injected it."""

    ports: frozenset[tuple[str, str]] = frozenset()
    planes: frozenset[str] = frozenset()
    groups: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Cabling:
    """The cabling of `site` in the lab called `lab`."""

    lab: str
    site: Site

    def netns(self, owner: str) -> str:
        """The name of a network namespace: a node's, or that of `cli`, `net` or `bmc`."""
        return f"vh-{self.lab}-{owner}"

    @cached_property
    def owners(self) -> tuple[str, ...]:
        """The client and the nodes, in the order of their numbers."""
        return (CLIENT, *self.site.nodes)

    @cached_property
    def bridges(self) -> dict[str, str]:
        """Plane -> the name of its bridge."""
        return {plane: f"plane-{letter}" for plane, letter in zip(self.site.planes, ascii_lowercase, strict=False)}

    @property
    def links(self) -> tuple[tuple[str, str, str, str], ...]:
        """The cables between the planes' switches: bridge, port, other bridge, its port; none without a bond."""
        bridges = list(self.bridges.values()) if self.site.bond else []
        pairs = enumerate(pairwise(bridges))
        return tuple((left, f"isl{number}a", right, f"isl{number}b") for number, (left, right) in pairs)

    def ports(self, owner: str) -> tuple[str, ...]:
        """The names of an owner's ports; the client's are the site's."""
        return self.site.ports if owner == CLIENT else self.site.ports_of(owner)

    def legs(self, owner: str) -> tuple[Cable, ...]:
        """The cables of an owner's ports: port N to plane N."""
        bridges = list(self.bridges.values())
        return tuple(
            self._cable(owner, port, f"p{number}", number, bridges[number % len(bridges)])
            for number, port in enumerate(self.ports(owner))
        )

    def bond(self, owner: str) -> Cable | None:
        """The stand-in bond's cable, at first in the first plane; None on a site without a bond."""
        first = next(iter(self.bridges.values()))
        return self._cable(owner, self.site.bond.name, "bond", 0xB0, first) if self.site.bond else None

    def oob(self, owner: str) -> Cable:
        """The cable of an owner's `oob0` to the out-of-band network."""
        return self._cable(owner, "oob0", "oob", 0xFF, OOB)

    def cables(self, owner: str) -> tuple[Cable, ...]:
        """All cables of an owner; the client has none to the out-of-band network."""
        bond = self.bond(owner)
        return (*self.legs(owner), *([bond] if bond else []), *([] if owner == CLIENT else [self.oob(owner)]))

    def addresses(self, owner: str) -> tuple[tuple[str, IPv4Interface], ...]:
        """Interface and address of an owner, plane by plane."""
        return tuple(
            (self._carrier(owner, plane), IPv4Interface(f"{self._address(owner, plane)}/{declared.subnet.prefixlen}"))
            for plane, declared in self.site.planes.items()
        )

    @cached_property
    def oob_networks(self) -> tuple[IPv4Network, ...]:
        """The networks of the BMCs, each a /24."""
        found = {IPv4Network(f"{address}/24", strict=False) for address in self.bmcs.values()}
        return tuple(sorted(found))

    @cached_property
    def bmcs(self) -> dict[str, IPv4Address]:
        """Node -> its BMC's address, of those that have one."""
        return {name: node.bmc.address for name, node in self.site.nodes.items() if node.bmc}

    def oob_address(self, node: str) -> IPv4Address:
        """A node's own out-of-band address; one without a BMC gets a free one in the first network."""
        taken = set(self.bmcs.values())
        if node in self.bmcs:
            network = IPv4Network(f"{self.bmcs[node]}/24", strict=False)
            wanted = int(self.bmcs[node]) - int(network.network_address) + OOB_OFFSET
            host = wanted if wanted < 255 else wanted - 254
        else:
            network, host = self.oob_networks[0], 254 - self.owners.index(node)
        address = network.network_address + host
        if address in taken:
            raise VimhaError(
                f"{node}'s out-of-band address {address} is also a BMC's", f"Keep BMCs less than {OOB_OFFSET} apart."
            )
        return address

    def states(self, faults: Faults) -> dict[str, bool]:
        """What every switch port and bridge of the planes must be under `faults`: name -> up."""
        dead = {self.bridges[plane] for plane in faults.planes}
        states = {bridge: bridge not in dead for bridge in self.bridges.values()}
        for left, left_port, right, right_port in self.links:
            states[left_port], states[right_port] = left not in dead, right not in dead
        for owner in self.owners:
            for leg in self.legs(owner):
                states[leg.outer] = leg.bridge not in dead and (owner, leg.inner) not in faults.ports
        return states

    def sides(self, groups: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
        """`groups` completed: nodes in none form one more; the client, where nobody claims it, is with the largest
        group (the last of equals), as most clients are in a real partition."""
        named = {owner for group in groups for owner in group}
        if unknown := named - set(self.owners):
            raise VimhaError(f"no node {', '.join(sorted(unknown))} in lab {self.lab}")
        rest = tuple(node for node in self.site.nodes if node not in named)
        sides = [tuple(group) for group in (*groups, rest) if group]
        if CLIENT not in named:
            largest = max(range(len(sides)), key=lambda number: (len(sides[number]), number))
            sides[largest] = (*sides[largest], CLIENT)
        return tuple(sides)

    def partition_rules(self, groups: Sequence[Sequence[str]]) -> str:
        """nft's input: frames from one side are dropped at every other side's ports, whichever plane they come by."""
        lines = ["table bridge partition", "delete table bridge partition"]
        if groups:
            sides = self.sides(groups)
            lines += ["table bridge partition {", " chain forward {", "  type filter hook forward priority 0;"]
            for side in sides:
                others = [owner for other in sides if other is not side for owner in other]
                macs, ports = self._joined(side, "mac"), self._joined(others, "outer")
                if macs and ports:
                    lines.append(f"  ether saddr {{ {macs} }} oifname {{ {ports} }} drop")
            lines += [" }", "}"]
        return "\n".join(lines) + "\n"

    def _joined(self, owners: Iterable[str], field: str) -> str:
        found = (getattr(cable, field) for owner in owners for cable in self.cables(owner) if cable.bridge != OOB)
        return ", ".join(found)

    def _carrier(self, owner: str, plane: str) -> str:
        if self.site.bond:
            return self.site.bond.name
        return self.ports(owner)[list(self.site.planes).index(plane)]

    def _address(self, owner: str, plane: str) -> IPv4Address:
        if owner != CLIENT:
            return self.site.nodes[owner].addresses[plane]
        subnet = self.site.planes[plane].subnet
        taken = {node.addresses[plane] for node in self.site.nodes.values()}
        taken |= {vip.address for vip in self.site.vips.values()}
        last = min(CLIENT_HOST, subnet.num_addresses - 2)
        free = (subnet.network_address + host for host in range(last, 0, -1))
        return next(address for address in free if address not in taken)

    def _cable(self, owner: str, inner: str, suffix: str, number: int, bridge: str) -> Cable:
        index = self.owners.index(owner)
        return Cable(owner, inner, f"n{index}{suffix}", f"02:76:68:00:{index:02x}:{number:02x}", bridge)

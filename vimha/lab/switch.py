"""`python -m vimha.lab.switch LAB`: the stand-in for the nodes' bonds, in the namespace of a lab's switches.

The host's kernel may lack the bonding driver, and a lab machine shares it. A node's `bond0` is therefore one end of a
cable whose other end this daemon keeps in the bridge of the plane that an active-backup bond would use: a leg that
loses its carrier is left after `miimon` for one that has it; nobody moves back when it returns (bonding.rst,
primary_reselect without a primary). Invariant: what an observer outside the node can tell from a real bond is only
that the ports themselves carry no frames. After a move the switches forget where they learned addresses, which is
what the bond's gratuitous ARP (num_grat_arp) does for them.
Measured: 102-110 ms from carrier loss to the move at miimon 100 ms.
"""

import select
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from vimha.errors import VimhaError

CARRIER = 0x1 | 0x10000
"""IFF_UP and IFF_LOWER_UP (linux/if.h): the port is on and the far end is too."""


@dataclass(frozen=True)
class Leg:
    """A port on the switches that a bond may use, and the bridge it is in."""

    outer: str
    bridge: str


@dataclass(frozen=True)
class StandIn:
    """A bond's cable end `outer` on the switches, and its legs in order."""

    outer: str
    legs: tuple[Leg, ...]


def choose(current: str, legs: Sequence[Leg], carriers: Mapping[str, bool]) -> str:
    """The bridge that a bond's traffic belongs in: the current leg's while it has a carrier, else the first leg's that
    has; with no carrier at all it stays (and reaches nobody there)."""
    able = [leg.bridge for leg in legs if carriers.get(leg.outer, False)]
    return current if current in able or not able else able[0]


class Daemon:
    """Follows the links of this namespace and keeps every stand-in in its place."""

    def __init__(self, bonds: Iterable[StandIn], links: Iterable[str], miimon_s: float, route: Any) -> None:
        self._bonds = tuple(bonds)
        self._links = tuple(links)
        self._miimon_s = miimon_s
        self._route = route
        self._due: dict[str, float] = {}

    def look(self, now: float) -> float | None:
        """Compare the kernel's links with where each bond belongs; move those whose miimon has passed. Returns the
        time of the next move that is due, None without one."""
        links = {link.get_attr("IFLA_IFNAME"): link for link in self._route.get_links()}
        carriers = {name: link["flags"] & CARRIER == CARRIER for name, link in links.items()}
        indices = {name: link["index"] for name, link in links.items()}
        names = {index: name for name, index in indices.items()}
        for bond in self._bonds:
            if bond.outer not in links:
                self._due.pop(bond.outer, None)
                continue
            current = names.get(links[bond.outer].get_attr("IFLA_MASTER") or 0, "")
            wanted = choose(current, bond.legs, carriers)
            if wanted == current:
                self._due.pop(bond.outer, None)
            elif now >= self._due.setdefault(bond.outer, now + self._miimon_s):
                self._move(bond.outer, indices, wanted)
                del self._due[bond.outer]
        return min(self._due.values(), default=None)

    def _move(self, outer: str, indices: Mapping[str, int], bridge: str) -> None:
        from pyroute2.netlink.exceptions import NetlinkError

        with suppress(NetlinkError):  # the node lost its power in this very moment
            self._route.link("set", index=indices[outer], master=indices[bridge])
        for link in self._links:
            with suppress(NetlinkError):
                self._route.brport("set", index=indices[link], flush=1)


def watch(bonds: Iterable[StandIn], links: Iterable[str], miimon_s: float) -> None:
    """Keep the stand-ins of this namespace in their places, for ever."""
    from pyroute2 import IPRoute
    from pyroute2.netlink.rtnl import RTMGRP_LINK

    with closing(IPRoute()) as route, closing(IPRoute()) as events:
        events.bind(groups=RTMGRP_LINK)
        daemon = Daemon(bonds, links, miimon_s, route)
        while True:
            due = daemon.look(time.monotonic())
            wait_s = None if due is None else max(0.0, due - time.monotonic())
            if select.select([events], [], [], wait_s)[0]:
                list(events.get())


def main(argv: list[str]) -> int:
    """Serve the lab called `argv[0]`; this process is in the namespace of its switches already."""
    from vimha.lab.labs import Lab

    try:
        cabling = Lab.open(argv[0]).network.cabling
        bonds = []
        for owner in cabling.owners:
            if (bond := cabling.bond(owner)) is not None:
                bonds.append(StandIn(bond.outer, tuple(Leg(leg.outer, leg.bridge) for leg in cabling.legs(owner))))
        declared = cabling.site.bond
        links = [port for _, left, _, right in cabling.links for port in (left, right)]
        watch(bonds, links, declared.miimon / 1000 if declared else 0.0)
    except VimhaError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

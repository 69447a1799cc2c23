"""`python -m vimha.lab.switch LAB`: the stand-in for the nodes' bonds, in the namespace of a lab's switches.

The host's kernel may lack the bonding driver, and a lab machine shares it. A node's `bond0` is therefore one end of a
cable whose other end this daemon keeps in the bridge of the plane that an active-backup bond would use: a leg that
loses its carrier carries nothing from that moment and is left after `miimon` for one that has a carrier; nobody moves
back when it returns (bonding.rst: active-backup without a primary). A bond without any leg loses its own carrier.
Invariant: from outside the node, only the ports themselves, which carry no frames, tell it from a real bond. After a
move the switches forget where they learned addresses, which is what a bond's gratuitous ARP does for them.
Measured: 102-110 ms from carrier loss to the move at miimon 100 ms.
"""

import os
import select
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from vimha.errors import VimhaError

CARRIER = 0x1 | 0x10000
"""IFF_UP and IFF_LOWER_UP (linux/if.h): the port is on and the far end is too."""
PRIORITY = 50
"""A switch does not wait for a busy host: above all that is not corosync (99)."""


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
    """The bridge that a bond's traffic belongs in: the current leg's while it has a carrier, else that of the first leg
    that has one, else none (empty)."""
    able = [leg.bridge for leg in legs if carriers.get(leg.outer, False)]
    return current if current in able else next(iter(able), "")


class Daemon:
    """Follows the links of this namespace and keeps every stand-in in its place."""

    def __init__(self, bonds: Iterable[StandIn], links: Iterable[str], miimon_s: float, route: Any) -> None:
        self._bonds = tuple(bonds)
        self._links = tuple(links)
        self._miimon_s = miimon_s
        self._route = route
        self._waiting: dict[str, tuple[str, float]] = {}
        """Bonds whose leg has lost its carrier: the leg's bridge, and when the bond would notice."""

    def look(self, now: float) -> float | None:
        """Compare the kernel's links with where each bond belongs: detach one that has lost its leg, attach it anew
        when its miimon has passed. Returns the time of the next move that is due, None without one."""
        links = {link.get_attr("IFLA_IFNAME"): link for link in self._route.get_links()}
        carriers = {name: link["flags"] & CARRIER == CARRIER for name, link in links.items()}
        indices = {name: link["index"] for name, link in links.items()}
        names = {index: name for name, index in indices.items()}
        for bond in self._bonds:
            if bond.outer not in links:
                self._waiting.pop(bond.outer, None)
                continue
            waiting = self._waiting.get(bond.outer)
            current = waiting[0] if waiting else names.get(links[bond.outer].get_attr("IFLA_MASTER") or 0, "")
            wanted = choose(current, bond.legs, carriers)
            if waiting and (wanted == current or now >= waiting[1]):
                del self._waiting[bond.outer]
                self._attach(bond.outer, indices, wanted)
            elif not waiting and wanted != current:
                self._waiting[bond.outer] = (current, now + self._miimon_s)
                self._set(self._route.link, indices[bond.outer], master=0)
        return min((due for _, due in self._waiting.values()), default=None)

    def _attach(self, outer: str, indices: Mapping[str, int], bridge: str) -> None:
        """Put a bond's end into `bridge`; take its carrier where no leg has one."""
        if not bridge:
            self._set(self._route.link, indices[outer], state="down")
            return
        self._set(self._route.link, indices[outer], master=indices[bridge])
        self._set(self._route.link, indices[outer], state="up")
        for link in self._links:
            self._set(self._route.brport, indices[link], flush=1)

    def _set(self, call: Callable[..., Any], index: int, **what: Any) -> None:
        """Change a link; one that was unplugged in this very moment needs no change."""
        from pyroute2.netlink.exceptions import NetlinkError

        with suppress(NetlinkError):
            call("set", index=index, **what)


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

    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
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

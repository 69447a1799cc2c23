"""Did two nodes hold a VIP at the same time? Pure decisions on what the witnesses saw.

Two witnesses look, so that one blind spot is not a pass: the addresses inside every node (netlink) and the claims on
the wire (ARP on the planes' switches). A node holds a VIP from the moment when the address is on one of its
interfaces until it is gone or the node's power is cut; a frozen node still holds it, because its kernel still answers.
Invariant: a holding ends only by what was seen. No wish ("it must have stopped by now") ends one.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

CLAIM_GRACE_S = 0.05
"""How far a claim on the wire may be from its node's holding: the two witnesses read different sockets. Announcements
that outlive a holding, as IPaddr2's in the background may (5 at 200 ms), are later, and are claims that mislead."""


@dataclass(frozen=True)
class Sighting:
    """What a witness saw at `at` (monotonic seconds).

    kind `hold`/`release`: the address `vip` came on `node`, went from it. kind `cut`: `node` lost its power.
    kind `claim`: `node` (or an unknown MAC address, written as such) said on the wire that `vip` is its own.
    kind `ready`: all witnesses watch from now on.
    """

    at: float
    kind: str
    node: str
    vip: str = ""


@dataclass(frozen=True)
class Holding:
    """`node` held `vip` from `start` to `end` (monotonic seconds; infinite while it still does)."""

    vip: str
    node: str
    start: float
    end: float = math.inf


@dataclass(frozen=True)
class Overlap:
    """Two holders of one VIP at once: the evidence of split brain."""

    vip: str
    nodes: tuple[str, str]
    start: float
    end: float

    @property
    def length_s(self) -> float:
        return self.end - self.start


def holdings(sightings: Iterable[Sighting]) -> tuple[Holding, ...]:
    """Who held which VIP when, from what the witnesses inside the nodes saw."""
    open_since: dict[tuple[str, str], float] = {}
    done: list[Holding] = []

    def close(key: tuple[str, str], at: float) -> None:
        done.append(Holding(key[0], key[1], open_since.pop(key), at))

    for seen in sorted(sightings, key=lambda entry: entry.at):
        key = (seen.vip, seen.node)
        if seen.kind == "hold":
            open_since.setdefault(key, seen.at)
        elif seen.kind == "release" and key in open_since:
            close(key, seen.at)
        elif seen.kind == "cut":
            for held in [entry for entry in open_since if entry[1] == seen.node]:
                close(held, seen.at)
    done.extend(Holding(vip, node, since) for (vip, node), since in open_since.items())
    return tuple(sorted(done, key=lambda entry: (entry.start, entry.vip, entry.node)))


def overlaps(held: Sequence[Holding]) -> tuple[Overlap, ...]:
    """Every time in which two nodes held the same VIP."""
    found = []
    for one, other in combinations(held, 2):
        start, end = max(one.start, other.start), min(one.end, other.end)
        if one.vip == other.vip and one.node != other.node and start < end:
            found.append(Overlap(one.vip, (one.node, other.node), start, end))
    return tuple(sorted(found, key=lambda entry: entry.start))


def stray_claims(sightings: Iterable[Sighting], held: Sequence[Holding]) -> tuple[Sighting, ...]:
    """Claims on the wire by a node that did not hold the VIP then, or by an unknown machine."""

    def covered(claim: Sighting) -> bool:
        return any(
            entry.vip == claim.vip
            and entry.node == claim.node
            and entry.start - CLAIM_GRACE_S <= claim.at <= entry.end + CLAIM_GRACE_S
            for entry in held
        )

    return tuple(seen for seen in sightings if seen.kind == "claim" and not covered(seen))


def holder_at(held: Iterable[Holding], vip: str, at: float) -> str | None:
    """The node that held `vip` at `at`; None when none did."""
    return next((entry.node for entry in held if entry.vip == vip and entry.start <= at < entry.end), None)

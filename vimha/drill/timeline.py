"""Where the time went: one ordered story of a round, and the seconds that each of its phases took.

Invariant: the phases cover the time from the fault to the first good answer without gap or overlap, so they add up to
what the client waited after the fault; a phase that did not happen (no membership change when a process was killed)
is left out, and its time belongs to the next one that did.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vimha.drill.journal import Event
from vimha.drill.outage import Window
from vimha.drill.split_brain import Holding, Sighting

MILESTONES = (
    ("token-lost", "token time-out"),
    ("membership", "consensus and new membership"),
    ("dc-elected", "DC election"),
    ("noticed", "failure noticed by a monitor"),
    ("fence-requested", "policy, up to the fencing request"),
    ("fence-verified", "fencing, until verified off"),
    ("vip-held", "VIP on its new node"),
    ("answered", "first good answer"),
)
"""The kinds of event that end a phase, and the phase's name for people, in the order of a failover."""


@dataclass(frozen=True)
class Phase:
    """A stretch of the way from the fault to the first good answer, in seconds."""

    name: str
    start_s: float
    length_s: float


def merge(
    fault: Event, worst: Window | None, held: Iterable[Holding], sightings: Iterable[Sighting], logs: Iterable[Event]
) -> tuple[Event, ...]:
    """All that happened, in the order of time: the fault, the client's view, VIP holders, power cuts and logs."""
    events = [fault, *logs]
    if worst:
        events.append(Event(worst.start, "last-answer", "", "last good answer before the outage"))
        words = "first good answer" if worst.closed else "probing ended without an answer"
        events.append(Event(worst.end, "answered" if worst.closed else "unanswered", "", words))
    for entry in held:
        events.append(Event(entry.start, "vip-held", entry.node, f"{entry.node} holds {entry.vip}"))
        if entry.end != float("inf"):
            events.append(Event(entry.end, "vip-gone", entry.node, f"{entry.node} no longer holds {entry.vip}"))
    events += [
        Event(seen.at, "cut", seen.node, f"{seen.node} has no power") for seen in sightings if seen.kind == "cut"
    ]
    return tuple(sorted(events, key=lambda entry: entry.at))


def phases(events: Sequence[Event], fault_at: float) -> tuple[Phase, ...]:
    """The phases between the fault and the first good answer; none when the client never waited.

    Milestones count in their own order: one that is seen only after a later one (the loser's log of an election)
    or after the answer is not a phase of this failover.
    """
    answer = next((entry.at for entry in events if entry.kind == "answered" and entry.at > fault_at), None)
    if answer is None:
        return ()
    found, reached = [], fault_at
    for kind, name in MILESTONES:
        stamps = [entry.at for entry in events if entry.kind == kind and reached <= entry.at <= answer]
        if stamps:
            found.append(Phase(name, reached - fault_at, stamps[0] - reached))
            reached = stamps[0]
    return tuple(found)

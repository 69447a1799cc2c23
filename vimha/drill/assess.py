"""From what was seen to what it means: a round's figures, its timeline and its problems. Pure.

Invariant: only attempts by the services' own protocol make the outage; the TCP probes and the logs explain it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vimha.drill.alarms import CLEARED, Call, raised
from vimha.drill.journal import Event
from vimha.drill.ledger import Audit
from vimha.drill.outage import Attempt, Window, between, idle_s, longest, stall_s, unavailable_s, windows
from vimha.drill.split_brain import Holding, Sighting, holder_at, holdings, overlaps, stray_claims
from vimha.drill.timeline import merge, phases
from vimha.drill.verdict import Expectation, Limits, Round, problems


@dataclass(frozen=True)
class Seen:
    """One round as recorded, in monotonic seconds: the fault, the moment `since` which the outage counts (the fault,
    or the end of a fault that ends by itself), the watching's end and whether the service had returned by then,
    attempts by probe, sightings, the nodes' logs, what became of the acknowledged writes (None: nobody wrote, or the
    cluster never became healthy enough to ask), and what a subscriber to alarms was told and was not.
    """

    dc: str
    target: str
    fault_at: float
    since: float
    ended_at: float
    returned: bool
    attempts: Mapping[str, Sequence[Attempt]]
    sightings: Sequence[Sighting]
    logs: Sequence[Event]
    audit: Audit | None = None
    calls: tuple[Call, ...] | None = None
    untold: tuple[str, ...] = ()


def evidence(sightings: Sequence[Sighting], held: Sequence[Holding], since: float) -> tuple[str, ...]:
    """Every sign, after `since`, of two holders of one VIP, in words."""
    found = [
        f"{entry.vip} was on {entry.nodes[0]} and {entry.nodes[1]} for {entry.length_s:.3f} s"
        for entry in overlaps(held)
        if entry.end > since
    ]
    strays = {(claim.node, claim.vip): claim for claim in stray_claims(sightings, held) if claim.at > since}
    found += [
        f"{node} claimed {vip} on the wire {claim.at - since:.3f} s after the fault without holding it"
        for (node, vip), claim in strays.items()
    ]
    return tuple(found)


def outage_s(worst: Window | None, fault_at: float, since: float) -> float:
    """The outage's length: the whole window, or what of it is left when a fault that ended by itself was over."""
    if worst is None:
        return 0.0
    return worst.length_s if since <= fault_at else max(0.0, worst.end - since)


def stall(probe: str, tries: Sequence[Attempt], since: float, until: float) -> float:
    """How long `probe` itself slept: an SQL client waits for its answer before it writes again, all others do not."""
    return (idle_s if probe.endswith(" sql") else stall_s)(tries, since, until)


def assess(
    number: int, seen: Seen, limits: Limits, expected: Expectation, vip: str, *, fenced: bool, healed: bool
) -> Round:
    """The round that `seen` amounts to, with its problems. `vip` is the address that may have to move."""
    http = {name: windows(tries) for name, tries in seen.attempts.items() if not name.endswith(" tcp")}
    during = {name: between(found, seen.fault_at, seen.ended_at) for name, found in http.items()}
    if seen.returned:
        during = {name: _known(found, seen.ended_at) for name, found in during.items()}
    worst = longest([window for found in during.values() for window in found])
    after = {
        name: longest([window for window in found if window.end > seen.ended_at and window not in during[name]])
        for name, found in http.items()
    }
    healing = tuple((name, window.length_s if window else 0.0) for name, window in after.items())
    held = holdings(seen.sightings)
    fault = Event(seen.fault_at, "fault", seen.target, f"fault injected on {seen.target}")
    events = merge(fault, worst, held, seen.sightings, (*seen.logs, *_told(seen.calls or ())))
    result = Round(
        number=number,
        target=seen.target,
        dc=seen.dc,
        fault_at=seen.fault_at,
        limits=limits,
        outage_s=outage_s(worst, seen.fault_at, seen.since),
        unavailable_s=max((unavailable_s(found) for found in during.values()), default=0.0),
        windows=max((len(found) for found in during.values()), default=0),
        returned=seen.returned,
        split_brain=evidence(seen.sightings, held, seen.fault_at),
        fenced=fenced or _verified_off(seen.logs, seen.target),
        moved=holder_at(held, vip, seen.ended_at) not in (None, seen.target),
        healed=healed,
        heal_outage_s=max((length_s for _, length_s in healing), default=0.0),
        stall_s=max((stall(*entry, seen.fault_at, seen.ended_at) for entry in seen.attempts.items()), default=0.0),
        lost_writes=seen.audit.lost if seen.audit else None,
        books=seen.audit.problems if seen.audit else (),
        outages=tuple((name, outage_s(longest(found), seen.fault_at, seen.since)) for name, found in during.items()),
        heal_outages=healing,
        outage=worst,
        ended_at=seen.ended_at,
        probes=tuple((name, tuple(tries)) for name, tries in seen.attempts.items()),
        holdings=held,
        events=tuple(entry for entry in events if entry.at >= seen.fault_at - 1),
        phases=phases(events, seen.fault_at),
        calls=seen.calls,
        told=raised([call for call in seen.calls or () if call.at >= seen.fault_at], expected.alarm, seen.target)
        if expected.alarm
        else None,
        untold=seen.untold,
    )
    return replace(result, problems=problems(result, expected))


def _told(calls: Iterable[Call]) -> Iterator[Event]:
    """The notifications that tell of an alarm, as events of the timeline."""
    for call in calls:
        if call.definition and call.severity != CLEARED:
            yield Event(call.at, "told", "", f"a subscriber is told: {call.definition} of {call.about}")


def _known(found: Iterable[Window], until: float) -> tuple[Window, ...]:
    """Those of `found` that were over at `until`: when the watching ends because all is quiet, another one's first
    failure was not known yet, and it belongs to the healing.
    """
    return tuple(window for window in found if window.end <= until)


def _verified_off(logs: Iterable[Event], target: str) -> bool:
    return any(entry.kind == "fence-verified" and f"that {target} is off" in entry.text for entry in logs)


def one_line(done: Round) -> str:
    """A round's result in a line of progress."""
    limit = done.limits.budget_worst_s
    held_to = f"budget {limit:.2f} s" if limit is not None else f"objective {done.limits.objective_s:g} s"
    parts = [f"outage {done.outage_s:.2f} s ({held_to})", "fenced" if done.fenced else "not fenced"]
    if done.told:
        after_s = done.told.at - done.fault_at
        parts.append(
            f"{done.told.definition} told {after_s:.2f} s after the fault, {done.told.lag_s:.2f} s after its event"
        )
    return ", ".join([*parts, *(f"FAIL: {problem}" for problem in done.problems)])

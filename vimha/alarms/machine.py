"""How an alarm lives: raised, updated, held while it flaps, acknowledged, cleared. Pure: data in, data out.

Invariants, whatever comes in whatever order:
- What is published ends up as what was last observed: by event time, not by arrival; of two at the same time the later
  arrival counts.
- The first state of an alarm is published at once, its last one at the latest `Rules.quiet_us` after the last event.
- In any `Rules.window_us` an alarm changes at most `Rules.changes` times, plus once; the rest is counted, not told.
- An alarm that flaps stays active until it has been quiet; its identifier does not change meanwhile.
- Ageing never comes here: an active alarm has no age.

All that is known under one key (model.key) is an `Entry`; it outlives the alarm, so that a report that arrives late
does not raise again what was cleared after it.
"""

import uuid
from dataclasses import dataclass, replace

from vimha.alarms.model import Alarm, Event
from vimha.alarms.times import SECOND
from vimha.alarms.words import AckState, Severity


@dataclass(frozen=True, slots=True)
class Rules:
    """When an alarm flaps: after `changes` changes within `window_us` it is held until `quiet_us` without an event."""

    changes: int = 5
    window_us: int = 60 * SECOND
    quiet_us: int = 15 * SECOND


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known under one key. `alarm` is the published, active one; `latest` the last observation that is not
    published yet, kept while the alarm is held until `due_us`; `seen_us` the latest event time; `changes` when the
    published alarm changed, the last few.
    """

    alarm: Alarm | None = None
    latest: Event | None = None
    due_us: int | None = None
    seen_us: int = 0
    changes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """The next entry, and the alarm as it is to be published; None: nothing to tell."""

    entry: Entry
    told: Alarm | None = None


def observe(entry: Entry, event: Event, now_us: int, rules: Rules) -> Step:
    """Take in one observation."""
    if event.event_us < entry.seen_us:
        return Step(_count(entry))
    entry = replace(entry, seen_us=event.event_us)
    if entry.due_us is not None:
        return Step(_hold(entry, event, now_us, rules))
    if not _news(entry.alarm, event):
        return Step(_count(entry, event))
    if entry.alarm is not None and _flaps(entry, now_us, rules):
        flapping = replace(entry.alarm, flapping=True, changed_us=now_us, events=entry.alarm.events + 1)
        return Step(_changed(_hold(replace(entry, alarm=flapping), event, now_us, rules), now_us, rules), flapping)
    return _publish(entry, event, now_us, rules)


def settle(entry: Entry, now_us: int, rules: Rules) -> Step:
    """End a hold that is due: publish what was last observed."""
    if entry.due_us is None or now_us < entry.due_us:
        return Step(entry)
    latest, alarm = entry.latest, entry.alarm
    entry = replace(entry, due_us=None, latest=None)
    if alarm is None or latest is None:
        return Step(entry)
    calm = replace(alarm, flapping=False, changed_us=now_us)
    if latest.severity is Severity.CLEARED:
        return _publish(replace(entry, alarm=calm), latest, now_us, rules, count=0)
    calm = _updated(calm, latest, now_us, count=0)
    return Step(_changed(replace(entry, alarm=calm), now_us, rules), calm)


def acknowledge(entry: Entry, state: AckState, who: str, now_us: int) -> Step:
    """An operator has seen it, or takes that back; nothing is told when it is in that state."""
    if entry.alarm is None or entry.alarm.ack is state:
        return Step(entry)
    acked = replace(
        entry.alarm, ack=state, changed_us=now_us,
        acknowledged_us=now_us if state is AckState.ACKNOWLEDGED else None,
        acknowledged_by=who if state is AckState.ACKNOWLEDGED else "",
    )  # fmt: skip
    return Step(replace(entry, alarm=acked), acked)


def escalate(entry: Entry, severity: Severity, now_us: int) -> Step:
    """A consumer finds it worse, or less bad, than its source does (SOL002); the source's next word counts again."""
    if entry.alarm is None or entry.alarm.severity is severity:
        return Step(entry)
    moved = _severity(replace(entry.alarm, changed_us=now_us), severity)
    return Step(replace(entry, alarm=moved), moved)


def clear(entry: Entry, now_us: int, rules: Rules) -> Step:
    """An operator clears it by hand; held or not."""
    if entry.alarm is None:
        return Step(entry)
    cleared = _cleared(entry.alarm, max(now_us, entry.seen_us), now_us)
    entry = replace(entry, alarm=None, latest=None, due_us=None, seen_us=cleared.event_us)
    return Step(_changed(entry, now_us, rules), cleared)


def _news(alarm: Alarm | None, event: Event) -> bool:
    if alarm is None:
        return event.severity is not Severity.CLEARED
    told = (alarm.severity, alarm.details, alarm.correlated, alarm.root_cause, alarm.location)
    if event.severity is Severity.CLEARED:
        return True
    return told != (event.severity, event.details, event.correlated, event.root_cause, event.location)


def _flaps(entry: Entry, now_us: int, rules: Rules) -> bool:
    return sum(now_us - each < rules.window_us for each in entry.changes) >= rules.changes


def _hold(entry: Entry, event: Event, now_us: int, rules: Rules) -> Entry:
    return replace(_count(entry), latest=event, due_us=now_us + rules.quiet_us)


def _count(entry: Entry, event: Event | None = None) -> Entry:
    """One more observation that changes nothing that is told."""
    if entry.alarm is None:
        return entry
    event_us = event.event_us if event else entry.alarm.event_us
    return replace(entry, alarm=replace(entry.alarm, events=entry.alarm.events + 1, event_us=event_us))


def _publish(entry: Entry, event: Event, now_us: int, rules: Rules, count: int = 1) -> Step:
    if entry.alarm is None:
        alarm = _raised(event, now_us)
        return Step(_changed(replace(entry, alarm=alarm), now_us, rules), alarm)
    if event.severity is Severity.CLEARED:
        cleared = replace(_cleared(entry.alarm, event.event_us, now_us), events=entry.alarm.events + count)
        return Step(_changed(replace(entry, alarm=None), now_us, rules), cleared)
    updated = _updated(entry.alarm, event, now_us, count)
    return Step(_changed(replace(entry, alarm=updated), now_us, rules), updated)


def _changed(entry: Entry, now_us: int, rules: Rules) -> Entry:
    return replace(entry, changes=(*entry.changes, now_us)[-rules.changes :])


def _raised(event: Event, now_us: int) -> Alarm:
    return Alarm(
        id=str(uuid.uuid4()), definition=event.definition, managed_object=event.managed_object,
        severity=event.severity, event_us=event.event_us, raised_us=now_us, specific_problem=event.specific_problem,
        location=event.location, details=event.details, detector=event.detector, correlated=event.correlated,
        root_cause=event.root_cause,
    )  # fmt: skip


def _updated(alarm: Alarm, event: Event, now_us: int, count: int) -> Alarm:
    moved = replace(
        alarm, event_us=event.event_us, changed_us=now_us, location=event.location, details=event.details,
        detector=event.detector, correlated=event.correlated, root_cause=event.root_cause,
        events=alarm.events + count,
    )  # fmt: skip
    return _severity(moved, event.severity)


def _severity(alarm: Alarm, severity: Severity) -> Alarm:
    """A worse severity asks for a new acknowledgement."""
    if severity.rank <= alarm.severity.rank:
        return replace(alarm, severity=severity)
    return replace(alarm, severity=severity, ack=AckState.UNACKNOWLEDGED, acknowledged_us=None, acknowledged_by="")


def _cleared(alarm: Alarm, event_us: int, now_us: int) -> Alarm:
    return replace(
        alarm, severity=Severity.CLEARED, event_us=event_us, cleared_us=now_us, changed_us=now_us, flapping=False
    )

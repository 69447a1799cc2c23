"""How an alarm lives: raised, updated, held while it flaps, acknowledged, cleared. Pure: data in, data out.

Invariants, whatever comes in whatever order:
- What is published ends up as what its source last said: by event time, not by arrival; of two at the same time the
  later arrival counts. What operators do counts until the source says something newer.
- The first state of an alarm is published at once; its last one at once, or, while it is held, `Rules.quiet_us` after
  the last change.
- Its source may change an alarm `Rules.changes` times within `Rules.window_us`. The next change is held: the alarm is
  told to be flapping and stays active, with its identifier, until nothing changed for `Rules.quiet_us`. Meanwhile the
  rest is counted; only a severity worse than the published one is told.
- An event from the future happened now: a source whose clock is wrong can neither outlive nor mute the others.
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
    """When an alarm flaps: after `changes` (one at least) within `window_us`; held until `quiet_us` without one."""

    changes: int = 5
    window_us: int = 60 * SECOND
    quiet_us: int = 15 * SECOND


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known under one key. `alarm` is the published, active one; `latest` the last observation that is not
    published yet, kept while the alarm is held until `due_us`; `seen_us` the latest event time; `changes` when the
    source changed the published alarm, the last few.
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
    entry = _counted(entry)
    if event.event_us < entry.seen_us:
        return Step(entry)
    if event.event_us > now_us:
        event = replace(event, event_us=max(now_us, entry.seen_us))
    entry = replace(entry, seen_us=event.event_us)
    if entry.alarm is not None and entry.due_us is not None:
        return _held(entry, entry.alarm, event, now_us, rules)
    if not _news(entry.alarm, event):
        return Step(entry)
    return _hold(entry, event, now_us, rules) if _flaps(entry, now_us, rules) else _publish(entry, event, now_us, rules)


def settle(entry: Entry, now_us: int, rules: Rules) -> Step:
    """End a hold that is due: publish what was last observed."""
    if entry.alarm is None or entry.latest is None or entry.due_us is None or now_us < entry.due_us:
        return Step(entry)
    calm = replace(entry, alarm=replace(entry.alarm, flapping=False), due_us=None, latest=None)
    return _publish(calm, entry.latest, now_us, rules)


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
    latest = entry.latest
    if latest is not None and latest.severity is not Severity.CLEARED:
        latest = replace(latest, severity=severity)
    return Step(replace(entry, alarm=moved, latest=latest), moved)


def clear(entry: Entry, now_us: int) -> Step:
    """An operator clears it by hand; held or not."""
    if entry.alarm is None:
        return Step(entry)
    cleared = _cleared(entry.alarm, max(now_us, entry.alarm.event_us), now_us)
    return Step(replace(entry, alarm=None, latest=None, due_us=None), cleared)


def _state(of: Alarm | Event) -> tuple[object, ...]:
    """What a change is a change of; a cleared alarm's details do not matter."""
    if of.severity is Severity.CLEARED:
        return (of.severity,)
    return of.severity, of.details, of.correlated, of.root_cause, of.location


def _news(alarm: Alarm | None, event: Event) -> bool:
    return event.severity is not Severity.CLEARED if alarm is None else _state(alarm) != _state(event)


def _flaps(entry: Entry, now_us: int, rules: Rules) -> bool:
    return sum(now_us - each < rules.window_us for each in entry.changes) >= rules.changes


def _hold(entry: Entry, event: Event, now_us: int, rules: Rules) -> Step:
    """Begin a hold. What is not active is raised all the same: its first state is told at once."""
    if entry.alarm is None:
        alarm = replace(_raised(event, now_us), flapping=True)
    else:
        alarm = replace(entry.alarm, flapping=True, changed_us=now_us)
    step = _held(replace(entry, alarm=alarm), alarm, event, now_us, rules)
    return step if step.told else Step(_changed(step.entry, now_us, rules), alarm)


def _held(entry: Entry, alarm: Alarm, event: Event, now_us: int, rules: Rules) -> Step:
    """Take in an observation of an alarm that is held."""
    if entry.latest is None or _state(entry.latest) != _state(event):
        entry = replace(entry, latest=event, due_us=now_us + rules.quiet_us)
    if event.severity.rank <= alarm.severity.rank:
        return Step(entry)
    worse = _updated(alarm, event, now_us)
    return Step(_changed(replace(entry, alarm=worse), now_us, rules), worse)


def _counted(entry: Entry) -> Entry:
    """One more observation of the alarm, if there is one."""
    return entry if entry.alarm is None else replace(entry, alarm=replace(entry.alarm, events=entry.alarm.events + 1))


def _publish(entry: Entry, event: Event, now_us: int, rules: Rules) -> Step:
    if entry.alarm is None:
        told = _raised(event, now_us)
    elif event.severity is Severity.CLEARED:
        told = _cleared(entry.alarm, event.event_us, now_us)
    else:
        told = _updated(entry.alarm, event, now_us)
    return Step(_changed(replace(entry, alarm=told if told.active else None), now_us, rules), told)


def _changed(entry: Entry, now_us: int, rules: Rules) -> Entry:
    return replace(entry, changes=(*entry.changes, now_us)[-rules.changes :])


def _raised(event: Event, now_us: int) -> Alarm:
    return Alarm(
        id=str(uuid.uuid4()), definition=event.definition, managed_object=event.managed_object,
        severity=event.severity, event_us=event.event_us, raised_us=now_us, specific_problem=event.specific_problem,
        location=event.location, details=event.details, detector=event.detector, correlated=event.correlated,
        root_cause=event.root_cause,
    )  # fmt: skip


def _updated(alarm: Alarm, event: Event, now_us: int) -> Alarm:
    moved = replace(
        alarm, event_us=event.event_us, changed_us=now_us, location=event.location, details=event.details,
        detector=event.detector, correlated=event.correlated, root_cause=event.root_cause,
    )  # fmt: skip
    return _severity(moved, event.severity)


def _severity(alarm: Alarm, severity: Severity) -> Alarm:
    """A worse severity asks for a new acknowledgement."""
    if severity.rank <= alarm.severity.rank:
        return replace(alarm, severity=severity)
    return replace(alarm, severity=severity, ack=AckState.UNACKNOWLEDGED, acknowledged_us=None, acknowledged_by="")


def _cleared(alarm: Alarm, event_us: int, now_us: int) -> Alarm:
    return replace(
        alarm, severity=Severity.CLEARED, event_us=event_us, cleared_us=now_us, changed_us=now_us, flapping=False,
        cleared_from=alarm.severity,
    )  # fmt: skip

"""What became of an alarm, step by step: its own times, and what was told of it as far as that is still kept.

Invariant: pure; a step is told once, the oldest first.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from vimha.alarms import times
from vimha.alarms.store.outbox import Notice
from vimha.alarms.words import AckState

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    at_us: int
    what: str


def changes(body: Body, told: Sequence[Notice]) -> list[Change]:
    """The steps of the alarm that is now `body`; `told`: its notifications, the oldest first."""
    steps = [(each.at_us, json.loads(each.body)) for each in told]
    found = {Change(at_us, what) for (_, one), (at_us, other) in pairwise(steps) for what in _differences(one, other)}
    known = {each.at_us for each in found}
    found |= {each for each in _milestones(body) if each.at_us not in known}
    return sorted(found, key=lambda each: each.at_us)


def _milestones(body: Body) -> Iterator[Change]:
    """Of a cleared alarm the event's time is that of its end."""
    said = {
        "eventTime": "Fault observed" + (f" by {body['detector']}" if "detector" in body else ""),
        "alarmRaisedTime": "Alarm raised",
        "alarmChangedTime": "Last change" + ("" if "alarmClearedTime" in body else f": {body['perceivedSeverity']}"),
        "alarmAcknowledgedTime": f"Acknowledged by {body.get('acknowledgedBy', 'somebody')}",
        "alarmClearedTime": "Cleared",
    }
    for name, what in said.items():
        if name in body and not (name == "eventTime" and "alarmClearedTime" in body):
            yield Change(times.micros(body[name]), what)


def _differences(one: Body, other: Body) -> Iterator[str]:
    if "alarmClearedTime" in other and "alarmClearedTime" not in one:
        yield f"Cleared; it was {one['perceivedSeverity']}"
    elif one["perceivedSeverity"] != other["perceivedSeverity"]:
        yield f"From {one['perceivedSeverity']} to {other['perceivedSeverity']}"
    if one["ackState"] != other["ackState"]:
        acknowledged = other["ackState"] == AckState.ACKNOWLEDGED
        yield (
            f"Acknowledged by {other.get('acknowledgedBy', 'somebody')}"
            if acknowledged
            else "Acknowledgement taken back"
        )
    if one["flapping"] != other["flapping"]:
        yield "Flapping: its changes are held back" if other["flapping"] else "No longer flapping"
    if one.get("faultDetails") != other.get("faultDetails"):
        yield "Details: " + ("; ".join(other.get("faultDetails", ())) or "none")

"""Attribute selectors (ETSI GS NFV-SOL 013, 5.3): which attributes of an alarm an answer has.

Invariant: what SOL003 makes mandatory is always there.
"""

from collections.abc import Callable, Mapping
from typing import Any

from vimha.alarms.service.problems import ProblemError

MANDATORY = frozenset(
    {"id", "managedObjectId", "rootCauseFaultyResource", "alarmRaisedTime", "ackState", "perceivedSeverity",
     "eventTime", "eventType", "probableCause", "isRootCause", "_links"}
)  # fmt: skip
"""SOL003, table 7.5.2.4-1 (rootCauseFaultyResource by its edition 2.6.1)."""
STRUCTURED = frozenset({"correlatedAlarmIds", "faultDetails", "location"})
"""What exclude_default leaves out: optional, and a list or a structure."""
OPTIONAL = STRUCTURED | frozenset(
    {"alarmChangedTime", "alarmClearedTime", "alarmAcknowledgedTime", "faultType", "alarmDefinitionId",
     "specificProblem", "proposedRepairAction", "serviceAffecting", "clearingType", "faultDomain", "detector",
     "acknowledgedBy", "eventCount", "flapping", "lastPerceivedSeverity"}
)  # fmt: skip

Body = dict[str, Any]
Selector = Callable[[Body], Body]


def select(
    *, fields: str | None, exclude_fields: str | None, all_fields: bool, exclude_default: bool
) -> Selector | None:
    """What is to be done with each alarm, None: nothing; ProblemError 400 for what cannot be left out, is unknown, or
    contradicts.
    """
    if exclude_fields is not None and (fields is not None or exclude_default):
        raise ProblemError(400, "exclude_fields goes with neither fields nor exclude_default")
    if all_fields and (fields is not None or exclude_fields is not None or exclude_default):
        raise ProblemError(400, "all_fields goes with no other selector")
    if exclude_fields is not None:
        gone = _named("exclude_fields", exclude_fields, OPTIONAL)
    elif fields is not None:
        gone = (STRUCTURED if exclude_default else OPTIONAL) - _named("fields", fields, OPTIONAL | MANDATORY)
    else:
        gone = STRUCTURED if exclude_default else frozenset()
    return (lambda body: _without(body, gone)) if gone else None


def _named(parameter: str, text: str, known: frozenset[str]) -> frozenset[str]:
    named = frozenset(text.split(","))
    for each in sorted(named - known):
        what = "is mandatory" if each in MANDATORY else "is no attribute of an alarm"
        raise ProblemError(400, f"{parameter}: {each[:64]!r} {what}")
    return named


def _without(body: Mapping[str, Any], gone: frozenset[str]) -> Body:
    return {name: value for name, value in body.items() if name not in gone}

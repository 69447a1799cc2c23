"""What an operator asks for, as the service understands it: attribute filters (SOL013, 5.2) and times.

Invariant: pure; whatever is in a value, it stays a value: each is quoted as the filter's grammar says.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from vimha.alarms import times
from vimha.alarms.words import Severity
from vimha.errors import UsageError

SPAN = re.compile(r"(\d{1,6})([smhdw])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def wanted(
    *,
    severities: Sequence[str] = (),
    types: Sequence[str] = (),
    hosts: Sequence[str] = (),
    objects: Sequence[str] = (),
    domains: Sequence[str] = (),
    acknowledged: bool | None = None,
    raw: str | None = None,
) -> str | None:
    """One filter of all that is asked for; None when nothing is. Of several values one must match. Types and objects
    match in part: `node` finds control.node.lost, `c1` finds host/c1. `raw` is a filter of its own, added as it is.
    """
    state = () if acknowledged is None else ("ACKNOWLEDGED" if acknowledged else "UNACKNOWLEDGED",)
    expressions = [
        expression("in", "perceivedSeverity", severities),
        expression("cont", "faultType", types),
        expression("in", "location/host", hosts),
        expression("cont", "managedObjectId", objects),
        expression("in", "faultDomain", domains),
        expression("in", "ackState", state),
        raw or "",
    ]
    return ";".join(each for each in expressions if each) or None


def counts(given: Sequence[str]) -> dict[str, int | None]:
    """`WARNING=10000` and `MINOR=any` as retentionCounts; None: as many as there are. UsageError."""
    found: dict[str, int | None] = {}
    for each in given:
        name, _, number = each.partition("=")
        known = name.upper() in set(Severity) - {Severity.CLEARED}
        if not known or not (number == "any" or (number.isascii() and number.isdecimal())):
            raise UsageError(f"{each!r} is no limit of a severity", "Give it as WARNING=10000, or as WARNING=any.")
        found[name.upper()] = None if number == "any" else int(number)
    return found


def retention(days: int | None, most: Sequence[str]) -> dict[str, Any]:
    """What is to change of alarmServiceConfiguration; empty: nothing. UsageError."""
    return {
        **({"retentionPeriod": days} if days is not None else {}),
        **({"retentionCounts": counts(most)} if most else {}),
    }


def expression(operation: str, attribute: str, values: Sequence[str]) -> str:
    """One comparison; empty when there is nothing to compare with."""
    quoted = ",".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"({operation},{attribute},{quoted})" if values else ""


def moment(text: str, now: datetime) -> str:
    """The time that is meant, by RFC 3339: `2h` ago (s, m, h, d, w), or a date and time, of this machine's time zone
    when it names none. `now` has a zone. UsageError.
    """
    try:
        if found := SPAN.fullmatch(text):
            then = now - timedelta(**{UNITS[found[2]]: int(found[1])})
        else:
            then = datetime.fromisoformat(text)
        return times.text(max(0, round(then.timestamp() * times.SECOND)))
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{text!r} is no time", "Give how long ago (90s, 30m, 2h, 3d, 1w), or 2026-01-31 or 2026-01-31T23:59."
        ) from error

"""Times of alarms: whole microseconds since 1970 in UTC inside, RFC 3339 outside.

Invariant: a time that came in with microseconds goes out with the same; `text` and `micros` are each other's inverse.
"""

import time
from datetime import UTC, datetime, timedelta

SECOND = 1_000_000
"""Microseconds."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = 253_402_300_799_999_999
"""The end of the year 9999: what RFC 3339 can say."""


def now() -> int:
    """The wall clock, in microseconds."""
    return time.time_ns() // 1000


def text(micros: int) -> str:
    """`micros` by RFC 3339, with six digits of a second, in UTC."""
    return (EPOCH + timedelta(microseconds=micros)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def micros(text: str) -> int:
    """An RFC 3339 time in microseconds; ValueError when it is none, has no zone, or is before 1970."""
    if len(text) < 20 or text[10] not in "Tt ":
        raise ValueError(f"{text[:40]!r} is no RFC 3339 time such as 2026-01-31T23:59:59.123456Z")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: end it with Z or an offset")
    found = (moment - EPOCH) // timedelta(microseconds=1)
    if found < 0:
        raise ValueError(f"{text!r} is before 1970")
    return found

"""How times and words of alarms are shown to people. All times are UTC.

Invariant: pure; nothing here knows HTML.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from vimha.alarms import times
from vimha.alarms.config import Role
from vimha.alarms.times import SECOND

ACTING = Role.OPERATOR
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def clock(micros: int, now_us: int) -> str:
    """A time as short as can be, seen from now: with its day when that is not today's."""
    text, today = times.text(micros), times.text(now_us)
    return text[11:19] if text[:10] == today[:10] else f"{text[:10]} {text[11:19]}"


def ago(micros: int) -> str:
    """A duration in its two largest units, such as `2 h 5 min`."""
    left, said = max(micros, 0) // SECOND, []
    for size, name in UNITS:
        number, left = divmod(left, size)
        if number:
            said.append(f"{number} {name}")
    return " ".join(said[:2]) or "0 s"


def said(word: str) -> str:
    """A word of a closed list in plain English: `PROCESSING_ERROR_ALARM` is processing error."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word.removesuffix("_ALARM").replace("_", " "))
    return spaced.lower()


def attributes(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """An alarm's attributes by name in plain English, those of structures too; not its correlated alarms."""
    for name, value in body.items():
        if isinstance(value, Mapping):
            yield from attributes(value)
        elif value is not None and name not in ("version", "correlatedAlarmIds"):
            text = "; ".join(value) if isinstance(value, list) else str(value)
            yield said(name).capitalize(), {"True": "yes", "False": "no"}.get(text, text)

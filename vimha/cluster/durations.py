"""How Pacemaker reads a duration, mistakes included.

Invariant: these functions give what Pacemaker 2.1 computes (lib/common/utils.c, crm_get_msec and
crm_parse_interval_spec; checked against crm_simulate in the tests), not what the writer meant: that is `meant_ms`,
and where the two differ there is a finding.
"""

import re

DEFAULT_TIMEOUT = 20_000
"""An operation's timeout where none is given or the given one cannot be read, in milliseconds."""

_LONGEST = 2**32 - 1
_NUMBER = re.compile(r"\s*([0-9.]+)\s*(\S*)", re.ASCII)
_UNITS = {"": 1000.0, "s": 1000.0, "sec": 1000.0, "ms": 1.0, "msec": 1.0, "us": 0.001, "usec": 0.001,
          "m": 60_000.0, "min": 60_000.0, "h": 3_600_000.0, "hr": 3_600_000.0}  # fmt: skip
_ISO = re.compile(
    r"P(?:([0-9.]+)Y)?(?:([0-9.]+)M)?(?:([0-9.]+)W)?(?:([0-9.]+)D)?"
    r"(?:T?(?:([0-9.]+)H)?(?:([0-9.]+)M)?(?:([0-9.]+)S)?)?",
    re.ASCII,
)
_ISO_SECONDS = (31_536_000, 2_592_000, 604_800, 86_400, 3600, 60, 1)


def _unit(word: str) -> float | None:
    """Milliseconds in one of the unit that `word` starts with; Pacemaker reads no further than the unit."""
    lowered = word.lower()
    if not lowered:
        return _UNITS[""]
    known = [unit for unit in _UNITS if unit and lowered.startswith(unit)]
    return _UNITS[max(known, key=len)] if known else None


def _digits(number: str) -> int | None:
    """The whole number that `number` starts with, as strtoll(3) reads it."""
    leading = re.match(r"[0-9]+", number)
    return int(leading[0]) if leading else None


def timeout_ms(text: str | None) -> int:
    """The timeout that Pacemaker makes of `text`, in milliseconds: what it cannot read becomes the default."""
    match = _NUMBER.match(text or "")
    unit = _unit(match[2]) if match else None
    whole = _digits(match[1]) if match else None
    return DEFAULT_TIMEOUT if unit is None or whole is None or whole * unit > _LONGEST else int(whole * unit)


def interval_ms(text: str | None) -> int:
    """The interval that Pacemaker makes of `text`, in milliseconds; 0, for which nothing recurs, if unreadable."""
    given = (text or "").strip()
    if given.startswith("P"):
        fields = _ISO.fullmatch(given)
        if fields is None or not any(fields.groups()) or any("." in part for part in fields.groups("")):
            return 0
        return _iso_ms([int(part) for part in fields.groups("0")])
    match = _NUMBER.match(given)
    unit = _unit(match[2]) if match else None
    whole = _digits(match[1]) if match else None
    return 0 if unit is None or whole is None else min(int(whole * unit), _LONGEST)


def _iso_ms(fields: list[int]) -> int:
    """Pacemaker counts a period's days like a calendar's, from one: P1D is nothing at all, and P1W six days."""
    years, months, weeks, days, hours, minutes, seconds = fields
    if years or months:
        return 0
    return (max(0, weeks * 7 + days - 1) * 86_400 + hours * 3600 + minutes * 60 + seconds) * 1000


def seconds_of(text: str | None) -> int:
    """The duration in `text` where Pacemaker counts in whole seconds (failure-timeout), cut down, in seconds."""
    return interval_ms(text) // 1000


def meant_ms(text: str | None) -> float | None:
    """What a person means by `text`, fractions and ISO 8601 included, in milliseconds; None when nobody could tell."""
    given = (text or "").strip()
    fields = _ISO.fullmatch(given)
    try:
        if fields is not None and any(fields.groups()):
            parts = zip(fields.groups("0"), _ISO_SECONDS, strict=True)
            return sum(float(part) * size for part, size in parts) * 1000
        match = _NUMBER.fullmatch(given)
        unit = _UNITS.get(match[2].lower()) if match else None
        return float(match[1]) * unit if match and unit is not None else None
    except ValueError:
        return None


def show(milliseconds: float) -> str:
    """`milliseconds` in Pacemaker's spelling without a fraction: `5s` where it is whole, else `500ms`."""
    whole = round(milliseconds)
    return f"{whole // 1000}s" if whole % 1000 == 0 and whole else f"{whole}ms"

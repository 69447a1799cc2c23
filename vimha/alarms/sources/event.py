"""From what a source said to an Event: what holds for every shape.

Invariant: a time a little ahead is a clock's error, and counts as now; one far ahead is refused, for an alarm with it
would take no later word.
"""

import hashlib
import re
from functools import cache
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from vimha.alarms import times
from vimha.alarms.catalogue import definitions
from vimha.alarms.model import Definition
from vimha.alarms.times import SECOND
from vimha.alarms.words import Severity
from vimha.errors import VimhaError

EXTERNAL = "external.reported"
"""What a fault is that the catalogue does not know."""
LONGEST = 1024
"""Characters of a detail."""
FUTURE_US = 3600 * SECOND
"""As far as a node's clock may be ahead of ours: an hour, a time zone's or daylight saving's mistake."""


class SourceError(VimhaError):
    """What came in is no event that can be taken in (400)."""


def plain(text: str) -> str:
    """`text`; ValueError when it has a character that shows nothing."""
    if not text.isprintable():
        raise ValueError("only printable characters may be in it")
    return text


Word = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(plain)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(plain)]
Detail = Annotated[str, StringConstraints(max_length=LONGEST), AfterValidator(plain)]


def definition(name: str) -> Definition:
    """The catalogue's entry of that id."""
    if name not in definitions():
        raise SourceError(f"{name[:64]!r} is not in the catalogue of alarms", "external.reported is for what is not.")
    return definitions()[name]


def matches(known: Definition, managed_object: str) -> bool:
    """Whether an alarm of this definition may be about this object."""
    return _pattern(known.managed_object).fullmatch(managed_object) is not None


def fitting(known: Definition, said: Severity | None) -> Severity:
    """The severity that another system said, or the definition's usual one when it cannot have that."""
    return said if said is Severity.CLEARED or said in known.severities else known.severities[0]


def check(known: Definition, managed_object: str, severity: Severity) -> None:
    """SourceError when an alarm of this definition cannot have this object or severity."""
    if not matches(known, managed_object):
        raise SourceError(f"{known.id}: its managed object is {known.managed_object}, not {managed_object[:64]!r}")
    if severity is not Severity.CLEARED and severity not in known.severities:
        allowed = ", ".join([*known.severities, Severity.CLEARED])
        raise SourceError(f"{known.id}: its severity may be {allowed}, not {severity.value}")


def when(text: str, now_us: int, zone: str = "") -> int:
    """The time that `text` says, in microseconds; at most `now_us`. `zone`: of a time that has none."""
    try:
        said = times.micros(text if _ZONE.search(text) else text + zone)
    except (ValueError, OverflowError) as error:
        raise SourceError(str(error)) from error
    if said > now_us + FUTURE_US:
        raise SourceError(f"{text[:40]} is in the future; it is {times.text(now_us)}", "Is the source's clock right?")
    return min(said, now_us)


def name(*words: str) -> str:
    """An event's id for a source that has none: the same words, the same event."""
    return hashlib.blake2b("\0".join(words).encode(), digest_size=16).hexdigest()


def line(text: str, longest: int = LONGEST) -> str:
    """A text of others as one printable line, cut at `longest` characters."""
    return "".join(each if each.isprintable() else " " for each in text)[:longest].strip()


_ZONE = re.compile(r"([Zz]|[+-]\d\d:?\d\d)$")


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """`service/<resource>[/<node>]` as an expression; `<any>` alone is anything."""
    if text == "<any>":
        return re.compile(".+")
    marks = {"[": "(?:", "]": ")?"}
    parts = re.split(r"(<[^>]*>|\[|\])", text)
    return re.compile("".join("[^/]+" if part[:1] == "<" else marks.get(part) or re.escape(part) for part in parts))

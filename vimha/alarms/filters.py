"""Attribute filters (ETSI GS NFV-SOL 013, 5.2): `(eq,perceivedSeverity,CRITICAL);(cont,faultDetails,fan,disk)`.

Invariant: pure, and in one meaning: `matches` here and `to_sql` in filters_sql.py agree on every alarm. All expressions
must hold; of an array one element must meet all expressions about it; an attribute that an alarm does not have meets
none, a negative one neither. Severities are ordered by their rank, so `(gte,perceivedSeverity,MAJOR)` is what it says.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from vimha.alarms import times
from vimha.alarms.words import (
    AckState,
    ClearingType,
    EventType,
    FaultDomain,
    ProbableCause,
    ResourceType,
    Severity,
)
from vimha.errors import VimhaError

LONGEST = 8192
"""Characters of a filter: as much as a request line holds beside the rest."""
MOST_EXPRESSIONS = 50
MOST_VALUES = 200
"""Of one expression."""
ONE = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
MANY = ("in", "nin", "cont", "ncont")
ORDER = ("gt", "gte", "lt", "lte")
PARTS = ("cont", "ncont")


class FilterError(VimhaError):
    """A filter that cannot be understood; the message names the place."""


class Kind(StrEnum):
    """What an attribute's values are, and so which operators make sense."""

    TEXT = "text"
    WORD = "word"
    TIME = "time"
    FLAG = "flag"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Attribute:
    """An alarm's attribute that a filter may name. `words`: all that it can be; `many`: it is an array."""

    kind: Kind = Kind.TEXT
    words: type[StrEnum] | None = None
    many: bool = False


@dataclass(frozen=True, slots=True)
class Expression:
    """One comparison. `path` is as in the filter (`location/host`); times are microseconds, flags truth values."""

    operation: str
    path: str
    values: tuple[Any, ...]


Tree = tuple[Expression, ...]
"""What a filter says: all of these."""


def _word(words: type[StrEnum]) -> Attribute:
    return Attribute(Kind.WORD, words)


ATTRIBUTES: Mapping[str, Attribute] = {
    "id": Attribute(),
    "managedObjectId": Attribute(),
    "rootCauseFaultyResource/faultyResource/resourceId": Attribute(),
    "rootCauseFaultyResource/faultyResource/vimLevelResourceType": Attribute(),
    "rootCauseFaultyResource/faultyResourceType": _word(ResourceType),
    "alarmRaisedTime": Attribute(Kind.TIME),
    "alarmChangedTime": Attribute(Kind.TIME),
    "alarmClearedTime": Attribute(Kind.TIME),
    "alarmAcknowledgedTime": Attribute(Kind.TIME),
    "ackState": _word(AckState),
    "perceivedSeverity": _word(Severity),
    "lastPerceivedSeverity": _word(Severity),
    "eventTime": Attribute(Kind.TIME),
    "eventType": _word(EventType),
    "faultType": Attribute(),
    "probableCause": _word(ProbableCause),
    "isRootCause": Attribute(Kind.FLAG),
    "correlatedAlarmIds": Attribute(many=True),
    "faultDetails": Attribute(many=True),
    "alarmDefinitionId": Attribute(),
    "specificProblem": Attribute(),
    "proposedRepairAction": Attribute(),
    "serviceAffecting": Attribute(Kind.FLAG),
    "clearingType": _word(ClearingType),
    "faultDomain": _word(FaultDomain),
    **{f"location/{name}": Attribute() for name in ("site", "zone", "rack", "host", "slot")},
    "detector": Attribute(),
    "acknowledgedBy": Attribute(),
    "eventCount": Attribute(Kind.NUMBER),
    "flapping": Attribute(Kind.FLAG),
}


def parse(text: str) -> Tree:
    """The expressions of a filter; FilterError."""
    if len(text) > LONGEST:
        raise FilterError(f"filter: {len(text)} characters; it may have {LONGEST}")
    if not text.isprintable():
        raise FilterError("filter: only printable characters may be in it")
    scanner, found = _Scanner(text), []
    while True:
        found.append(scanner.expression())
        if len(found) > MOST_EXPRESSIONS:
            raise scanner.wrong(f"more than {MOST_EXPRESSIONS} expressions")
        if scanner.ended:
            return tuple(found)
        scanner.take(";", "another expression begins with")


def matches(tree: Tree, body: Mapping[str, Any]) -> bool:
    """Whether an alarm (alarms/sol.py) meets all expressions."""
    return all(
        any(all(_holds(each, value) for each in group) for value in _values(path, body))
        for path, group in grouped(tree).items()
    )


def grouped(tree: Tree) -> dict[str, list[Expression]]:
    """The expressions about each attribute."""
    found: dict[str, list[Expression]] = {}
    for each in tree:
        found.setdefault(each.path, []).append(each)
    return found


def _values(path: str, body: Mapping[str, Any]) -> Sequence[Any]:
    found: Any = body
    for step in path.split("/"):
        found = found.get(step) if isinstance(found, Mapping) else None
    if found is None:
        return []
    known = ATTRIBUTES[path]
    return found if known.many else [times.micros(found) if known.kind is Kind.TIME else found]


def _holds(expression: Expression, value: Any) -> bool:
    wanted = expression.values
    match expression.operation:
        case "in":
            return value in wanted
        case "nin":
            return value not in wanted
        case "cont":
            return any(part in value for part in wanted)
        case "ncont":
            return not any(part in value for part in wanted)
        case one:
            return bool(ONE[one](value, wanted[0]))


class _Scanner:
    """Reads expressions from a text, and knows where it is."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at == len(self._text)

    def wrong(self, message: str, at: int | None = None) -> FilterError:
        return FilterError(f"filter, character {(self._at if at is None else at) + 1}: {message}")

    def take(self, sign: str, what: str) -> None:
        if not self._text.startswith(sign, self._at):
            raise self.wrong(f"{what} {sign!r}")
        self._at += 1

    def expression(self) -> Expression:
        self.take("(", "an expression begins with")
        operation_at = self._at
        operation = self._name()
        if operation not in ONE and operation not in MANY:
            raise self.wrong(f"{operation[:32]!r} is no operator; there are {', '.join([*ONE, *MANY])}", operation_at)
        self.take(",", "after the operator comes")
        path_at = self._at
        path = self._name()
        if path not in ATTRIBUTES:
            raise self.wrong(f"{path[:64]!r} is no attribute to filter by; there are {', '.join(ATTRIBUTES)}", path_at)
        self.take(",", "after the attribute comes")
        values = [self._value(operation, path)]
        while self._text.startswith(",", self._at):
            self._at += 1
            values.append(self._value(operation, path))
        if operation in ONE and len(values) > 1:
            raise self.wrong(f"{operation} takes one value; a comma in a value asks for quotes: 'a,b'")
        if len(values) > MOST_VALUES:
            raise self.wrong(f"more than {MOST_VALUES} values")
        self.take(")", "an expression ends with")
        return _ranked(Expression(operation, path, tuple(values)))

    def _name(self) -> str:
        begin = self._at
        while not self.ended and self._text[self._at] not in ",();'":
            self._at += 1
        return self._text[begin : self._at]

    def _value(self, operation: str, path: str) -> Any:
        at = self._at
        text = self._quoted() if self._text.startswith("'", at) else self._bare()
        try:
            return _typed(operation, path, text)
        except (ValueError, OverflowError) as error:
            raise self.wrong(f"{path}: {error}", at) from error

    def _bare(self) -> str:
        begin = self._at
        while not self.ended and self._text[self._at] not in ",)":
            if self._text[self._at] == "'":
                raise self.wrong("a quote inside of a value: quote all of it, and this one twice")
            self._at += 1
        return self._text[begin : self._at]

    def _quoted(self) -> str:
        begin, found = self._at, []
        self._at += 1
        while True:
            end = self._text.find("'", self._at)
            if end < 0:
                raise self.wrong("this quote is never closed", begin)
            found.append(self._text[self._at : end])
            self._at = end + 1
            if not self._text.startswith("'", self._at):
                return "'".join(found)
            self._at += 1


def _typed(operation: str, path: str, text: str) -> Any:
    """What `text` means for this attribute; ValueError when it, or the operator, means nothing there."""
    known = ATTRIBUTES[path]
    if operation in PARTS and known.kind not in (Kind.TEXT, Kind.WORD):
        raise ValueError(f"{operation} looks into texts, and this is a {known.kind.value}")
    ranked = known.words is Severity
    if operation in ORDER and (known.kind is Kind.FLAG or (known.kind is Kind.WORD and not ranked)):
        raise ValueError(f"{operation} needs an order, and these have none")
    if operation in PARTS:
        return text
    match known.kind:
        case Kind.TIME:
            return times.micros(text.replace(" ", "+"))
        case Kind.FLAG:
            return _flag(text)
        case Kind.NUMBER:
            return _number(text)
    if known.words is not None and text not in set(known.words):
        raise ValueError(f"{text[:64]!r} is none of {', '.join(known.words)}")
    return text


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text[:32]!r} is neither true nor false")
    return text == "true"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise ValueError(f"{text[:32]!r} is no whole number")
    return int(text)


def _ranked(expression: Expression) -> Expression:
    """An order of severities as the list of those that are meant."""
    if ATTRIBUTES[expression.path].words is not Severity or expression.operation not in ORDER:
        return expression
    compare: Callable[[int, int], bool] = ONE[expression.operation]
    rank = Severity(expression.values[0]).rank
    return Expression("in", expression.path, tuple(each.value for each in Severity if compare(each.rank, rank)))

"""What a page is asked for in its URL: filters and the time range; and what they mean to the store.

Invariant: a URL says all that a page shows, so that it can be sent to a colleague; what a form left empty is not asked
for.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy import ColumnElement, String, Table, and_, func, literal, or_, select, type_coerce

from vimha.alarms import times
from vimha.alarms.catalogue import definitions
from vimha.alarms.filters_sql import JsonElements, JsonValue
from vimha.alarms.service.problems import ProblemError
from vimha.alarms.times import SECOND
from vimha.alarms.words import AckState, EventType, FaultDomain, Severity

Empty = BeforeValidator(lambda given: None if given == "" else given)
Word = Annotated[str | None, Field(max_length=255), Empty]
Last = Literal["1h", "6h", "24h", "7d", "30d"]
LAST_US: dict[Last, int] = {
    "1h": 3600 * SECOND, "6h": 6 * 3600 * SECOND, "24h": 86_400 * SECOND, "7d": 7 * 86_400 * SECOND,
    "30d": 30 * 86_400 * SECOND,
}  # fmt: skip


class Filters(BaseModel):
    """Which alarms, and from where on in their list."""

    model_config = ConfigDict(extra="forbid")

    severity: list[Severity] = []
    type: Word = None
    host: Word = None
    domain: Annotated[FaultDomain | None, Empty] = None
    ack: Annotated[AckState | None, Empty] = None
    text: Word = None
    after: Annotated[str | None, Field(max_length=256)] = None
    done: Literal["acknowledged", "unacknowledged", "cleared"] | None = None
    """What was just done: the page says so."""

    @property
    def asked(self) -> dict[str, str | list[str]]:
        """What narrows the list."""
        return self.model_dump(mode="json", exclude={"after", "done"}, exclude_defaults=True)

    def url(self, **other: object) -> str:
        """This query with other values, from the first page on; None takes one out."""
        return "?" + urlencode({name: each for name, each in {**self.asked, **other}.items() if each}, doseq=True)

    def toggled(self, severity: Severity) -> str:
        """This query with or without a severity."""
        return self.url(severity=[each.value for each in Severity if (each in self.severity) != (each is severity)])

    def where(self, table: Table, *, any_severity: bool = False) -> list[ColumnElement[bool]]:
        """The conditions on rows of `table` (schema.ALARM or schema.HISTORY)."""
        return list(self._where(table, any_severity))

    def _where(self, table: Table, any_severity: bool) -> Iterator[ColumnElement[bool]]:
        if self.severity and not any_severity:
            yield table.c.severity.in_([each.value for each in self.severity])
        if self.type in set(EventType):
            yield table.c.event_type == self.type
        elif self.type:
            yield table.c.definition == self.type
        if self.host:
            yield table.c.host == self.host
        if self.domain:
            yield table.c.fault_domain == self.domain.value
        if self.ack:
            yield table.c.ack == self.ack.value
        if self.text:
            yield _contains(table, self.text)


class Range(Filters):
    """Of the history: the alarms of the last so many hours or days, or from a time to another."""

    last: Last = "24h"
    from_: Annotated[str | None, Field(alias="from"), Empty] = None
    to: Annotated[str | None, Empty] = None

    @property
    def asked(self) -> dict[str, str | list[str]]:
        return self.model_dump(mode="json", exclude={"after", "done"}, exclude_defaults=True, by_alias=True)

    def bounds(self, now_us: int) -> tuple[int, int]:
        """From when to when, its end outside; ProblemError 400."""
        to_us = _time("to", self.to) if self.to else now_us
        from_us = _time("from", self.from_) if self.from_ else to_us - LAST_US[self.last]
        if from_us >= to_us:
            raise ProblemError(400, "from: it must be before `to`")
        return max(from_us, 0), to_us


def types() -> dict[str, list[str]]:
    """What `type` may be, in groups."""
    return {"Event type": [each.value for each in EventType], "Alarm": list(definitions())}


def _contains(table: Table, text: str) -> ColumnElement[bool]:
    """Whether what a person reads of an alarm contains a text, in whatever case. Its body does then, as JSON spells it:
    to ask that first makes the search several times as fast.
    """
    wanted, spelt = func.lower(literal(text)), func.lower(literal(json.dumps(text, ensure_ascii=False)[1:-1]))
    problem = type_coerce(JsonValue(table.c.body, literal("$.specificProblem")), String())
    details = JsonElements(table.c.body, literal("$.faultDetails")).table_valued("value", name="detail")
    in_details = select(literal(1)).select_from(details).where(func.instr(func.lower(details.c.value), wanted) > 0)
    shown = (table.c.managed_object, table.c.definition, table.c.host, table.c.probable_cause, table.c.id, problem)
    found = or_(*(func.instr(func.lower(each), wanted) > 0 for each in shown), in_details.correlate(table).exists())
    return and_(func.instr(func.lower(table.c.body), spelt) > 0, found)


def _time(name: str, text: str) -> int:
    """RFC 3339, or as a browser's field has it: to the minute or second, without a zone, which is UTC then."""
    whole = {16: f"{text}:00Z", 19: f"{text}Z"}.get(len(text), text)
    try:
        return times.micros(f"{whole[:11]}{whole[11:].replace(' ', '+')}")
    except (ValueError, OverflowError) as error:
        raise ProblemError(400, f"{name}: {error}") from error

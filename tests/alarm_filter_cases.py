"""Random alarms and filters, and whether SQL and Python agree on them; for each database that keeps alarms."""

import json
from typing import Any

from hypothesis import strategies as some
from sqlalchemy import insert, select
from sqlalchemy.engine import Engine

from vimha.alarms import sol, times
from vimha.alarms.catalogue import definitions
from vimha.alarms.filters import ATTRIBUTES, MANY, ONE, ORDER, PARTS, Kind, matches, parse
from vimha.alarms.filters_sql import to_sql
from vimha.alarms.model import Alarm, Location
from vimha.alarms.store.rows import alarm_row, dumps
from vimha.alarms.store.schema import ALARM
from vimha.alarms.words import AckState, Severity

WORDS = some.sampled_from(["", "a", "A", "c1", "c2", "fan 1", "it's, so", "(x)", "50%", "_", "\\", "ä"])
TIMES = some.integers(0, 3).map(lambda step: 1_700_000_000_000_000 + step * 250_000)


alarms = some.builds(
    Alarm, id=some.uuids().map(str), definition=some.sampled_from(list(definitions().values())),
    managed_object=WORDS.filter(bool), severity=some.sampled_from([each for each in Severity if each != "CLEARED"]),
    event_us=TIMES, raised_us=TIMES, specific_problem=WORDS, location=some.builds(Location, host=WORDS, rack=WORDS),
    details=some.lists(WORDS, max_size=3).map(tuple), detector=WORDS,
    correlated=some.lists(WORDS, max_size=2).map(tuple), root_cause=some.booleans(),
    changed_us=some.none() | TIMES, acknowledged_us=some.none() | TIMES, ack=some.sampled_from(AckState),
    events=some.integers(1, 12), flapping=some.booleans(),
)  # fmt: skip


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@some.composite
def expressions(draw: Any) -> str:
    path = draw(some.sampled_from(list(ATTRIBUTES)))
    known = ATTRIBUTES[path]
    usable = [
        each for each in (*ONE, *MANY)
        if not (each in PARTS and known.kind not in (Kind.TEXT, Kind.WORD))
        and not (each in ORDER and (known.kind is Kind.FLAG or (known.words and known.words is not Severity)))
    ]  # fmt: skip
    operation = draw(some.sampled_from(usable))
    value = WORDS
    if known.kind is Kind.TIME:
        value = TIMES.map(times.text)
    elif known.kind is Kind.FLAG:
        value = some.sampled_from(["true", "false"])
    elif known.kind is Kind.NUMBER:
        value = some.integers(0, 12).map(str)
    elif known.words and operation not in PARTS:
        value = some.sampled_from([each.value for each in known.words])
    count = 1 if operation in ONE else draw(some.integers(1, 3))
    values = [quoted(draw(value)) for _ in range(count)]
    return f"({operation},{path},{','.join(values)})"


filters = some.lists(expressions(), min_size=1, max_size=3).map(";".join)
kept = some.lists(alarms, min_size=1, max_size=4, unique_by=lambda each: each.id)


def agree(engine: Engine, kept: list[Alarm], text: str) -> None:
    """Keep the alarms in the empty table alarm of `engine`, ask for the filter, and take them back."""
    tree = parse(text)
    with engine.connect() as connection:
        connection.execute(insert(ALARM), [alarm_row(each, 1, dumps(sol.body(each))) for each in kept])
        found = set(connection.execute(select(ALARM.c.id).where(*to_sql(tree, ALARM))).scalars())
        connection.rollback()
    assert found == {each.id for each in kept if matches(tree, json.loads(json.dumps(sol.body(each))))}

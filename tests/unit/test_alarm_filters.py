"""Filters: what they mean, what is refused, and that SQL and Python mean the same."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import create_engine, insert, select
from sqlalchemy.engine import Engine

from vimha.alarms import sol, times
from vimha.alarms.catalogue import definitions
from vimha.alarms.filters import ATTRIBUTES, MANY, ONE, ORDER, PARTS, FilterError, Kind, matches, parse
from vimha.alarms.filters_sql import to_sql
from vimha.alarms.model import Alarm, Location
from vimha.alarms.store.rows import alarm_row, dumps
from vimha.alarms.store.schema import ALARM, METADATA
from vimha.alarms.words import AckState, Severity

WORDS = some.sampled_from(["", "a", "A", "c1", "c2", "fan 1", "it's, so", "(x)", "50%", "_", "\\", "ä"])
TIMES = some.integers(0, 3).map(lambda step: 1_700_000_000_000_000 + step * 250_000)


def an_alarm(**changes: Any) -> Alarm:
    known, at_us = definitions()["compute.host.down"], 1_700_000_000_000_000
    return Alarm("i", known, "host/c1", Severity.CRITICAL, event_us=at_us, raised_us=at_us + 1, **changes)


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


@pytest.fixture(scope="module")
def engine() -> Engine:
    made = create_engine("sqlite://")
    METADATA.create_all(made)
    return made


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kept=some.lists(alarms, min_size=1, max_size=4, unique_by=lambda each: each.id), text=filters)
def test_sql_and_python_agree(engine: Engine, kept: list[Alarm], text: str) -> None:
    tree = parse(text)
    with engine.connect() as connection:
        connection.execute(insert(ALARM), [alarm_row(each, 1, dumps(sol.body(each))) for each in kept])
        found = set(connection.execute(select(ALARM.c.id).where(*to_sql(tree, ALARM))).scalars())
        connection.rollback()
    assert found == {each.id for each in kept if matches(tree, json.loads(json.dumps(sol.body(each))))}


@pytest.mark.parametrize(
    ("text", "meets"),
    [
        ("(eq,perceivedSeverity,CRITICAL)", True),
        ("(gte,perceivedSeverity,MAJOR)", True),
        ("(lt,perceivedSeverity,CRITICAL)", False),
        ("(in,perceivedSeverity,MAJOR,CRITICAL);(eq,location/host,c1)", True),
        ("(eq,location/host,c1);(eq,faultDomain,VM)", False),
        ("(cont,managedObjectId,c1,c2)", True),
        ("(ncont,managedObjectId,c1,c2)", False),
        ("(eq,faultDetails,fan)", True),
        ("(cont,faultDetails,fa);(ncont,faultDetails,an)", False),
        ("(neq,faultDetails,fan)", True),
        ("(eq,specificProblem,'it''s, (so)')", True),
        ("(neq,detector,x)", False),
        ("(gt,eventTime,2023-11-14T22:13:19Z)", True),
        ("(lte,eventTime,2023-11-14T23:13:20+01:00)", True),
        ("(eq,serviceAffecting,true)", True),
        ("(gte,eventCount,2)", False),
    ],
)
def test_meaning(text: str, meets: bool) -> None:
    alarm = an_alarm(details=("fan", "disk"), specific_problem="it's, (so)", location=Location(host="c1"))
    assert matches(parse(text), sol.body(alarm)) is meets


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "character 1: an expression begins with '('"),
        ("(eq,perceivedSeverity,CRITICAL", "character 31: an expression ends with ')'"),
        ("(eq,perceivedSeverity,CRITICAL)x", "character 32: another expression begins with ';'"),
        ("(like,id,x)", "character 2: 'like' is no operator"),
        ("(eq,severity,CRITICAL)", "character 5: 'severity' is no attribute"),
        ("(eq,perceivedSeverity,CRITCAL)", "character 23: perceivedSeverity: 'CRITCAL' is none of CRITICAL"),
        ("(eq,id,a,b)", "eq takes one value"),
        ("(eq,id,'a)", "character 8: this quote is never closed"),
        ("(eq,id,a'b)", "a quote inside of a value"),
        ("(cont,eventTime,2023)", "cont looks into texts"),
        ("(gt,ackState,ACKNOWLEDGED)", "gt needs an order"),
        ("(eq,eventTime,yesterday)", "no RFC 3339 time"),
        ("(eq,flapping,yes)", "neither true nor false"),
        ("(eq,eventCount,one)", "no whole number"),
        ("(eq,id,a\x00)", "only printable characters"),
        ("(eq,id,x);" * 60, "more than 50 expressions"),
        ("(in,id," + "x," * 300 + "x)", "more than 200 values"),
        ("(" * 9000, "9000 characters"),
    ],
)
def test_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert says in caught.value.message


@given(some.text(alphabet="()',;/eqinx ", max_size=40))
def test_any_text_is_understood_or_refused(text: str) -> None:
    with suppress(FilterError):
        parse(text)

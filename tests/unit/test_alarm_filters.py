"""Filters: what they mean, what is refused, and that SQL and Python mean the same."""

from contextlib import suppress
from typing import Any

import pytest
from alarm_filter_cases import agree, filters, kept
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import create_engine
from sqlalchemy.engine import Engine

from vimha.alarms import sol
from vimha.alarms.catalogue import definitions
from vimha.alarms.filters import FilterError, matches, parse
from vimha.alarms.model import Alarm, Location
from vimha.alarms.store.schema import METADATA
from vimha.alarms.words import Severity


def an_alarm(**changes: Any) -> Alarm:
    known, at_us = definitions()["compute.host.down"], 1_700_000_000_000_000
    return Alarm("i", known, "host/c1", Severity.CRITICAL, event_us=at_us, raised_us=at_us + 1, **changes)


@pytest.fixture(scope="module")
def engine() -> Engine:
    made = create_engine("sqlite://")
    METADATA.create_all(made)
    return made


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kept=kept, text=filters)
def test_sql_and_python_agree(engine: Engine, kept: list[Alarm], text: str) -> None:
    agree(engine, kept, text)


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

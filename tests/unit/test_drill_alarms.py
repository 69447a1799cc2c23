"""The alarm path of a drill: what counts as told, late, lost or out of order; and the subscriber's own HTTP."""

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from vimha.drill.alarms import Call, raised, untold
from vimha.drill.assess import Seen, assess
from vimha.drill.report import render
from vimha.drill.subscriber import entry, serve
from vimha.drill.verdict import Expectation, Limits, Outcome
from vimha.timing.model import Budget

LOST = Call(
    at=101.0, epoch=1_800_000_001.4, id="n1", stamp="2027-01-15T08:00:01.000000Z", kind="AlarmNotification",
    alarm_id="a1", definition="control.node.lost", about="host/c1", host="c1", severity="CRITICAL",
    event_time="2027-01-15T08:00:01.000000Z",
)  # fmt: skip
OVER = replace(LOST, id="n2", stamp="2027-01-15T08:00:09.000000Z", severity="CLEARED", definition="", about="", host="")
ACTIVE = {
    "id": "a1", "alarmDefinitionId": "control.node.lost", "managedObjectId": "host/c1", "perceivedSeverity": "CRITICAL",
    "alarmRaisedTime": "2027-01-15T08:00:01.1Z",
}  # fmt: skip
BEFORE = 1_800_000_000.0
GONE = Expectation(alarm="control.node.lost")


def test_the_lag_is_from_pacemakers_event() -> None:
    assert LOST.lag_s == pytest.approx(0.4)


def test_what_was_told_is_found_by_alarm_and_node() -> None:
    assert raised([OVER, LOST], "control.node.lost", "c1") == LOST
    assert raised([LOST], "control.node.", "c1") == LOST
    assert raised([LOST], "control.node.lost", "c2") is None
    assert raised([OVER], "", "") is None


@pytest.mark.parametrize(
    ("calls", "active", "word"),
    [
        ([LOST], [ACTIVE], ""),
        ([LOST, OVER], [], ""),
        ([LOST, LOST, OVER, OVER], [], ""),
        ([], [], ""),
        ([], [{**ACTIVE, "alarmRaisedTime": "2027-01-15T07:00:00Z"}], ""),
        ([], [ACTIVE], "never told"),
        ([LOST], [], "the end of control.node.lost of host/c1 was never told"),
        ([LOST, OVER], [ACTIVE], "told as CLEARED"),
        ([LOST], [{**ACTIVE, "perceivedSeverity": "MINOR"}], "is MINOR, told as CRITICAL"),
        ([LOST, OVER, replace(LOST, id="n3", stamp=OVER.stamp)], [ACTIVE], "out of its order: CRITICAL after CLEARED"),
        ([replace(LOST, severity="MAJOR"), replace(LOST, id="n0", stamp="2027-01-15T08:00:00Z")], [ACTIVE],
         "out of its order: CRITICAL after MAJOR"),
    ],
)  # fmt: skip
def test_what_a_subscriber_does_not_know(calls: list[Call], active: list[dict[str, Any]], word: str) -> None:
    found = "; ".join(untold(calls, active, BEFORE))
    assert word in found
    assert bool(found) == bool(word)


def judged(calls: tuple[Call, ...] | None, limits: Limits, missing: tuple[str, ...] = ()) -> Outcome:
    seen = Seen("c2", "c1", 100.0, 100.0, 105.0, True, {}, [], [], None, calls, missing)
    done = assess(1, seen, limits, GONE, "10.0.0.100", fenced=True, healed=True)
    return Outcome("node-power-off", "power cut", "t", (done,))


def test_a_round_passes_when_the_alarm_came_in_time() -> None:
    outcome = judged((LOST, OVER), Limits(5.0))
    assert outcome.verdict == "pass"
    (found,) = outcome.as_dict()["rounds"]
    assert found["alarms"] == [
        {"alarm": "control.node.lost", "about": "host/c1", "host": "c1", "severity": "CRITICAL", "after_fault_s": 1.0,
         "after_event_s": 0.4},
    ]  # fmt: skip
    told = [event for event in outcome.rounds[0].events if event.kind == "told"]
    assert [(event.at, event.text) for event in told] == [(101.0, "a subscriber is told: control.node.lost of host/c1")]


def test_the_report_has_its_times_where_somebody_listened() -> None:
    budget = Budget(5.0, ())
    page = render([judged((LOST, OVER), Limits(5.0))], budget, "today")
    assert "after Pacemaker" in page
    assert "<td>1.00 s</td><td>0.40 s</td>" in page
    assert "a subscriber is told: control.node.lost of host/c1" in page
    assert "after Pacemaker" not in render([judged(None, Limits(5.0))], budget, "today")


@pytest.mark.parametrize(
    ("calls", "missing", "word"),
    [
        ((), (), "not told of control.node.lost on c1"),
        ((replace(LOST, at=99.0),), (), "not told of control.node.lost on c1"),
        ((replace(LOST, epoch=LOST.epoch + 1),), (), "told 1.40 s after Pacemaker's event, over 1 s"),
        ((LOST,), ("the end of x was never told",), "the end of x was never told"),
    ],
)
def test_a_round_fails_when_it_did_not(calls: tuple[Call, ...], missing: tuple[str, ...], word: str) -> None:
    outcome = judged(calls, Limits(5.0), missing)
    assert outcome.verdict == "fail"
    assert word in "; ".join(outcome.rounds[0].problems)


def test_a_site_without_the_service_expects_nothing_of_it() -> None:
    outcome = judged(None, Limits(5.0))
    assert outcome.verdict == "pass"
    assert outcome.as_dict()["rounds"][0]["alarms"] is None


NOTICE = {
    "id": "n1", "notificationType": "AlarmNotification", "timeStamp": LOST.stamp,
    "alarm": {"id": "a1", "alarmDefinitionId": "control.node.lost", "managedObjectId": "host/c1",
              "location": {"host": "c1"}, "perceivedSeverity": "CRITICAL", "eventTime": LOST.event_time},
}  # fmt: skip
CLEARED = {"id": "n2", "notificationType": "AlarmClearedNotification", "timeStamp": OVER.stamp, "alarmId": "a1"}


def test_a_notification_becomes_a_call() -> None:
    assert Call(**entry(json.dumps(NOTICE).encode(), LOST.at, LOST.epoch)) == LOST
    over = Call(**entry(json.dumps(CLEARED).encode(), 1.0, 2.0))
    assert (over.alarm_id, over.severity) == ("a1", "CLEARED")


def test_the_subscriber_records_before_it_answers_and_keeps_the_connection() -> None:
    told: list[str] = []

    async def talk() -> list[bytes]:
        server = await asyncio.start_server(lambda r, w: serve(r, w, told.append), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        answers = []
        for method, said in ((b"GET", {}), (b"POST", NOTICE), (b"POST", CLEARED)):
            body = json.dumps(said).encode() if said else b""
            writer.write(method + b" / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            answers.append(await reader.readuntil(b"\r\n\r\n"))
            assert len(told) == max(0, len(answers) - 1)
        writer.close()
        server.close()
        return answers

    assert all(answer.startswith(b"HTTP/1.1 204 ") for answer in asyncio.run(talk()))
    assert abs(json.loads(told[0])["at"] - time.monotonic()) < 60

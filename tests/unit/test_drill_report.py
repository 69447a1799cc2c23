"""The report is one file that needs nothing else, escapes what it is given, and draws what was measured."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from lxml import html

from vimha.drill import charts
from vimha.drill.assess import Seen, assess
from vimha.drill.journal import Event
from vimha.drill.outage import Attempt
from vimha.drill.report import lost_writes, render
from vimha.drill.split_brain import Sighting
from vimha.drill.verdict import LOST_WRITES, Expectation, Limits, Outcome, Round
from vimha.timing.model import Budget, FaultClass, Term

VIP = "10.77.0.100"
FAULT_AT = 100.0
TERMS = (Term("token", 0.3, 0.3, "corosync.conf(5)"), Term("fencing <off>", 1.0, 2.0, "fence agent"))
BUDGET = Budget(5.0, (FaultClass("node-power-loss-dc", "power lost with the DC", TERMS),))


def measured(number: int, outage: float) -> Round:
    """A round as a drill records it: c1, DC and active, loses power; c2 takes over; the client waits `outage`."""

    def attempt(start: float) -> Attempt:
        down = FAULT_AT < start < FAULT_AT + outage
        return Attempt(start, start + (0.3 if down else 0.005), not down)

    attempts = [attempt(98 + step * 0.02) for step in range(400)]
    logs = [
        Event(FAULT_AT + 0.31, "token-lost", "c2", "corosync lost the token"),
        Event(FAULT_AT + 0.70, "membership", "c2", "new membership 2.a: Members left: <1>"),
        Event(FAULT_AT + 1.45, "fence-verified", "c2", "c2 verified that c1 is off"),
    ]
    sightings = [
        Sighting(97, "hold", "c1", VIP),
        Sighting(FAULT_AT + 0.01, "cut", "c1"),
        Sighting(FAULT_AT + 1.55, "hold", "c2", VIP),
        Sighting(FAULT_AT + 1.56, "claim", "c2", VIP),
    ]
    probes = {"glance-api http": attempts, "glance-api tcp": attempts}
    seen = Seen("c1", "c1", FAULT_AT, FAULT_AT, FAULT_AT + 5, True, probes, sightings, logs)
    limits = Limits(5.0, "node-power-loss-dc", 1.3, 2.3)
    return assess(number, seen, limits, Expectation(True, True), VIP, fenced=True, healed=True)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    rounds = tuple(measured(number, 1.7 + number / 50) for number in range(1, 6))
    return Outcome("node-power-off", "power of the active node cut", "small", rounds)


@pytest.fixture(scope="module")
def page(outcome: Outcome) -> str:
    return render([outcome], BUDGET, "22 November 2026")


def test_a_round_like_this_passes(outcome: Outcome) -> None:
    assert outcome.verdict == "pass"
    assert 1.8 <= outcome.worst_s <= 1.85


def test_the_page_refers_to_nothing_outside_itself(page: str) -> None:
    assert not re.search(r"https?://|<script|@import|url\(|\bsrc=", page)
    links = html.fromstring(page).xpath("//@href")
    assert links
    assert all(link.startswith("#") for link in links)


def test_what_nodes_and_sites_say_is_escaped(page: str) -> None:
    assert "Members left: &lt;1&gt;" in page
    assert "fencing &lt;off&gt;" in page


def test_the_page_states_verdict_budget_and_every_round(page: str) -> None:
    text = html.fromstring(page).text_content()
    for expected in ("Every failover stayed inside its budget", "1.80 s", "2.30 s", "token time-out", "5 rounds"):
        assert expected in text
    assert len(html.fromstring(page).xpath("//circle")) == 5


def test_a_failed_drill_says_so_first(outcome: Outcome) -> None:
    bad = replace(outcome, rounds=(replace(outcome.rounds[0], problems=("it <failed>",)),))
    text = render([bad, outcome], BUDGET, "today")
    assert "A failover missed its limits" in text
    assert "Round 1: it &lt;failed&gt;" in text


def test_a_fault_outside_the_budget_has_a_page_too(outcome: Outcome) -> None:
    lone = replace(outcome.rounds[0], limits=Limits(30.0), outage=None, phases=(), outage_s=0.0)
    text = render([replace(outcome, rounds=(lone,))], BUDGET, "today")
    assert "outside the failover budget" in text
    assert "saw no interruption" in text


def test_the_json_of_a_drill(outcome: Outcome, golden: Callable[[str, str], None]) -> None:
    golden("drill-outcome.json", json.dumps(outcome.as_dict(), indent=2) + "\n")


def test_marks_stay_inside_the_drawing_and_none_covers_another(outcome: Outcome) -> None:
    drawing = charts.distribution(outcome)
    assert all(0 <= mark.x <= 100 for mark in (*drawing.dots, *drawing.lines, *drawing.axis))
    assert [line.row for line in drawing.lines] == [0, 1, 2]
    for row in range(drawing.stack):
        places = [dot.x for dot in drawing.dots if dot.row == row]
        assert all(later - earlier >= charts.DOT_PERCENT for earlier, later in pairwise(places))


@pytest.mark.parametrize(("low", "high"), [(0, 5.3), (-0.25, 2.4), (0, 0.11), (0, 33)])
def test_axis_ticks_are_round_and_few(low: float, high: float) -> None:
    ticks = charts.axis(charts.Scale(low, high))
    assert 3 <= len(ticks) <= 8
    assert all(0 <= tick.x <= 100 for tick in ticks)


def test_lost_writes_are_counted_over_the_rounds_that_were_audited(outcome: Outcome) -> None:
    assert lost_writes([outcome]) == LOST_WRITES
    audited = replace(outcome, rounds=tuple(replace(entry, lost_writes=2) for entry in outcome.rounds[:2]))
    assert lost_writes([outcome, audited]) == "4, after every one was looked for on every member in 2 rounds"

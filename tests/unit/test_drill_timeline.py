"""The timeline: journal lines to events, one merged story, and phases that cover the wait without gap."""

import json
import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vimha.drill import journal
from vimha.drill.journal import Event
from vimha.drill.outage import Window
from vimha.drill.split_brain import Holding, Sighting
from vimha.drill.timeline import MILESTONES, merge, phases

FAULT = Event(100.0, "fault", "c1", "fault injected on c1")

LINES = {
    "A processor failed, forming new configuration: token timed out (300ms), waiting 360ms": "token-lost",
    "  [TOTEM ] A new membership (2.1a) was formed. Members left: 1": "membership",
    "  [KNET  ] link: host: 1 link: 0 is down": "link-down",
    "Our peer on the DC (c1) is dead": "dc-lost",
    "State transition S_ELECTION -> S_INTEGRATION": "dc-elected",
    "Requesting fencing (off) targeting node c1": "fence-requested",
    "Requesting fencing (reboot) of node c1": "fence-requested",
    "Operation 'off' targeting c1 by c2 for pacemaker-controld.9@c2: OK (complete)": "fence-verified",
    "Operation 'off' targeting c1 by c2 for pacemaker-controld.9@c2: Timer expired (timed out)": "fence-failed",
    "Result of start operation for vip-public on c2: ok": "started",
    "Result of stop operation for vip-public on c1: ok": "stopped",
    "Result of monitor operation for haproxy on c1: not running": "noticed",
}


def test_every_known_line_is_its_event() -> None:
    for text, kind in LINES.items():
        found = journal.event(1.0, "c2", text)
        assert found, text
        assert found.kind == kind


def test_a_good_monitor_is_no_event() -> None:
    assert journal.event(1.0, "c2", "Result of monitor operation for haproxy on c1: ok") is None


def line(at: float, message: object) -> str:
    return json.dumps({"__MONOTONIC_TIMESTAMP": str(int(at * 1e6)), "MESSAGE": message})


def test_journal_lines_are_parsed_with_their_stamps_and_garbage_is_left_out() -> None:
    lost = "A processor failed, forming new configuration"
    lines = [line(99, lost), line(100.25, lost), line(101, list(lost.encode())), "{", "", line(102, None), "[]"]
    assert [entry.at for entry in journal.parse("c2", lines, 100.0)] == [100.25, 101.0]


def story() -> tuple[Event, ...]:
    logs = [Event(100.3, "token-lost", "c2", ""), Event(100.7, "membership", "c2", "")]
    logs += [Event(101.2, "fence-verified", "c2", ""), Event(100.31, "token-lost", "c3", "")]
    held = [Holding("v", "c1", 50, 100.01), Holding("v", "c2", 101.5, math.inf)]
    return merge(FAULT, Window(99.99, 101.8, 80, True), held, [Sighting(100.01, "cut", "c1")], logs)


def test_the_story_is_in_order_and_has_every_witness() -> None:
    events = story()
    assert [entry.at for entry in events] == sorted(entry.at for entry in events)
    assert {"fault", "cut", "vip-gone", "vip-held", "answered", "last-answer"} <= {entry.kind for entry in events}


def test_phases_name_where_the_time_went() -> None:
    assert [(phase.name, round(phase.length_s, 2)) for phase in phases(story(), 100.0)] == [
        ("token time-out", 0.3),
        ("consensus and new membership", 0.4),
        ("fencing, until verified off", 0.5),
        ("VIP on its new node", 0.3),
        ("first good answer", 0.3),
    ]


def test_no_outage_has_no_phases() -> None:
    assert phases(merge(FAULT, None, [], [], []), 100.0) == ()


KINDS = [kind for kind, _ in MILESTONES if kind != "answered"]


@given(st.lists(st.tuples(st.floats(95, 110), st.sampled_from(KINDS)), max_size=20), st.floats(100.01, 108))
def test_phases_cover_the_wait_without_gap_or_overlap(raw: list[tuple[float, str]], answer: float) -> None:
    logs = [Event(at, kind, "c2", "") for at, kind in raw]
    found = phases(merge(FAULT, Window(99.9, answer, 5, True), [], [], logs), 100.0)
    assert found[0].start_s == 0
    assert math.isclose(sum(phase.length_s for phase in found), answer - 100.0, abs_tol=1e-9)
    for earlier, later in pairwise(found):
        assert math.isclose(earlier.start_s + earlier.length_s, later.start_s, abs_tol=1e-9)
        assert later.length_s >= 0

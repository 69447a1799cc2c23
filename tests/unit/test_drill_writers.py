"""The writing clients' rhythm and bookkeeping, on a clock of the test's own."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_lab import SITE, STATEFUL
from hypothesis import given
from hypothesis import strategies as st
from render_sites import site

from vimha.drill.amqp_publisher import Tags
from vimha.drill.ledger import Outcome
from vimha.drill.sql_writer import INTERVAL_S, write
from vimha.drill.stores import READ, Database, Front, Messaging, lacking, parse_member
from vimha.errors import VimhaError
from vimha.process import Result


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def written(clock: Clock, latencies: dict[int, float], rows: int) -> list[dict[str, Any]]:
    lines: list[str] = []

    def insert(number: int) -> tuple[Outcome, str]:
        clock.now += latencies.get(number, 0.001)
        return "acknowledged", ""

    write(insert, lines.append, lambda: len(lines) >= rows, first_id=1, clock=clock, sleep=clock.sleep)
    return [json.loads(line) for line in lines]


def test_a_row_every_interval_and_each_has_its_own_id() -> None:
    rows = written(Clock(), {}, 50)
    assert [row["id"] for row in rows] == list(range(1, 51))
    assert rows[-1]["start"] - rows[0]["start"] == pytest.approx(49 * INTERVAL_S)


def test_a_row_that_hangs_delays_the_next_to_the_grid_and_none_is_made_up_for() -> None:
    rows = written(Clock(), {10: 0.5055}, 20)
    hung, after = rows[9], rows[10]
    assert hung["end"] - hung["start"] == pytest.approx(0.5055)
    assert hung["end"] <= after["start"] <= hung["end"] + INTERVAL_S
    assert (after["start"] - rows[0]["start"]) / INTERVAL_S == pytest.approx(
        round((after["start"] - rows[0]["start"]) / INTERVAL_S)
    )
    assert rows[11]["start"] - after["start"] == pytest.approx(INTERVAL_S)


@given(st.lists(st.tuples(st.integers(1, 30), st.booleans())))
def test_every_message_is_answered_once_at_most(answers: list[tuple[int, bool]]) -> None:
    tags = Tags()
    for number in range(101, 121):
        tags.add(number)
    told = [number for tag, multiple in answers for number in tags.answered(tag, multiple=multiple)]
    assert len(told) == len(set(told))
    assert set(told) | set(tags.waiting.values()) == set(range(101, 121))
    assert all(tag > answered for tag in tags.waiting for answered, multiple in answers if multiple)


ANSWER = """status\twsrep_local_state_comment\t{state}
status\twsrep_cluster_status\t{status}
status\twsrep_cluster_state_uuid\t6f5e
sum\t991
id\t1
id\t3
"""


def test_a_member_is_read() -> None:
    found = parse_member(ANSWER.format(state="Synced", status="Primary"))
    assert (found.uuid, found.checksum, found.ids) == ("6f5e", "991", frozenset({1, 3}))
    assert "wsrep_sync_wait" in READ


@pytest.mark.parametrize(("state", "status"), [("Joiner", "Primary"), ("Initialized", "non-Primary")])
def test_a_member_that_is_not_synchronized_is_not_read(state: str, status: str) -> None:
    with pytest.raises(VimhaError, match=status):
        parse_member(ANSWER.format(state=state, status=status))


def broker(code: int, answer: str) -> Any:
    return lambda argv, **_: Result(tuple(argv), code, answer, "")


def test_the_leader_of_the_drills_queue_is_found_past_a_broker_that_is_down() -> None:
    runners = {"c1": broker(69, ""), "c2": broker(0, "name\nother\n"), "c3": broker(0, "name\nvimha-drill-1\n")}
    assert Messaging(Front("10.0.0.1", 5672), runners).leader("vimha-drill-1") == "c3"
    with pytest.raises(VimhaError, match="no broker leads"):
        Messaging(Front("10.0.0.1", 5672), {"c1": broker(69, "")}).leader("vimha-drill-1")


def members(*states: str) -> dict[str, Any]:
    return {f"c{n}": broker(0, ANSWER.format(state=state, status="Primary")) for n, state in enumerate(states, 1)}


def test_a_round_begins_only_on_a_whole_database(tmp_path: Path) -> None:
    database = Database(Front("10.0.0.1", 3306), members("Synced", "Donor/Desynced"), settle_s=0)
    with pytest.raises(VimhaError, match="not whole before the fault: c2: it is Donor"):
        database.open("ns", tmp_path).__enter__()
    two = members("Synced", "Synced")
    two["c2"] = broker(0, ANSWER.format(state="Synced", status="Primary").replace("6f5e", "77aa"))
    with pytest.raises(VimhaError, match="c1: 6f5e, c2: 77aa"):
        Database(Front("10.0.0.1", 3306), two, settle_s=0).open("ns", tmp_path).__enter__()


def test_a_node_is_whole_when_its_member_is_synchronized_and_its_broker_has_started() -> None:
    answers = {"mariadb": "wsrep_local_state_comment\tSynced\n", "rabbitmqctl": ""}
    codes = {"rabbitmqctl": 0}

    def node(argv: list[str], **_: object) -> Result:
        return Result(tuple(argv), codes.get(argv[0], 0), answers[argv[0]], "")

    runners: Any = {"c1": node}
    assert lacking(STATEFUL, "c1", runners) == ""
    assert lacking(SITE, "c1", runners) == ""
    codes["rabbitmqctl"] = 69
    assert "broker" in lacking(STATEFUL, "c1", runners)
    answers["mariadb"] = "wsrep_local_state_comment\tJoiner\n"
    assert "Joiner" in lacking(STATEFUL, "c1", runners)
    codes["mariadb"] = 1
    assert "is down" in lacking(STATEFUL, "c1", runners)


def test_of_a_database_with_spares_as_many_members_are_read_as_there_are_to_be() -> None:
    runners = members("Synced", "Synced", "Synced") | {"c4": broker(1, "")}
    found, silent = Database(Front("10.0.0.1", 3306), runners, 1, settle_s=0).members()
    assert (sorted(found), silent) == (["c1", "c2", "c3"], {})
    runners["c3"] = broker(1, "")
    found, silent = Database(Front("10.0.0.1", 3306), runners, 1, settle_s=0).members()
    assert (sorted(found), sorted(silent)) == (["c1", "c2"], ["c3", "c4"])


def test_a_node_lacks_nothing_while_the_spares_have_its_part() -> None:
    spared, state = site("scale: large", "database: {policy: {active: 2, spare: 1}}"), "wsrep_local_state_comment\t{}\n"
    runners = {"c1": broker(0, state.format("Synced")), "c2": broker(1, ""), "c3": broker(0, state.format("Joiner"))}
    assert "is down" in lacking(spared, "c2", runners)
    runners["c3"] = broker(0, state.format("Synced"))
    assert [lacking(spared, node, runners) for node in ("c1", "c2", "c3")] == ["", "", ""]
    assert "is down" in lacking(site("scale: large", "database: {}"), "c2", runners)


def test_only_a_spares_broker_may_be_down_while_queues_have_all_their_replicas() -> None:
    runners = {"c1": broker(0, ""), "c2": broker(0, ""), "c3": broker(69, "")}
    assert Messaging(Front("10.0.0.1", 5672), runners, 1).critical() == ""
    assert Messaging(Front("10.0.0.1", 5672), runners).critical() == "c3"
    runners["c2"] = broker(70, "critical")
    assert Messaging(Front("10.0.0.1", 5672), runners, 1).critical() == "c2"

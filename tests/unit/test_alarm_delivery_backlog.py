"""The pure parts of delivery: what waits and in which order, how long to wait, who is told what."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from vimha.alarms.delivery.backlog import Backlog
from vimha.alarms.delivery.backoff import FIRST_S, LONGEST_S, pause_s
from vimha.alarms.delivery.messages import linked
from vimha.alarms.delivery.standing import Standing
from vimha.alarms.store.outbox import Notice

MOST, LAG = 12, 6
KINDS = st.sampled_from(["AlarmNotification", "AlarmNotification", "AlarmClearedNotification"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("abc"), KINDS),
        st.tuples(st.just("skip"), st.just(""), st.just("")),
        st.tuples(st.sampled_from(["take", "done", "again"]), st.just(""), st.just("")),
    ),
    max_size=80,
)


def notice(sequence: int, alarm: str = "a", kind: str = "AlarmNotification") -> Notice:
    return Notice(sequence, f"n{sequence}", kind, alarm, 0, "{}")


@given(STEPS)
def test_whatever_happens_order_first_and_last_and_clearings_are_kept(steps: list[tuple[str, str, str]]) -> None:
    backlog, sequence = Backlog(0, most=MOST, lag=LAG), 0
    added: dict[str, list[Notice]] = defaultdict(list)
    delivered: dict[str, list[Notice]] = defaultdict(list)
    out: list[Notice] = []

    def settle(taken: Notice) -> None:
        backlog.done(taken)
        assert taken.alarm_id is not None
        delivered[taken.alarm_id].append(taken)

    for what, alarm, kind in steps:
        if what == "add" and backlog.room:
            sequence += 1
            added[alarm].append(notice(sequence, alarm, kind))
            backlog.add(added[alarm][-1])
        elif what == "skip":
            sequence += 1
            backlog.skip(sequence)
        elif what == "take" and (taken := backlog.take()):
            assert taken.alarm_id not in {each.alarm_id for each in out}
            out.append(taken)
        elif what == "done" and out:
            settle(out.pop(0))
        elif what == "again" and out:
            backlog.again(out.pop(0))
        undelivered = [
            each.sequence for lane in added.values() for each in lane if each not in delivered[lane[0].alarm_id or ""]
        ]
        assert backlog.cursor <= sequence
        assert len(backlog) <= MOST
        assert {each.sequence for each in out} <= set(undelivered)
        assert all(each.sequence > backlog.cursor for each in out)

    for taken in out:
        backlog.again(taken)
    while taken := backlog.take():
        settle(taken)
    assert (len(backlog), backlog.cursor) == (0, sequence)
    for alarm, wanted in added.items():
        got = delivered[alarm]
        assert got == [each for each in wanted if each in got]
        assert (got[0], got[-1]) == (wanted[0], wanted[-1])
        assert {each.sequence for each in wanted if "Cleared" in each.kind} <= {each.sequence for each in got}


def test_below_the_threshold_nothing_is_passed_over() -> None:
    backlog = Backlog(0, most=MOST, lag=LAG)
    for sequence in range(1, LAG + 1):
        backlog.add(notice(sequence))
    assert (len(backlog), backlog.passed_over) == (LAG, 0)


def test_the_cursor_stays_before_the_first_that_is_undelivered() -> None:
    backlog = Backlog(10)
    backlog.add(notice(11, "a"))
    backlog.add(notice(12, "b"))
    first, second = backlog.take(), backlog.take()
    assert first is not None and second is not None
    backlog.done(second)
    assert backlog.cursor == 10
    backlog.done(first)
    assert backlog.cursor == 12


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_grow_to_their_bound_with_full_jitter(failures: int, chance: float) -> None:
    assert 0 <= pause_s(failures, lambda: chance) <= LONGEST_S
    assert pause_s(1, lambda: 1.0) == FIRST_S
    assert pause_s(failures, lambda: 1.0) == min(
        LONGEST_S, FIRST_S * 2 ** (failures - 1) if failures < 20 else LONGEST_S
    )


def test_one_alarm_that_fails_leaves_the_others_at_full_width() -> None:
    standing = Standing(4, None)
    for now_us in range(1, 10):
        standing.failed("bad", now_us)
        standing.delivered("good")
    assert (standing.limit, standing.rest_s(), standing.since_us) == (4, 0.0, 1)
    standing.delivered("bad")
    assert standing.since_us is None


def test_one_that_takes_nothing_is_tried_by_one_call_at_a_time() -> None:
    standing = Standing(4, None)
    for now_us in range(1, 6):
        standing.failed(f"a{now_us}", now_us)
    assert (standing.limit, standing.since_us) == (1, 1)
    standing.delivered("a1")
    assert (standing.limit, standing.since_us) == (4, 2)


def test_what_failed_before_a_restart_counts_on_until_something_is_delivered() -> None:
    standing = Standing(4, 5)
    standing.failed("a", 100)
    assert standing.since_us == 5
    standing.delivered("b")
    standing.delivered("a")
    standing.failed("a", 200)
    assert standing.since_us == 200


def test_links_are_added_to_a_text() -> None:
    assert linked('{"a":1}', {"self": "/x", "b": "/y"}) == '{"a":1,"_links":{"self":{"href":"/x"},"b":{"href":"/y"}}}'

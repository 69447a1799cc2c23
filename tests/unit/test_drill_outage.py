"""Outage arithmetic: the figure is never shorter than what really happened, and windows add up."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vimha.drill.outage import Attempt, Window, between, idle_s, longest, stall_s, unavailable_s, windows

INTERVAL = 0.02
LATENCY = 0.004


def series(seconds: float, down: tuple[tuple[float, float], ...], latency: float = LATENCY) -> list[Attempt]:
    """What a probe sees of a service that is down in the times `down`."""

    def good(start: float) -> bool:
        return not any(since < start + latency and start < until for since, until in down)

    starts = [number * INTERVAL for number in range(int(seconds / INTERVAL))]
    return [Attempt(start, start + latency, good(start)) for start in starts]


def test_one_gap_counts_from_the_last_success_to_the_first_one_after() -> None:
    attempts = [Attempt(0.00, 0.01, True), Attempt(0.02, 0.32, False), Attempt(0.04, 0.34, False)]
    attempts += [Attempt(0.06, 0.07, True)]
    assert windows(attempts) == (Window(0.00, 0.07, 2, True),)


def test_a_service_that_does_not_return_leaves_an_open_window() -> None:
    (window,) = windows([Attempt(0, 0.01, True), Attempt(0.02, 0.32, False)])
    assert not window.closed
    assert window.end == 0.32


def test_failures_before_any_success_start_at_the_first_attempt() -> None:
    assert windows([Attempt(1, 2, False), Attempt(3, 4, True)]) == (Window(1, 4, 1, True),)


def test_nothing_failed() -> None:
    assert windows(series(1, ())) == ()
    assert longest(()) is None


@given(start=st.floats(0.1, 2.0), length=st.floats(INTERVAL + LATENCY, 3.0))
def test_never_shorter_than_the_gap_and_longer_by_one_interval_at_most(start: float, length: float) -> None:
    worst = longest(windows(series(6, ((start, start + length),))))
    assert worst is not None
    assert length <= worst.length_s <= length + 2 * (INTERVAL + LATENCY) + 1e-9


@given(
    gaps=st.lists(st.tuples(st.floats(0.1, 0.5), st.floats(0.1, 1.0)), min_size=1, max_size=6),
)
def test_windows_add_up(gaps: list[tuple[float, float]]) -> None:
    down, at = [], 0.5
    for wait, length in gaps:
        down.append((at + wait, at + wait + length))
        at += wait + length
    found = windows(series(at + 1, tuple(down)))
    assert len(found) == len(gaps)
    assert sum(length for _, length in gaps) <= unavailable_s(found)
    assert all(earlier.end <= later.start + INTERVAL for earlier, later in pairwise(found))


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1), st.booleans()), max_size=60))
def test_any_attempts_make_ordered_windows_that_hold_every_failure(raw: list[tuple[float, float, bool]]) -> None:
    attempts = [Attempt(start, start + took, ok) for start, took, ok in raw]
    found = windows(attempts)
    assert sum(window.failed for window in found) == sum(not attempt.ok for attempt in attempts)
    assert all(window.length_s >= 0 for window in found)
    assert all(window.closed for window in found[:-1])


def test_only_windows_that_overlap_the_fault_are_its_own() -> None:
    before, during, after = Window(0, 1, 3, True), Window(4.9, 6, 3, True), Window(9, 10, 1, True)
    assert between((before, during, after), 5, 8) == (during,)


def test_a_stalled_probe_is_noticed_at_the_edges_too() -> None:
    attempts = [Attempt(at, at + 0.01, True) for at in (1.0, 1.02, 1.5)]
    assert round(stall_s(attempts, 1.0, 2.2), 3) == 0.7
    assert round(stall_s([], 1.0, 2.2), 3) == 1.2


def test_a_client_that_waits_for_its_answer_is_not_idle_and_one_that_sleeps_is() -> None:
    attempts = [Attempt(0.0, 0.01, True), Attempt(0.02, 0.52, False), Attempt(0.53, 0.54, True)]
    assert abs(idle_s(attempts, 0.0, 0.55) - 0.01) < 1e-9
    assert abs(idle_s(attempts, 0.0, 1.0) - 0.46) < 1e-9
    assert idle_s([], 1.0, 3.0) == 2.0


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 2)), max_size=30))
def test_idleness_never_exceeds_the_stall_and_is_never_negative(spans: list[tuple[float, float]]) -> None:
    attempts = [Attempt(start, start + length, True) for start, length in spans]
    assert 0 <= idle_s(attempts, 0.0, 10.0) <= stall_s(attempts, 0.0, 10.0) + 1e-9

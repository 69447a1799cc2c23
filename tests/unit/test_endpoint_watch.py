"""What the health endpoint answers and when, on a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_agents.endpoint.watch import PATIENCE_S, RECENT_S, WAIT_S, Watch

FRESH_S = 0.05
SOON = 0.001


class Service:
    """A service under watch that counts the looks that were begun."""

    def __init__(self) -> None:
        self.looks = 0
        self.watch = Watch(self._begin, FRESH_S)

    def _begin(self) -> None:
        self.looks += 1


@pytest.fixture
def service() -> Service:
    return Service()


def test_the_first_question_waits_for_a_look(service: Service) -> None:
    assert service.watch.due is None
    assert service.watch.ask(10.0) is None
    assert (service.looks, service.watch.due) == (1, 10.0 + WAIT_S)
    service.watch.learn("")
    assert service.watch.ask(10.0 + SOON) == ""


def test_a_finding_is_handed_out_while_it_is_fresh(service: Service) -> None:
    service.watch.ask(10.0)
    service.watch.learn("not Primary")
    assert service.watch.ask(10.0 + FRESH_S - SOON) == "not Primary"
    assert service.looks == 1
    assert service.watch.ask(10.0 + FRESH_S + SOON) is None
    assert service.looks == 2


def test_many_askers_share_one_look(service: Service) -> None:
    assert [service.watch.ask(10.0 + each * SOON) for each in range(20)] == [None] * 20
    assert service.looks == 1


def test_a_look_that_waits_is_a_reason(service: Service) -> None:
    service.watch.ask(10.0)
    assert service.watch.overdue(10.0 + WAIT_S - SOON) is None
    assert service.watch.overdue(10.0 + WAIT_S) == "no answer for 0.10 s"
    assert service.watch.ask(13.0) == "no answer for 3.00 s"
    assert service.looks == 1


@pytest.mark.parametrize("finding", ["", "not Primary"])
def test_until_patience_is_at_an_end_the_finding_before_holds(service: Service, finding: str) -> None:
    service.watch.ask(10.0)
    service.watch.learn(finding)
    assert service.watch.ask(10.5) is None
    assert service.watch.overdue(10.5 + WAIT_S) == finding
    assert service.watch.ask(10.5 + PATIENCE_S - SOON) == finding
    assert service.watch.ask(10.5 + PATIENCE_S) == "no answer for 0.25 s"


def test_a_finding_of_long_ago_holds_for_nobody(service: Service) -> None:
    service.watch.ask(10.0)
    service.watch.learn("")
    service.watch.ask(10.0 + RECENT_S + SOON)
    assert service.watch.overdue(10.0 + RECENT_S + SOON + WAIT_S) == "no answer for 0.10 s"


def test_what_was_found_too_late_is_looked_for_again(service: Service) -> None:
    """The service froze after it was asked and goes on: what it says is of then, not of now."""
    service.watch.ask(10.0)
    service.watch.learn("")
    assert service.watch.ask(15.0) is None
    service.watch.learn("Initialized")
    service.watch.ask(20.0)
    service.watch.learn("")
    assert service.watch.ask(20.0 + 2 * PATIENCE_S) is None


@given(
    st.lists(
        st.tuples(st.floats(0.0001, 0.3), st.sampled_from(["ask", "learn", "expire"]), st.sampled_from(["", "unfit"])),
        max_size=60,
    )
)
def test_no_answer_is_old_or_late(steps: list[tuple[float, str, str]]) -> None:
    """Whatever the order of events: an answer "fit" is of a look begun at most FRESH_S before the question, or of the
    one before a look that has not been kept waiting for long; and nobody is left waiting beyond WAIT_S.
    """
    begun: list[float] = []
    now = 0.0
    watch = Watch(lambda: begun.append(now), FRESH_S)
    running, found = False, (-1.0, "")
    for pause, event, finding in steps:
        now += pause
        if event == "learn" and running:
            watch.learn(finding)
            running, found = False, (begun[-1], finding)
        elif event == "ask":
            before = len(begun)
            answer = watch.ask(now)
            running = running or len(begun) > before
            if answer == "":
                late = running and now - begun[-1] >= PATIENCE_S
                assert found[1] == "" and not late
                assert now - found[0] <= FRESH_S or (running and begun[-1] - found[0] <= RECENT_S)
            if answer is None:
                assert running and watch.due is not None
                assert now < watch.due <= now + WAIT_S + 1e-9
        elif running and now >= begun[-1] + PATIENCE_S:
            assert watch.overdue(now)
    assert len(begun) <= 1 + sum(event == "ask" for _, event, _ in steps)

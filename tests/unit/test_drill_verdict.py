"""The verdict: which rounds pass, every reason why one does not, and the stable JSON shape."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vimha.drill.verdict import Expectation, Limits, Outcome, Round, percentile, problems

GOOD = Round(
    number=1,
    target="c1",
    dc="c1",
    fault_at=100.0,
    limits=Limits(5.0, "node-power-loss-dc", 1.9, 3.4),
    outage_s=1.8,
    unavailable_s=1.8,
    windows=1,
    returned=True,
    split_brain=(),
    fenced=True,
    moved=True,
    healed=True,
    heal_outage_s=0.0,
    stall_s=0.02,
)
GONE = Expectation(fenced=True, moved=True)


def test_a_round_inside_its_budget_passes() -> None:
    assert problems(GOOD, GONE) == ()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"outage_s": 3.5}, "budget's worst case"),
        ({"outage_s": 5.1}, "objective"),
        ({"split_brain": ("10.0.0.1 was on c1 and c2 for 0.010 s",)}, "split brain"),
        ({"fenced": False}, "not fenced"),
        ({"moved": False}, "stayed on c1"),
        ({"healed": False}, "healthy again"),
        ({"returned": False}, "not returned"),
        ({"stall_s": 0.5}, "stalled"),
        ({"heal_outage_s": 6.0, "heal_outages": (("x http", 0.1), ("y sql", 6.0))}, "healing interrupted y sql"),
        ({"lost_writes": 1}, "read back"),
    ],
)
def test_each_thing_that_must_not_happen_is_a_problem(change: dict[str, Any], word: str) -> None:
    found = problems(replace(GOOD, **change), GONE)
    assert any(word in problem for problem in found), found


def test_a_fault_that_may_not_fence_fails_when_it_does() -> None:
    assert any("c1 was fenced" in problem for problem in problems(GOOD, Expectation(fenced=False)))


def test_a_fault_without_a_budget_is_held_to_its_objective_alone() -> None:
    slow = replace(GOOD, limits=Limits(30.0), outage_s=12.0)
    assert problems(slow, Expectation()) == ()
    assert problems(replace(slow, outage_s=31.0), Expectation()) != ()


def outcome(*rounds: Round) -> Outcome:
    return Outcome("node-power-off", "power cut", "small", rounds)


def test_one_bad_round_fails_the_drill_and_so_do_none() -> None:
    assert outcome(GOOD, GOOD).verdict == "pass"
    assert outcome(GOOD, replace(GOOD, problems=("x",))).verdict == "fail"
    assert outcome().verdict == "fail"


def test_the_json_shape_is_the_documented_one() -> None:
    shape = outcome(GOOD, replace(GOOD, outage_s=2.0)).as_dict()
    assert list(shape)[:6] == ["fault", "verdict", "p50_s", "worst_s", "budget_worst_s", "rounds"]
    assert shape["p50_s"] == 1.9
    assert shape["worst_s"] == 2.0
    assert shape["budget_worst_s"] == 3.4
    assert list(shape["rounds"][0])[:4] == ["outage_s", "split_brain", "fenced", "lost_writes"]
    assert shape["rounds"][0]["split_brain"] is False
    assert shape["rounds"][0]["lost_writes"] is None


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40), st.floats(0.01, 1.0))
def test_percentiles_are_measured_values_and_cover_their_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert percentile(values, 1.0) == max(values)

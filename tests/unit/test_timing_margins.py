"""Margins: what a timing lets pass, and that calmer timings let more pass."""

from dataclasses import replace

from timing_sites import site

from vimha.timing.margins import THIN_PAUSE, margins
from vimha.timing.solve import solve


def tolerates(objective: str) -> dict[str, int]:
    of = site(objective)
    return {margin.name: margin.tolerates_ms for margin in margins(of, solve(of))}


def test_the_default_objective_tolerates_a_pause_that_is_not_thin() -> None:
    assert tolerates("5s")["corosync not scheduled"] > THIN_PAUSE


def test_a_larger_objective_tolerates_at_least_as_much_of_everything() -> None:
    short, long = tolerates("5s"), tolerates("15s")
    assert all(long[name] >= short[name] for name in short)
    assert long["node silent"] > short["node silent"]


def test_a_single_lost_retransmission_is_no_node_loss() -> None:
    of = site()
    timings = replace(solve(of), token=420)
    silent = next(margin for margin in margins(of, timings) if margin.name == "node silent")
    assert silent.tolerates_ms == 320


def test_only_the_policies_in_use_are_listed() -> None:
    names = tolerates("5s")
    assert "haproxy's checks" in names
    assert "API's monitor" not in names

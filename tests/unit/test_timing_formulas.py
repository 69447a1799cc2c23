"""Formulas against the figures that corosync, haproxy and the kernel are documented (and were seen) to have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vimha.timing import formulas
from vimha.timing.model import Checks


@pytest.mark.parametrize(
    ("token", "coefficient", "nodes", "effective", "seen_after"),
    [
        (3000, 650, 3, 3650, 8030),
        (3000, 650, 2, 3000, 6600),
        (1000, 650, 3, 1650, 3630),
        (1000, 0, 3, 1000, 2200),
        (500, 0, 3, 500, 1100),
        (300, 0, 3, 300, 660),
    ],
)
def test_a_lost_node_is_seen_after_token_and_consensus(
    token: int, coefficient: int, nodes: int, effective: int, seen_after: int
) -> None:
    token_eff = formulas.token_effective(token, coefficient, nodes)
    assert token_eff == effective
    assert token_eff + formulas.consensus_default(token_eff) == seen_after


def test_the_lowest_token_is_the_one_whose_retransmission_corosync_accepts() -> None:
    assert formulas.retransmit(formulas.LOWEST_TOKEN) == 30
    assert formulas.hold(formulas.LOWEST_TOKEN) == 14
    assert formulas.retransmit(formulas.LOWEST_TOKEN - 1) < 30


@pytest.mark.parametrize(
    ("ping", "timeout", "flaps"),
    [(75, 150, True), (100, 200, True), (125, 250, False), (250, 500, False), (250, 400, True)],
)
def test_a_ping_timeout_within_knets_tick_makes_links_flap(ping: int, timeout: int, flaps: bool) -> None:
    """75/150 is what corosync computes for a token of 300 ms, and was seen to flap every 9 s; 250/500 was stable."""
    assert formulas.knet_flaps(ping, timeout) is flaps


@given(st.integers(126, 300_000))
def test_consensus_is_never_below_what_corosync_asks_for(token: int) -> None:
    assert token * 1.2 <= formulas.consensus_default(token) < token * 1.2 + 1


def test_haproxys_default_checks_take_six_seconds_to_see_a_hang() -> None:
    defaults = Checks(inter=2000, fastinter=2000, downinter=2000, timeout=0, fall=3, rise=2)
    assert formulas.checks_crash(defaults) == 6000


def test_checks_of_a_frozen_backend_run_into_their_timeout_each() -> None:
    checks = Checks(inter=500, fastinter=100, downinter=500, timeout=1000, fall=2, rise=2)
    assert formulas.checks_crash(checks) == 600
    assert formulas.checks_hang(checks) == 2600


def test_a_bond_sees_lost_carrier_in_one_period_and_silence_in_three() -> None:
    assert formulas.miimon_detects(100) == 100
    assert formulas.arp_detects(100) >= 268, "268 ms were measured at arp_interval 100"


@pytest.mark.parametrize(("given_ms", "whole"), [(0, 0), (1, 1000), (1000, 1000), (1001, 2000)])
def test_fencing_counts_in_whole_seconds(given_ms: int, whole: int) -> None:
    assert formulas.whole_seconds(given_ms) == whole

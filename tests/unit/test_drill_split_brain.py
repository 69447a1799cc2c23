"""Split brain: holders of a VIP from sightings, their overlaps, and claims by the wrong node."""

import math

from hypothesis import given
from hypothesis import strategies as st

from vimha.drill.split_brain import Holding, Sighting, holder_at, holdings, overlaps, stray_claims

VIP = "10.9.0.100"


def seen(at: float, kind: str, node: str, vip: str = VIP) -> Sighting:
    return Sighting(at, kind, node, "" if kind == "cut" else vip)


def test_a_clean_move_has_no_overlap() -> None:
    held = holdings([seen(0, "hold", "c1"), seen(5, "release", "c1"), seen(5.1, "hold", "c2")])
    assert held == (Holding(VIP, "c1", 0, 5), Holding(VIP, "c2", 5.1, math.inf))
    assert overlaps(held) == ()


def test_two_holders_are_an_overlap_with_its_length() -> None:
    (found,) = overlaps(holdings([seen(0, "hold", "c1"), seen(5, "hold", "c2"), seen(5.25, "release", "c1")]))
    assert found.nodes == ("c1", "c2")
    assert found.length_s == 0.25


def test_a_power_cut_ends_all_that_a_node_held() -> None:
    held = holdings(
        [seen(0, "hold", "c1"), seen(0, "hold", "c1", "other"), seen(2, "cut", "c1"), seen(3, "hold", "c2")]
    )
    assert [entry.end for entry in held if entry.node == "c1"] == [2, 2]
    assert overlaps(held) == ()


def test_a_frozen_node_still_holds_until_it_is_cut() -> None:
    frozen = [seen(0, "hold", "c1"), seen(3, "hold", "c2")]
    assert len(overlaps(holdings([*frozen, seen(2.9, "cut", "c1")]))) == 0
    assert len(overlaps(holdings([*frozen, seen(3.1, "cut", "c1")]))) == 1


def test_two_vips_on_two_nodes_are_no_split_brain() -> None:
    assert overlaps(holdings([seen(0, "hold", "c1"), seen(0, "hold", "c2", "other")])) == ()


def test_one_read_of_the_witness_that_shows_both_halves_of_a_move_is_no_overlap() -> None:
    assert overlaps((Holding(VIP, "c1", 0, 5), Holding(VIP, "c2", 5))) == ()


def test_claims_by_the_holder_are_fine_and_by_others_are_not() -> None:
    held = (Holding(VIP, "c1", 0, 5), Holding(VIP, "c2", 6))
    claims = [seen(1, "claim", "c1"), seen(5.03, "claim", "c1"), seen(7, "claim", "c1"), seen(7, "claim", "02:aa")]
    assert stray_claims(claims, held) == tuple(claims[2:])


def test_holder_at() -> None:
    held = (Holding(VIP, "c1", 0, 5), Holding(VIP, "c2", 6))
    assert [holder_at(held, VIP, at) for at in (1, 5, 5.5, 6)] == ["c1", None, None, "c2"]


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0.01, 5), st.sampled_from(["c1", "c2", "c3"])), max_size=12))
def test_overlaps_are_within_both_holdings_and_found_whatever_the_order(raw: list[tuple[float, float, str]]) -> None:
    held = tuple(Holding(VIP, node, start, start + length) for start, length, node in raw)
    found = overlaps(held)
    assert {(o.start, o.end) for o in found} == {(o.start, o.end) for o in overlaps(held[::-1])}
    for overlap in found:
        assert overlap.length_s > 0
        middle = (overlap.start + overlap.end) / 2
        assert len({entry.node for entry in held if entry.start <= middle <= entry.end}) > 1

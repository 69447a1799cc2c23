"""A1, A4, A7, A8: every fault of the catalogue, one round each, on a real cluster of three machines.

What must hold on any host is asserted: the service returns, no VIP has two holders, who must be fenced is fenced, what
must move moves, the cluster heals. How long it takes is printed here, and held against the bars by
tests/bench/bench_failover.py.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vimha.drill import session
from vimha.drill.faults import FAULTS
from vimha.drill.session import Order
from vimha.drill.verdict import misbehaviour
from vimha.site.loading import load_valid
from vimha.site.model import Site

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def site() -> Site:
    return load_valid(Path(__file__).parents[2] / "examples" / "site-small.yaml")


@pytest.fixture(scope="module")
def lab(site: Site) -> Iterator[str]:
    with session.lab_for(site, None, print) as machines:
        yield machines.name


def play(site: Site, lab: str, order: Order) -> None:
    (outcome,), _ = session.play(site, [order], print, lab)
    assert outcome.rounds
    for entry in outcome.rounds:
        assert misbehaviour(entry, FAULTS[order.fault].expected) == (), f"outage {entry.outage_s:.2f} s"


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(site: Site, lab: str, fault: str) -> None:
    play(site, lab, Order(fault))


@pytest.mark.parametrize("want_dc", [True, False], ids=["dc", "not-dc"])
def test_power_off_of_the_active_node_that_is_or_is_not_the_dc(site: Site, lab: str, want_dc: bool) -> None:
    play(site, lab, Order("node-power-off", want_dc=want_dc))


@pytest.mark.parametrize("fault", ["service-kill", "service-freeze"])
def test_the_api_itself(site: Site, lab: str, fault: str) -> None:
    play(site, lab, Order(fault, service="glance-api"))

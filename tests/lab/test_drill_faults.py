"""A1, A4, A7, A8: every fault of the catalogue, one round each, on a real cluster of three machines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vimha.drill import session
from vimha.drill.faults import FAULTS
from vimha.drill.session import Order
from vimha.site.loading import load_valid
from vimha.site.model import Site

pytestmark = pytest.mark.lab

BARS_S = {
    "node-power-off": 3.0,
    "node-freeze": 5.0,
    "service-kill": 1.5,
    "service-freeze": 4.0,
    "port-down": 3.0,
    "plane-down": 3.0,
    "partition": 5.0,
    "switchover": 1.0,
    "site-power-loss": 30.0,
}
"""The longest outage that each fault may cost on the small site, whatever its budget says."""


@pytest.fixture(scope="module")
def site() -> Site:
    return load_valid(Path(__file__).parents[2] / "examples" / "site-small.yaml")


@pytest.fixture(scope="module")
def lab(site: Site) -> Iterator[str]:
    with session.lab_for(site, None, print) as machines:
        yield machines.name


def play(site: Site, lab: str, order: Order) -> None:
    (outcome,), _ = session.play(site, [order], print, lab)
    assert outcome.verdict == "pass", [entry.problems for entry in outcome.rounds]
    assert outcome.worst_s <= BARS_S[order.fault]
    assert not outcome.split_brain


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(site: Site, lab: str, fault: str) -> None:
    play(site, lab, Order(fault))


@pytest.mark.parametrize("want_dc", [True, False], ids=["dc", "not-dc"])
def test_power_off_of_the_active_node_that_is_or_is_not_the_dc(site: Site, lab: str, want_dc: bool) -> None:
    play(site, lab, Order("node-power-off", want_dc=want_dc))


@pytest.mark.parametrize("fault", ["service-kill", "service-freeze"])
def test_the_api_itself(site: Site, lab: str, fault: str) -> None:
    play(site, lab, Order(fault, service="glance-api"))

"""A3, A5, A8: the faults that matter to a database and a message queue, on three real members of each, one round each.

Writers insert rows and publish messages through the VIP all the while. What must hold on any host is asserted: what was
acknowledged is there afterwards, on every member alike, and nothing else; no VIP has two holders; the cluster heals.
"""

from pathlib import Path

import pytest
from drill_play import play

from vimha.drill.session import Order
from vimha.site.loading import load_valid
from vimha.site.model import Site

pytestmark = pytest.mark.lab

ORDERS = (
    Order("service-kill", service="database"),
    Order("service-kill", service="messaging"),
    Order("node-power-off"),
    Order("datadir-full", service="database"),
    Order("member-state-lost", service="database"),
    Order("stop-in-transfer", service="database"),
    Order("site-power-loss-random"),
)


@pytest.fixture(scope="module")
def site() -> Site:
    return load_valid(Path(__file__).parents[2] / "examples" / "site-stateful.yaml")


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order.fault}-{order.service}")
def test_nothing_that_was_acknowledged_is_lost(site: Site, lab: str, order: Order) -> None:
    play(site, lab, order)

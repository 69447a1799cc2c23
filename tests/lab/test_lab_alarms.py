"""B1, B2: what happens to the nodes reaches a subscriber outside of them, through the loss of the node that serves.

The subscriber asks nothing while a fault lasts. What must hold on any host is asserted: it is told of what happened,
in order, and knows in the end every alarm that the service knows. How soon is a figure for a quiet host.
"""

from pathlib import Path

import pytest
from drill_play import play

from vimha.drill.session import Order
from vimha.site.loading import load_valid
from vimha.site.model import Site

pytestmark = pytest.mark.lab

ORDERS = (Order("node-power-off"), Order("service-kill", service="alarms"))


@pytest.fixture(scope="module")
def site() -> Site:
    return load_valid(Path(__file__).parents[2] / "examples" / "site-alarms.yaml")


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order.fault}-{order.service}")
def test_a_subscriber_is_told_of_it(site: Site, lab: str, order: Order) -> None:
    play(site, lab, order)

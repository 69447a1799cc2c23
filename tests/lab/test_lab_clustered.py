"""A3, A5, A8: the faults that matter to a database and a message queue, on three real members of each, one round each;
`make soak` plays the rest of the catalogue.

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

SERVICES = ("database", "messaging")
ORDERS = (
    Order("service-kill", service="database"),
    Order("service-kill", service="messaging"),
    Order("node-power-off"),
    Order("datadir-full", service="database"),
    Order("member-state-lost", service="database"),
    Order("stop-in-transfer", service="database"),
    Order("site-power-loss-random"),
)
SOAK = (
    *(Order(fault, service=service) for fault in ("service-freeze", "node-freeze") for service in SERVICES),
    *(Order(fault) for fault in ("member-power-off", "member-partition", "quorum-loss", "partition", "port-down",
                                 "plane-down", "switchover", "rolling-restart")),
)  # fmt: skip
"""The others of the catalogue, too long for every change."""


@pytest.fixture(scope="module")
def site() -> Site:
    return load_valid(Path(__file__).parents[2] / "examples" / "site-stateful.yaml")


@pytest.mark.parametrize(
    "order",
    [*ORDERS, *(pytest.param(each, marks=pytest.mark.soak) for each in SOAK)],
    ids=lambda order: f"{order.fault}-{order.service}",
)
def test_nothing_that_was_acknowledged_is_lost(site: Site, lab: str, order: Order) -> None:
    play(site, lab, order)

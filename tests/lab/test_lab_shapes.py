"""A4, A5, A6, A7: the faults that matter on sites of other shapes than the small example's, one round each.

large: two VIPs dealt out over two of three nodes, an API on two of them (N+M), another on all. plain: ports without a
bond, so that a lost port moves the VIP, and two full nodes beside an arbiter. As in test_lab_drills.py, what must hold
on any host is asserted and how long it takes is not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from drill_play import play, until

from vimha.cluster.status import Status, status
from vimha.drill import session
from vimha.drill.session import Order
from vimha.drill.verdict import Expectation
from vimha.findings import errors
from vimha.lab.labs import Lab
from vimha.site.loading import parse
from vimha.site.model import Site

pytestmark = pytest.mark.lab

NODES = """
nodes:
  control-1: {addresses: [10.77.1.11, 10.77.2.11], bmc: 10.77.9.11}
  control-2: {addresses: [10.77.1.12, 10.77.2.12], bmc: 10.77.9.12}
  control-3: {addresses: [10.77.1.13, 10.77.2.13], bmc: 10.77.9.13"""
LARGE = f"""
site: large
scale: large
vips: {{public: 10.77.1.100, internal: 10.77.1.101}}
vip_policy: {{active: 2, spare: 1}}
services:
  glance-api: {{vip: public, port: 9292, policy: {{active: 2, spare: 1}}}}
  glance-internal: {{vip: internal, port: 9293}}
{NODES}}}
"""
PLAIN = f"""
site: plain
bond: null
vip: 10.77.1.100
{NODES}, role: arbiter}}
"""
SITES = {"large": LARGE, "plain": PLAIN}


@dataclass(frozen=True)
class Shape:
    """A site that is up as a lab."""

    site: Site
    lab: Lab


@pytest.fixture(scope="module")
def shape(request: pytest.FixtureRequest) -> Iterator[Shape]:
    """The site of SITES that the test names, up and applied, once for all tests that name it."""
    loaded = parse(SITES[request.param].encode(), f"{request.param}.yaml")
    assert loaded.site, loaded.findings
    assert errors(loaded.findings) == []
    with session.lab_for(loaded.site, None, print) as machines:
        yield Shape(loaded.site, machines)


@pytest.mark.parametrize("shape", ["large"], indirect=True)
@pytest.mark.parametrize(
    "order",
    [Order("service-kill", service="glance-internal"), Order("switchover")],
    ids=lambda order: order.fault,
)
def test_apis_on_many_nodes_behind_two_vips(shape: Shape, order: Order) -> None:
    play(shape.site, shape.lab.name, order)


@pytest.mark.parametrize("shape", ["large"], indirect=True)
def test_a_spare_takes_over_for_a_lost_node_which_is_then_the_spare(shape: Shape) -> None:
    """A node that holds a VIP loses power: the free node takes it, an API has its two instances again, and when the
    node is back nothing has moved to it.
    """
    nodes = set(shape.site.nodes)
    before = placement(shape)
    (lost,), (other,) = before["vip-public"], before["vip-internal"]
    (spare,) = nodes - {lost, other}
    assert len(before["glance-api"]) == 2
    play(shape.site, shape.lab.name, Order("node-power-off"))
    after = placement(shape)
    assert (after["vip-public"], after["vip-internal"]) == ({spare}, {other})
    assert after["glance-api"] == ({spare, other} if lost in before["glance-api"] else before["glance-api"])
    assert after["haproxy"] == after["glance-internal"] == nodes


def placement(shape: Shape) -> dict[str, set[str]]:
    """What runs where, once all is well and all nodes are there."""
    runner = shape.lab.runner(next(iter(shape.site.nodes)))
    seen: list[Status] = []

    def settled() -> bool:
        seen.append(status(runner))
        each = {resource.id: len(resource.nodes) for resource in seen[-1].resources}
        return seen[-1].healthy and each.get("haproxy") == each.get("glance-internal") == len(shape.site.nodes)

    until(settled, 60.0)
    return {resource.id: set(resource.nodes) for resource in seen[-1].resources}


@pytest.mark.parametrize("shape", ["plain"], indirect=True)
def test_a_lost_port_without_a_bond_moves_the_vip_and_fences_nobody(shape: Shape) -> None:
    play(shape.site, shape.lab.name, Order("port-down"), Expectation(fenced=False, moved=True))


@pytest.mark.parametrize("shape", ["plain"], indirect=True)
@pytest.mark.parametrize("fault", ["node-power-off", "partition", "switchover"])
def test_two_full_nodes_and_an_arbiter(shape: Shape, fault: str) -> None:
    play(shape.site, shape.lab.name, Order(fault))

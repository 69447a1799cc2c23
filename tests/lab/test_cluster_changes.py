"""A9, A8: a site is planned, applied, refused and put back on real clusters, and their state is told truly."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from vimha.cluster.apply import Applied, NotReachedError, apply
from vimha.cluster.plan import Plan, make
from vimha.cluster.status import Status, status
from vimha.errors import VimhaError
from vimha.lab.labs import Lab
from vimha.render.model import Rendered
from vimha.render.render import render
from vimha.timing.solve import solve

pytestmark = pytest.mark.lab

FIRST, SECOND, THIRD = "control-1", "control-2", "control-3"
BROKEN = (
    b'<primitive id="broken" class="ocf" provider="heartbeat" type="IPaddr2"><instance_attributes id="broken-p">'
    b'<nvpair id="broken-ip" name="ip" value="192.0.2.9"/><nvpair id="broken-nic" name="nic" value="none9"/>'
    b"</instance_attributes></primitive>"
)
"""A resource that can start nowhere: there is no such interface."""


def rendered(lab: Lab, *edits: tuple[bytes, bytes]) -> Rendered:
    made = render(lab.site, solve(lab.site), b"")
    content = made.cib.content
    for old, new in edits:
        assert old in content
        content = content.replace(old, new)
    return replace(made, cib=replace(made.cib, content=content))


def slower(lab: Lab) -> tuple[bytes, bytes]:
    """An edit: another interval for haproxy's monitor."""
    found = re.search(rb'id="haproxy.monitor" name="monitor" interval="\d+ms"', rendered(lab).cib.content)
    assert found
    return found[0], b'id="haproxy.monitor" name="monitor" interval="700ms"'


def plan_for(lab: Lab, *edits: tuple[bytes, bytes]) -> Plan:
    return make(lab.site, rendered(lab, *edits), lab.runner(FIRST))


def applied(lab: Lab, plan: Plan) -> Applied:
    return apply(plan, lab.runner(FIRST), [], within_s=60.0, progress=print)


def seen(lab: Lab) -> Status:
    return status(lab.runner(FIRST))


def until(true: Callable[[], bool], most_s: float) -> None:
    deadline = time.monotonic() + most_s
    while not true():
        assert time.monotonic() < deadline, f"not within {most_s:g} s"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def cluster(machines: Lab) -> Lab:
    """The small site, applied."""
    done = applied(machines, plan_for(machines))
    assert done.changes > 20
    return machines


@pytest.fixture
def healthy(cluster: Lab) -> Iterator[Lab]:
    """The applied site, healthy before and after."""
    until(lambda: seen(cluster).healthy, 30.0)
    yield cluster
    until(lambda: seen(cluster).healthy, 60.0)


def test_an_applied_site_is_healthy_and_holds_its_vip_once(healthy: Lab) -> None:
    found = seen(healthy)
    assert found.problems == ()
    ((_, holders),) = found.vips.values()
    assert len(holders) == 1
    assert len(found.links) == 4
    assert found.totem is not None
    assert found.totem.token == solve(healthy.site).token


def test_applying_again_finds_nothing_to_do(healthy: Lab) -> None:
    before = plan_for(healthy)
    assert before.empty
    assert applied(healthy, before) == Applied(0, 0.0)
    assert plan_for(healthy).live.version == before.live.version


def test_a_changed_interval_moves_nothing(healthy: Lab) -> None:
    holders = seen(healthy).vips
    plan = plan_for(healthy, slower(healthy))
    assert {change.action for change in plan.changes} == {"change"}
    assert applied(healthy, plan).settled_s < 10
    assert seen(healthy).vips == holders
    applied(healthy, plan_for(healthy))


def test_a_change_by_somebody_else_is_not_overwritten(healthy: Lab) -> None:
    plan = plan_for(healthy, slower(healthy))
    runner = healthy.runner(SECOND)
    runner(["crm_attribute", "--name", "cluster-recheck-interval", "--update", "5min"])
    with pytest.raises(VimhaError, match="nothing was applied"):
        applied(healthy, plan)
    assert "cluster-recheck-interval" in {change.name for change in plan_for(healthy).changes}
    applied(healthy, plan_for(healthy))
    assert plan_for(healthy).empty


def test_a_site_that_does_not_run_is_taken_back(healthy: Lab) -> None:
    with pytest.raises(NotReachedError) as caught:
        applied(healthy, plan_for(healthy, (b"</resources>", BROKEN + b"</resources>")))
    assert "broken start on" in caught.value.message
    assert caught.value.message.endswith("the former configuration is back and running")
    assert plan_for(healthy).empty
    assert seen(healthy).healthy


def test_neither_side_of_a_partition_that_cannot_fence_accepts_changes(cluster: Lab) -> None:
    """The last test of this module: it leaves the lab in pieces, its BMCs silent."""
    plan = plan_for(cluster, slower(cluster))
    for node in cluster.site.nodes:
        cluster.network.feed(node, up=False)
    cluster.partition([[FIRST], [SECOND, THIRD]])
    until(lambda: not seen(cluster).quorum, 20.0)
    with pytest.raises(VimhaError, match="no quorum"):
        applied(cluster, plan)
    majority = cluster.runner(SECOND)
    until(lambda: "node control-1 is unclean" in status(majority).problems, 20.0)
    with pytest.raises(VimhaError, match="control-1 is unclean"):
        apply(plan, majority, [])

"""Applying: refused where it would do harm, and either at the target or back where it was."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fake_cluster import FakeClock, FakeCluster, data
from test_cluster_plan import EXTRA, SITE, rendered

from vimha.cluster import simulate
from vimha.cluster.apply import Applied, Clock, NotReachedError, apply, goals, refusals
from vimha.cluster.document import parse_cib
from vimha.cluster.plan import Plan, make
from vimha.cluster.status import Node, Status, status
from vimha.errors import VimhaError
from vimha.findings import Finding, Severity
from vimha.site.loading import load_valid

PROPERTY = ('name="cluster-delay" value="10s"', 'name="cluster-delay" value="20s"')
"""A change that moves nothing."""
NEW = ("</resources>", EXTRA + "</resources>")
"""A change that starts something, which the fake never does."""


def bumped(text: str, by: int) -> str:
    epoch = parse_cib(text.encode(), "").get("epoch", "")
    return text.replace(f' epoch="{epoch}"', f' epoch="{int(epoch) + by}"', 1)


def target(*edits: tuple[str, str]) -> str:
    return bumped(rendered(*edits).cib.content.decode(), 1)


def plan_for(cluster: FakeCluster, *edits: tuple[str, str]) -> Plan:
    return make(load_valid(SITE), rendered(*edits), cluster)


def attempt(cluster: FakeCluster, plan: Plan, findings: list[Finding] | None = None) -> tuple[Applied, list[str]]:
    clock, lines = FakeClock(), list[str]()
    done = apply(
        plan, cluster, findings or [], within_s=1.0, progress=lines.append, clock=Clock(clock.now, clock.sleep)
    )
    return done, lines


def test_an_empty_plan_asks_and_changes_nothing() -> None:
    cluster = FakeCluster()
    plan = plan_for(cluster)
    cluster.asked.clear()
    assert attempt(cluster, plan)[0] == Applied(0, 0.0)
    assert cluster.asked == []


def test_a_change_that_moves_nothing_settles_at_once() -> None:
    cluster = FakeCluster()
    plan = plan_for(cluster, PROPERTY)
    cluster.after = [target(PROPERTY)]
    done, lines = attempt(cluster, plan)
    assert done.changes == 1
    assert done.settled_s < 0.1
    assert len(cluster.patches) == 1
    assert lines == [f"configuration {plan.live.version} changed: 1 objects"]


def test_a_configuration_that_changed_meanwhile_is_left_alone() -> None:
    cluster = FakeCluster()
    plan = plan_for(cluster, PROPERTY)
    cluster.cib = bumped(cluster.cib, 1)
    with pytest.raises(VimhaError, match="has changed since it was read; nothing was applied"):
        attempt(cluster, plan)
    assert cluster.patches == []


def test_a_target_that_is_not_reached_is_undone_with_the_reason() -> None:
    cluster = FakeCluster()
    plan = plan_for(cluster, NEW)
    cluster.after = [target(NEW), bumped(data("healthy.cib.xml"), 2)]
    failed = data("healthy.mon.xml").replace(
        "</nodes>", '</nodes><failures><failure op_key="extra_start_0" node="control-1" exitstatus="not installed"'
        ' exitreason="no such file" status="complete" task="start" last-rc-change="x"/></failures>'
    )  # fmt: skip
    reports = [data("healthy.mon.xml")]
    cluster.answers["crm_mon"] = lambda: reports.pop(0) if reports else failed
    with pytest.raises(NotReachedError) as caught:
        attempt(cluster, plan)
    message = caught.value.message
    assert "extra runs nowhere" in message
    assert "extra start on control-1: not installed (no such file)" in message
    assert message.endswith("the former configuration is back and running")
    assert len(cluster.patches) == 2
    assert cluster.patches[1].find("change[@operation='delete']") is not None


def test_what_it_waits_for_is_told_once() -> None:
    cluster = FakeCluster()
    plan = plan_for(cluster, NEW)
    cluster.after = [target(NEW), bumped(data("healthy.cib.xml"), 2)]
    lines: list[str] = []
    clock = FakeClock()
    with pytest.raises(NotReachedError):
        apply(plan, cluster, [], within_s=0.5, progress=lines.append, clock=Clock(clock.now, clock.sleep))
    assert [line for line in lines if line.startswith("waiting")] == ["waiting for: start extra on control-3"]
    assert lines[-1] == "putting the former configuration back"


def test_a_foreign_change_is_not_undone_with_ours() -> None:
    cluster = FakeCluster()
    plan = plan_for(cluster, NEW)
    cluster.after = [target(NEW, PROPERTY)]
    with pytest.raises(NotReachedError, match="was NOT put back"):
        attempt(cluster, plan)
    assert len(cluster.patches) == 1


def test_a_site_with_errors_is_not_applied() -> None:
    cluster = FakeCluster()
    finding = Finding("T002", Severity.ERROR, "objective", "too low", "raise it")
    with pytest.raises(VimhaError, match="T002 at objective: too low"):
        attempt(cluster, plan_for(cluster, PROPERTY), [finding])
    assert cluster.patches == []


def test_a_lost_node_that_is_not_fenced_forbids_changes() -> None:
    cluster = FakeCluster("unfenced")
    with pytest.raises(VimhaError, match="control-2 is unclean"):
        attempt(cluster, plan_for(cluster, PROPERTY))
    assert cluster.patches == []


def without_quorum(found: Status) -> Status:
    return replace(found, quorum=False)


def without_dc(found: Status) -> Status:
    return replace(found, dc="")


def with_dead_device(found: Status) -> Status:
    dead = [replace(each, nodes=()) if each.id == "fence-control-1" else each for each in found.resources]
    return replace(found, resources=tuple(dead))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(without_quorum, "no quorum"), (without_dc, "no DC"), (with_dead_device, "fence-control-1 is not running")],
)
def test_a_cluster_that_cannot_carry_a_change_is_refused(spoil: Callable[[Status], Status], reason: str) -> None:
    (found,) = refusals(spoil(status(FakeCluster())), [])
    assert reason in found


def test_warnings_a_standby_node_and_ordinary_failures_forbid_nothing() -> None:
    found = status(FakeCluster())
    found = replace(found, nodes=(*found.nodes, Node("spare", "standby", False, {})))
    assert refusals(found, [Finding("T003", Severity.WARNING, "bond", "none", "add one")]) == []


def test_what_is_switched_off_need_not_run() -> None:
    off = EXTRA.replace("<operations>", '<meta_attributes id="m"><nvpair id="m1" name="target-role" value="Stopped"/>'
                        "</meta_attributes><operations>")  # fmt: skip
    root = parse_cib(target(("</resources>", off + "</resources>")).encode(), "target")
    assert "extra" not in goals(root)
    assert {"vip-public", "haproxy", "glance-api", "ports", "fence-control-1"} <= goals(root)


def test_the_captured_cluster_has_nothing_left_to_do() -> None:
    """What `apply` waits for is what the scheduler itself says: a settled cluster has no operation left."""
    from vimha.process import run

    settled = simulate.schedule(parse_cib(Path(SITE).parents[1].joinpath(
        "tests/unit/cluster_data/healthy.cib.xml").read_bytes(), "live"), run, tasks=True)  # fmt: skip
    assert (settled.actions, settled.tasks) == ((), ())

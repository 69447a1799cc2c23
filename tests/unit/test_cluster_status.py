"""A cluster's state from what real daemons answered, and the problems in it."""

from typing import Any

import pytest
from fake_cluster import FakeCluster, data
from lxml import etree

from vimha.cluster.cib import Cib
from vimha.cluster.document import parse_cib
from vimha.cluster.status import Status, assess, status
from vimha.errors import VimhaError


def seen(report: str = "", cib: str = "", links: str = "") -> Status:
    """The healthy state with another report, CIB or links."""
    root = parse_cib((cib or data("healthy.cib.xml")).encode(), "fake")
    return assess(etree.fromstring((report or data("healthy.mon.xml")).encode()), Cib(root), links, None)


def edited(old: str, new: str, name: str = "healthy.mon.xml") -> str:
    text = data(name)
    assert old in text, old
    return text.replace(old, new)


def test_a_healthy_cluster_has_no_problem() -> None:
    found = status(FakeCluster())
    assert found.problems == ()
    assert found.healthy
    assert found.dc == "control-1"
    assert [(node.name, node.state, node.attributes["vimha-ports"]) for node in found.nodes] == [
        (f"control-{number}", "online", "2") for number in (1, 2, 3)
    ]
    assert found.vips == {"vip-public": ("10.77.1.100", ("control-2",))}
    assert found.levels["control-3"] == ("fence-control-3",)
    assert {(link.number, link.peer) for link in found.links if link.connected} == {
        (number, f"control-{peer}") for number in (0, 1) for peer in (2, 3)
    }
    assert found.totem is not None
    assert found.totem.token == 300


def test_its_json_shape_is_complete() -> None:
    shape: dict[str, Any] = status(FakeCluster()).as_dict()
    assert shape["healthy"] is True
    assert shape["vips"]["vip-public"] == {"address": "10.77.1.100", "holders": ["control-2"]}
    assert shape["nodes"][0]["attributes"] == {"vimha-ports": "2"}
    assert set(shape) >= {"dc", "quorum", "resources", "failures", "fencing", "levels", "links", "problems"}


def test_a_lost_node_that_cannot_be_fenced_is_told_first() -> None:
    found = status(FakeCluster("unfenced"))
    assert found.problems[:2] == ("node control-2 is unclean", "fencing of control-2: pending (reboot)")


@pytest.mark.parametrize(
    ("report", "problem"),
    [
        (edited('present="true"', 'present="false"').replace('name="control-1" id="1" with_quorum="true"', ""),
         "no quorum: this partition runs nothing"),
        (edited('name="control-3" id="3" online="true" standby="false"',
                'name="control-3" id="3" online="true" standby="true"'), "node control-3 is standby"),
        (edited('id="vip-public" resource_agent="ocf:heartbeat:IPaddr2" role="Started" active="true"',
                'id="vip-public" resource_agent="ocf:heartbeat:IPaddr2" role="Stopped" active="false"'),
         "VIP 10.77.1.100 (vip-public) is held by no node"),
        (edited('id="haproxy" resource_agent="ocf:vimha:haproxy" role="Started"',
                'id="haproxy" resource_agent="ocf:vimha:haproxy" role="Starting"'), "resource haproxy is starting"),
        (edited('id="haproxy" resource_agent="ocf:vimha:haproxy" role="Started" active="true" orphaned="false"'
                ' blocked="false" managed="true"',
                'id="haproxy" resource_agent="ocf:vimha:haproxy" role="Started" active="true" orphaned="false"'
                ' blocked="true" managed="true"'), "resource haproxy is blocked"),
        (edited('id="fence-control-1" resource_agent="stonith:fence_vimha_redfish" role="Started"',
                'id="fence-control-1" resource_agent="stonith:fence_vimha_redfish" role="Stopped"'),
         "fence device fence-control-1 of control-1 is not running"),
        (edited("</nodes>", '</nodes><failures><failure op_key="vip-public_monitor_1000" node="control-2"'
                ' exitstatus="not running" exitreason="gone" status="complete" task="monitor"'
                ' last-rc-change="x"/></failures>'), "vip-public: monitor failed on control-2: gone"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_problem(report: str, problem: str) -> None:
    found = seen(report)
    assert problem in found.problems
    assert not found.healthy


@pytest.mark.parametrize(("role", "healthy"), [("Stopped", True), ("Started", False)])
def test_an_instance_that_moved_on_leaves_an_orphan_that_matters_only_while_it_runs(role: str, healthy: bool) -> None:
    """A clone with clone-max keeps a stopped one for each node where an instance was."""
    orphan = (
        f'<resource id="glance-api" resource_agent="ocf:vimha:glance-api" role="{role}" active="false" orphaned="true"'
        ' blocked="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="0"/>'
    )
    report = data("healthy.mon.xml")
    start = report.index('<resource id="glance-api"')
    assert seen(report[:start] + orphan + report[start:]).healthy is healthy


def test_a_clone_that_lacks_an_instance_is_a_problem() -> None:
    first = data("healthy.mon.xml")
    start = first.index('<resource id="glance-api"')
    end = first.index("</resource>", start) + len("</resource>")
    assert "resource glance-api runs on 2 of 3 nodes" in seen(first[:start] + first[end:]).problems


def test_a_node_where_nothing_may_run_lacks_nothing() -> None:
    cib = edited(
        "<constraints>",
        '<constraints><rsc_location id="x" node="control-3" score="-INFINITY"><resource_set id="xs">'
        '<resource_ref id="glance-api-clone"/></resource_set></rsc_location>',
        "healthy.cib.xml",
    )
    first = data("healthy.mon.xml")
    start = first.index('<resource id="glance-api"')
    end = first.index("</resource>", start) + len("</resource>")
    assert seen(first[:start] + first[end:], cib).healthy


def test_a_vip_by_our_own_agent_is_known_as_a_vip() -> None:
    cib = edited('provider="heartbeat" type="IPaddr2"', 'provider="vimha" type="vip"', "healthy.cib.xml")
    report = edited('id="vip-public" resource_agent="ocf:heartbeat:IPaddr2" role="Started" active="true"',
                    'id="vip-public" resource_agent="ocf:vimha:vip" role="Stopped" active="false"')  # fmt: skip
    assert seen(edited("ocf:heartbeat:IPaddr2", "ocf:vimha:vip"), cib).healthy
    found = seen(report, cib)
    assert found.vips == {"vip-public": ("10.77.1.100", ())}
    assert found.problems[0] == "VIP 10.77.1.100 (vip-public) is held by no node"
    assert "resource vip-public runs nowhere" not in found.problems


def test_two_holders_of_a_vip_are_a_problem() -> None:
    report = edited('<resource id="haproxy"', '<resource id="vip-public" resource_agent="ocf:heartbeat:IPaddr2"'
                    ' role="Started" active="true" managed="true"><node name="control-1"/></resource>'
                    '<resource id="haproxy"')  # fmt: skip
    assert "VIP 10.77.1.100 (vip-public) is held by control-1 and control-2" in seen(report).problems


def test_disabled_fencing_is_a_problem() -> None:
    cib = edited('name="stonith-enabled" value="true"', 'name="stonith-enabled" value="false"', "healthy.cib.xml")
    assert any(problem.startswith("fencing is disabled") for problem in seen(cib=cib).problems)


def test_a_node_without_a_fence_device_is_a_problem() -> None:
    cib = edited('target="control-3"', 'target="control-9"', "healthy.cib.xml").replace(
        'name="pcmk_host_list" value="control-3"', 'name="pcmk_host_list" value="control-9"'
    )
    assert "no fence device for control-3" in seen(cib=cib).problems


def test_a_dead_link_is_a_problem() -> None:
    links = data("healthy.links.txt").replace("enabled connected", "enabled disconnected", 1)
    assert "link 0 to control-2 is down" in seen(links=links).problems


def test_a_success_after_a_failed_fencing_makes_good() -> None:
    history = ('<fence_history><fence_event action="reboot" target="control-2" status="success" delegate="control-1"/>'
               '<fence_event action="reboot" target="control-2" status="failed"/></fence_history>')  # fmt: skip
    assert seen(edited("</pacemaker-result>", history + "</pacemaker-result>")).healthy


@pytest.mark.parametrize(
    ("own", "well"),
    [
        ("", False),
        ('call-id="113" rc-code="0" last-rc-change="268"', False),
        ('call-id="-1" rc-code="193" last-rc-change="430"', False),
        ('call-id="113" rc-code="0" last-rc-change="454"', True),
    ],
    ids=["from the first on", "was well before", "under way", "is well since"],
)
def test_a_degraded_resource_is_a_problem_until_a_monitor_finds_it_well(own: str, well: bool) -> None:
    """As Pacemaker 2.1.5 writes it: a degraded result goes into the resource's last_failure, and the operation's own
    record is left as it was."""
    bad = (
        '<lrm_rsc_op id="ports_last_failure_0" operation_key="ports_monitor_1000" rc-code="190" last-rc-change="429"'
        ' call-id="113"/>'
    )
    same = f'<lrm_rsc_op id="ports_monitor_1000" operation_key="ports_monitor_1000" {own}/>' if own else ""
    found = seen(edited("</nodes>", degraded("ports_monitor_1000")), kept(bad + same))
    assert found.problems == (() if well else ("ports: monitor is degraded on control-2: eth1 is down",))


@pytest.mark.parametrize(("last", "over"), [("stop", True), ("start", True), ("monitor", False)])
def test_what_was_degraded_is_over_when_the_resource_was_stopped_or_started_since(last: str, over: bool) -> None:
    """An instance that moved away leaves its node's last failure behind."""
    bad = (
        '<lrm_rsc_op id="ports_last_failure_0" operation_key="ports_monitor_1000" rc-code="190" last-rc-change="429"'
        ' call-id="113"/>'
    )
    then = (
        f'<lrm_rsc_op id="ports_last_0" operation_key="ports_{last}_0" operation="{last}" rc-code="0"'
        ' last-rc-change="429" call-id="120"/>'
    )
    assert seen(edited("</nodes>", degraded("ports_monitor_1000")), kept(bad + then)).healthy == over


def test_a_degraded_probe_is_no_problem_for_the_monitors_say_what_is() -> None:
    bad = '<lrm_rsc_op id="ports_last_0" operation_key="ports_monitor_0" rc-code="190" last-rc-change="429"/>'
    assert seen(edited("</nodes>", degraded("ports_monitor_0")), kept(bad)).healthy


def degraded(key: str) -> str:
    """What crm_mon shows of the degraded operation `key`, in place of the nodes' end."""
    return (f'</nodes><failures><failure op_key="{key}" node="control-2" exitcode="190" exitstatus="OCF_DEGRADED"'
            ' exitreason="eth1 is down" status="complete" task="monitor" last-rc-change="x"/></failures>')  # fmt: skip


def kept(records: str) -> str:
    """The live CIB with `records` in control-2's history."""
    state = '<node_state id="2" uname="control-2"'
    return edited(state, f'<node_state uname="control-2">{records}</node_state>{state}', "healthy.cib.xml")


def test_links_are_left_out_where_corosync_may_not_be_asked() -> None:
    cluster = FakeCluster()
    del cluster.answers["corosync-cfgtool"], cluster.answers["corosync-cmapctl"]
    found = status(cluster)
    assert found.healthy
    assert (found.links, found.totem) == ((), None)


def test_without_pacemaker_there_is_one_clear_error() -> None:
    cluster = FakeCluster()
    cluster.codes["cibadmin"] = 102
    with pytest.raises(VimhaError, match="no cluster answers here"):
        status(cluster)

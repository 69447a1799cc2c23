"""Faults on a fake lab: one act to inject, harmless to heal, the class that the budget knows them by."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from fake_lab import FakeLab

from vimha.drill.faults import FAULTS, daemons
from vimha.drill.stage import Roles, Stage, fenced_since, roles
from vimha.errors import VimhaError
from vimha.process import Result, Runner

ACTIVE = Roles(dc="c2", active="c1")


def injected(fault: str, lab: FakeLab, service: str = "haproxy") -> list[tuple[object, ...]]:
    """What injecting `fault` did to the lab, without what preparing it asked."""
    prepared = FAULTS[fault].prepare(Stage(lab), ACTIVE, service)
    lab.done.clear()
    prepared.inject()
    return list(lab.done)


@pytest.mark.parametrize(
    ("fault", "act"),
    [
        ("node-power-off", [("off", "c1")]),
        ("node-freeze", [("freeze", "c1")]),
        ("service-kill", [("c1", "pkill", "-KILL", "-f", "^/usr/sbin/haproxy ")]),
        ("service-freeze", [("c1", "pkill", "-STOP", "-f", "^/usr/sbin/haproxy ")]),
        ("port-down", [("port", "c1", "eth1", False)]),
        ("plane-down", [("plane", "a", False)]),
        ("partition", [("partition", ("c1",), ("c2", "c3"))]),
        ("switchover", [("c2", "crm_attribute", "--node", "c1", "--name", "standby", "--update", "on")]),
        ("site-power-loss", [("off", "c1"), ("off", "c2"), ("off", "c3")]),
    ],
)
def test_what_each_fault_does(fault: str, act: list[tuple[object, ...]]) -> None:
    assert injected(fault, FakeLab({"pgrep": "41\n42\n"})) == act


@pytest.mark.parametrize("fault", FAULTS)
def test_healing_restores_power_and_may_be_repeated(fault: str) -> None:
    lab = FakeLab({"pgrep": "41\n"})
    prepared = FAULTS[fault].prepare(Stage(lab), ACTIVE, "haproxy")
    prepared.inject()
    prepared.heal()
    prepared.heal()
    assert not lab.dark


def test_a_frozen_node_that_was_fenced_is_powered_on_again() -> None:
    lab = FakeLab()
    prepared = FAULTS["node-freeze"].prepare(Stage(lab), ACTIVE, "haproxy")
    prepared.inject()
    lab.off("c1")
    prepared.heal()
    assert lab.is_on("c1")


def test_a_service_that_does_not_run_cannot_be_killed() -> None:
    with pytest.raises(VimhaError, match="no process of haproxy"):
        FAULTS["service-kill"].prepare(Stage(FakeLab()), ACTIVE, "haproxy")
    with pytest.raises(VimhaError, match="no service ghost"):
        FAULTS["service-kill"].prepare(Stage(FakeLab({"pgrep": "41\n"})), ACTIVE, "ghost")


@pytest.mark.parametrize(
    ("service", "daemon", "agent"),
    [
        (
            "haproxy",
            "/usr/sbin/haproxy -D -f /etc/vimha/haproxy.cfg -p /run/vimha/haproxy.pid",
            "/usr/bin/python3 -IS /usr/lib/ocf/resource.d/vimha/haproxy monitor",
        ),
        (
            "glance-api",
            "/usr/bin/python3 /usr/bin/glance-api --config-file /etc/glance/glance-api.conf "
            "--config-file /etc/vimha/glance-api.conf --log-file /var/log/glance/glance-api.log",
            "/usr/bin/python3 -IS /usr/lib/ocf/resource.d/vimha/glance-api monitor",
        ),
    ],
)
def test_a_fault_hits_the_daemon_and_not_the_agent_that_looks_at_it(service: str, daemon: str, agent: str) -> None:
    pattern = daemons(FakeLab().site, service)
    assert re.search(pattern, daemon)
    assert not re.search(pattern, agent)


def test_losing_the_dc_is_a_class_of_its_own() -> None:
    fault = FAULTS["node-power-off"]
    assert fault.class_of("c1", dc="c1") == "node-power-loss-dc"
    assert fault.class_of("c1", dc="c2") == "node-power-loss"


def test_commands_go_to_a_node_that_has_power() -> None:
    lab = FakeLab()
    lab.off("c1")
    Stage(lab).forget_failures()
    assert lab.done[-1][:2] == ("c2", "crm_resource")
    lab.dark = {"c1", "c2", "c3"}
    with pytest.raises(VimhaError, match="no node has power"):
        Stage(lab).forget_failures()


MONITOR = b"""<pacemaker-result><summary><current_dc present="true" name="c2"/></summary><resources>
<group id="front"><resource id="vip-public" role="Started"><node name="c1"/></resource></group></resources>
</pacemaker-result>"""


def test_roles_are_read_from_crm_mon() -> None:
    assert roles(MONITOR, "public") == Roles(dc="c2", active="c1")
    with pytest.raises(VimhaError, match="no node holds"):
        roles(MONITOR.replace(b"Started", b"Stopped"), "public")


HISTORY = b"""<pacemaker-result><fence_history>
<fence_event action="off" target="c1" state="success" completed="2026-11-22 07:30:05Z"/>
<fence_event action="off" target="c2" state="failed" completed="2026-11-22 07:30:05Z"/></fence_history>
</pacemaker-result>"""


@pytest.mark.parametrize(("target", "since", "fenced"), [("c1", 5.9, True), ("c1", 6, False), ("c2", 5, False)])
def test_only_a_verified_fencing_since_the_fault_counts(target: str, since: float, fenced: bool) -> None:
    start = 1795332600.0  # 2026-11-22 07:30:00 UTC
    assert fenced_since(HISTORY, target, start + since) is fenced


@pytest.mark.parametrize("trouble", [VimhaError("it did not settle"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_move_that_does_not_end_well_leaves_no_constraint(trouble: BaseException) -> None:
    class Slow(FakeLab):
        def runner(self, node: str) -> Runner:
            inner = super().runner(node)

            def run(argv: Sequence[str], **options: Any) -> Result:
                done = inner(argv, **options)
                if "--wait" in argv:
                    raise trouble
                return done

            return run

    lab = Slow()
    with pytest.raises(type(trouble)):
        Stage(lab).move_vip("c2")
    assert lab.done[-1][1:] == ("crm_resource", "--resource", "vip-public", "--clear")

"""Faults on a fake lab: one act to inject, harmless to heal, the class that the budget knows them by."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from fake_lab import SITE, STATEFUL, FakeLab

from vimha.drill.faults import FAULTS, daemons
from vimha.drill.injection import bystander
from vimha.drill.member_faults import STOPPING, TRANSFER
from vimha.drill.stage import Roles, Stage, fenced_since, roles
from vimha.errors import VimhaError
from vimha.process import Result, Runner
from vimha.site.model import Site

ACTIVE = Roles(dc="c2", active="c1")
MONITOR = b"""<pacemaker-result><summary><current_dc present="true" name="c2"/></summary><resources>
<group id="front"><resource id="vip-public" role="Started"><node name="c1"/></resource></group></resources>
</pacemaker-result>"""
WELL = {"pgrep": "41\n42\n", "crm_mon": MONITOR.decode(), "mariadb": "wsrep_local_state_comment\tSynced\n",
        "df": "Avail\n777000\n"}  # fmt: skip
"""What a healthy cluster's commands answer."""


def stage_on(lab: FakeLab) -> Stage:
    """A stage on which waiting takes no time."""
    return Stage(lab, clock=iter(range(10**6)).__next__, sleep=lambda _: None)


def injected(fault: str, lab: FakeLab, service: str = "haproxy") -> list[tuple[object, ...]]:
    """What injecting `fault` did to the lab, without what preparing it asked."""
    prepared = FAULTS[fault].prepare(stage_on(lab), ACTIVE, service)
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
        ("site-power-loss-random", [("off", "c1"), ("off", "c2"), ("off", "c3")]),
        ("quorum-loss", [("off", "c1"), ("off", "c2")]),
        ("member-power-off", [("off", "c3")]),
        ("member-partition", [("partition", ("c3",), ("c1", "c2"))]),
        ("member-state-lost", [("c3", "rm", "-f", "/var/lib/mysql/grastate.dat"), ("off", "c3")]),
    ],
)
def test_what_each_fault_does(fault: str, act: list[tuple[object, ...]]) -> None:
    assert injected(fault, FakeLab(WELL, STATEFUL)) == act


@pytest.mark.parametrize("fault", FAULTS)
def test_healing_restores_power_and_may_be_repeated(fault: str) -> None:
    lab = FakeLab(WELL, STATEFUL, failing=("grep",))
    prepared = FAULTS[fault].prepare(stage_on(lab), ACTIVE, "haproxy")
    prepared.inject()
    prepared.heal()
    prepared.heal()
    assert not lab.dark


def test_a_full_datadir_is_filled_to_the_last_byte_and_emptied_again() -> None:
    lab, filler = FakeLab(WELL, STATEFUL), "/var/lib/mysql/vimha-drill.filler"
    assert ("c1", "fallocate", "--length=777000", filler) in injected("datadir-full", lab)
    FAULTS["datadir-full"].prepare(stage_on(lab), ACTIVE, "database").heal()
    assert lab.done[-1] == ("c1", "rm", "-f", filler)


def test_a_file_system_that_holds_more_than_the_datadir_is_not_filled() -> None:
    lab = FakeLab(WELL, STATEFUL, failing=("mountpoint",))
    with pytest.raises(VimhaError, match="no file system of its own"):
        injected("datadir-full", lab)
    assert not any("fallocate" in each for each in lab.done)
    with pytest.raises(VimhaError, match="cannot be filled"):
        injected("datadir-full", FakeLab({**WELL, "df": "Avail\n99999999\n"}, STATEFUL))


def standbys(done: list[tuple[object, ...]]) -> list[tuple[object, bool]]:
    """Which node was put in standby (True) or taken out of it, in order."""
    return [(each[3], "on" in each) for each in done if each[1] == "crm_attribute"]


def test_a_rolling_restart_has_one_node_down_at_a_time_and_the_active_one_last() -> None:
    done = standbys(injected("rolling-restart", FakeLab(WELL, STATEFUL)))
    assert done == [("c2", True), ("c2", False), ("c3", True), ("c3", False), ("c1", True), ("c1", False)]


def test_a_rolling_restart_goes_on_only_when_the_member_is_whole() -> None:
    lab = FakeLab({**WELL, "mariadb": "wsrep_local_state_comment\tJoiner\n"}, STATEFUL)
    with pytest.raises(VimhaError, match="c2 is whole"):
        injected("rolling-restart", lab)
    assert ("c3", True) not in standbys(lab.done)


def test_a_member_is_stopped_while_it_takes_its_state() -> None:
    lab = FakeLab(WELL, STATEFUL, failing=("grep",))
    done = injected("stop-in-transfer", lab)
    assert [each[4] for each in done if each[1:3] == ("crm_resource", "--resource")] == ["--ban", "--clear", "--ban"]
    held, let_go = (done.index(("c3", "pkill", "--signal", signal, "--full", TRANSFER)) for signal in ("STOP", "CONT"))
    assert done.index(("c3", "rm", "-f", "/var/lib/mysql/grastate.dat")) < held
    assert held < done.index(("c3", "pgrep", "--full", STOPPING)) < let_go, "it is held until the stop has begun"
    assert [each[1] for each in done[-2:]] == ["crm_resource", "grep"], "the stop is waited for"
    assert standbys(done) == [], "the node's other services go on: their starts would delay the stop"


def test_a_transfer_that_nothing_interrupted_is_told() -> None:
    with pytest.raises(VimhaError, match="takes its state"):
        injected("stop-in-transfer", FakeLab(WELL, STATEFUL, failing=("pkill",)))
    with pytest.raises(VimhaError, match="had its state before it was stopped"):
        injected("stop-in-transfer", FakeLab(WELL, STATEFUL))


def test_a_transfer_is_known_by_its_script_and_not_by_who_looks_for_it() -> None:
    assert re.search(TRANSFER, "/bin/bash -ue /usr//bin/wsrep_sst_rsync --role joiner --address 10.77.1.12")
    assert re.search(STOPPING, "/usr/bin/python3 -IS /usr/lib/ocf/resource.d/vimha/galera stop")
    for pattern in (TRANSFER, STOPPING):
        assert not re.search(pattern, f"timeout --signal=KILL 30 pkill --signal STOP --full {pattern}")


def test_a_fault_on_a_database_member_needs_a_database() -> None:
    for fault in ("member-state-lost", "stop-in-transfer", "datadir-full"):
        with pytest.raises(VimhaError, match="no database"):
            injected(fault, FakeLab(WELL, SITE))


def test_a_bystander_neither_holds_the_vip_nor_gets_the_writes() -> None:
    stage = stage_on(FakeLab(WELL, STATEFUL))
    assert bystander(stage, ACTIVE) == "c3"
    assert bystander(stage, Roles(dc="c2", active="c3")) == "c2"
    stage.site = SITE.model_copy(update={"nodes": {name: SITE.nodes[name] for name in ("c1", "c2")}})
    with pytest.raises(VimhaError, match="every full node"):
        bystander(stage, Roles(dc="c1", active="c2"))


def test_a_bystander_is_no_spare() -> None:
    spared = STATEFUL.model_dump(mode="json") | {"scale": "large", "database": {"policy": {"active": 2, "spare": 1}}}
    where = "resource database is running on: {}\n"
    for members, expected in ((("c1", "c3"), "c3"), (("c1", "c2 Promoted"), "c2")):
        said = "".join(map(where.format, members)) + "resource database is NOT running\n"
        stage = stage_on(FakeLab({**WELL, "crm_resource": said}, Site.model_validate(spared)))
        assert bystander(stage, ACTIVE) == expected


def test_power_returns_in_an_order_that_is_told() -> None:
    lab = FakeLab(WELL, STATEFUL)
    prepared = FAULTS["site-power-loss-random"].prepare(stage_on(lab), ACTIVE, "haproxy")
    prepared.inject()
    lab.done.clear()
    prepared.heal()
    order = [node for what, node in lab.done if what == "on"]
    assert re.findall(r"c\d", prepared.note) == order
    assert sorted(order) == ["c1", "c2", "c3"]


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
        (
            "database",
            "/usr/sbin/mariadbd --defaults-file=/etc/vimha/galera.cnf --wsrep_start_position=6f5e:12",
            "/usr/bin/python3 -IS /usr/lib/ocf/resource.d/vimha/galera monitor",
        ),
        (
            "messaging",
            "/usr/lib/erlang/erts-13.1.5/bin/beam.smp -W w -MBas ageffcbf -- -root /usr/lib/erlang -noshell -noinput "
            "-s rabbit boot -boot start_sasl",
            "/usr/lib/erlang/erts-13.1.5/bin/beam.smp -B -- -root /usr/lib/erlang -run escript start -escript main "
            "rabbitmqctl_escript -extra /usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8/escript/rabbitmqctl list_queues",
        ),
    ],
)
def test_a_fault_hits_the_daemon_and_not_the_agent_that_looks_at_it(service: str, daemon: str, agent: str) -> None:
    pattern = daemons(STATEFUL, service)
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

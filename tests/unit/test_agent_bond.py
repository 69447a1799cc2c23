"""The bond agent: what the kernel's text means, how many legs work, and what is published when."""

import os
import re
from pathlib import Path

import pytest
from fake_host import FakeHost
from hypothesis import given
from hypothesis import strategies as st

from resource_agents.bond import Ports
from resource_agents.bonding import Port, bond_legs, parse_bond, setup_faults
from resource_agents.ocf import runtime
from resource_agents.ocf.agent import CONFIGURED, DEGRADED, GENERIC, INSTALLED, NOT_RUNNING, OK

ACTIVE_BACKUP = """Ethernet Channel Bonding Driver: v6.1.0-56-cloud-amd64

Bonding Mode: fault-tolerance (active-backup)
Primary Slave: None
Currently Active Slave: eth0
MII Status: up
MII Polling Interval (ms): 100
Up Delay (ms): 0
Down Delay (ms): 0
Peer Notification Delay (ms): 0

Slave Interface: eth0
MII Status: up
Speed: Unknown
Duplex: Unknown
Link Failure Count: 0
Permanent HW addr: 52:54:00:12:34:56
Slave queue ID: 0

Slave Interface: eth1
MII Status: up
Speed: Unknown
Duplex: Unknown
Link Failure Count: 0
Permanent HW addr: 52:54:00:12:34:57
Slave queue ID: 0
"""
LACP = """Ethernet Channel Bonding Driver: v6.1.0

Bonding Mode: IEEE 802.3ad Dynamic link aggregation
Transmit Hash Policy: layer2 (0)
MII Status: up
MII Polling Interval (ms): 100

802.3ad info
LACP active: on
LACP rate: fast
Min links: 0
System priority: 65535
System MAC address: 52:54:00:12:34:56
Active Aggregator Info:
\tAggregator ID: 1
\tNumber of ports: 2
\tActor Key: 9
\tPartner Key: 9
\tPartner Mac Address: 02:00:00:00:00:01

Slave Interface: eth0
MII Status: up
Aggregator ID: 1
Actor Churn State: none
details actor lacp pdu:
    system mac address: 52:54:00:12:34:56
details partner lacp pdu:
    system mac address: 02:00:00:00:00:01

Slave Interface: eth1
MII Status: up
Aggregator ID: 1
details actor lacp pdu:
    system mac address: 52:54:00:12:34:56
details partner lacp pdu:
    system mac address: 02:00:00:00:00:01
"""
ARP = ACTIVE_BACKUP.replace("MII Polling Interval (ms): 100", "MII Polling Interval (ms): 0").replace(
    "Peer Notification",
    "ARP Polling Interval (ms): 100\nARP Missed Max: 2\nARP IP target/s (n.n.n.n form): 10.0.0.1\nPeer Notification",
)
NO_PARTNER = LACP.replace("02:00:00:00:00:01", "00:00:00:00:00:00")


def member_down(text: str, name: str) -> str:
    return text.replace(f"Slave Interface: {name}\nMII Status: up", f"Slave Interface: {name}\nMII Status: down")


def ports(**carrier: bool) -> dict[str, Port]:
    state = {"bond0": True, "eth0": True, "eth1": True, **carrier}
    return {name: Port(name, exists=True, enabled=True, carrier=up) for name, up in state.items()}


def test_active_backup_is_read() -> None:
    bond = parse_bond(ACTIVE_BACKUP)
    assert (bond.active_backup, bond.lacp, bond.active, bond.miimon, bond.arp_interval) == (True, False, "eth0", 100, 0)
    assert [(member.name, member.up) for member in bond.members] == [("eth0", True), ("eth1", True)]


def test_lacp_is_read() -> None:
    bond = parse_bond(LACP)
    assert (bond.lacp, bond.aggregator, bond.partner) == (True, "1", "02:00:00:00:00:01")
    assert [(member.aggregator, member.partner) for member in bond.members] == [("1", "02:00:00:00:00:01")] * 2


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    parse_bond(text)


@given(st.lists(st.sampled_from(LACP.splitlines() + ARP.splitlines())))
def test_lines_in_any_order_are_read(lines: list[str]) -> None:
    bond = parse_bond("\n".join(lines))
    assert len(bond.members) == sum(line.startswith("Slave Interface") for line in lines)


@given(st.sets(st.sampled_from(["eth0", "eth1"])), st.sets(st.sampled_from(["eth0", "eth1"])))
def test_a_leg_counts_only_when_all_agree(down: set[str], no_carrier: set[str]) -> None:
    text = ACTIVE_BACKUP
    for name in down:
        text = member_down(text, name)
    legs = bond_legs("bond0", parse_bond(text), ports(**dict.fromkeys(no_carrier, False)))
    assert (legs.usable, legs.total) == (2 - len(down | no_carrier), 2)
    assert len(legs.faults) == len(down | no_carrier)


@pytest.mark.parametrize(
    ("text", "usable", "fault"),
    [
        (ACTIVE_BACKUP.replace("Slave: eth0", "Slave: None"), 0, "no active port"),
        (re.sub(r"(eth1\n.*\n)Aggregator ID: 1", r"\1Aggregator ID: 2", LACP), 1, "eth1 is in aggregator 2"),
        (NO_PARTNER, 2, "no LACP partner"),
        (LACP[: LACP.rindex("02:00")] + "00:00:00:00:00:00\n", 1, "eth1 has no LACP partner"),
        (ACTIVE_BACKUP.replace("eth1", "eth7"), 1, "eth1 is not in bond0"),
    ],
)
def test_faults(text: str, usable: int, fault: str) -> None:
    known = {**ports(), "eth7": Port("eth7", exists=True, enabled=True, carrier=True)}
    bond = parse_bond(text)
    names = {"bond0", "eth0", "eth1", *(member.name for member in bond.members)}
    legs = bond_legs("bond0", bond, {name: port for name, port in known.items() if name in names})
    if "eth7" in names:
        usable += 1
    assert legs.usable == usable
    assert fault in "; ".join(legs.faults)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (ACTIVE_BACKUP, ""),
        (LACP, ""),
        (ARP, ""),
        (ACTIVE_BACKUP.replace("(ms): 100", "(ms): 0"), "type bond miimon 100"),
        (ARP.replace(": 10.0.0.1", ": "), "arp_ip_target"),
        (ACTIVE_BACKUP[: ACTIVE_BACKUP.index("\nSlave Interface: eth1")], "has 1 of at least 2 ports"),
    ],
)
def test_set_up(text: str, fault: str) -> None:
    faults = setup_faults("bond0", parse_bond(text), 2)
    assert bool(faults) == bool(fault)
    assert fault in "; ".join(faults)


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.put("/proc/net/bonding/bond0", ACTIVE_BACKUP)
    for name in ("bond0", "eth0", "eth1"):
        host.put_port(name)
    return host


def act(host: FakeHost, action: str, interval: str = "1000", **parameters: str) -> tuple[int, str]:
    env = {f"OCF_RESKEY_{name}": value for name, value in parameters.items()}
    return runtime.invoke(Ports, action, {"OCF_RESKEY_CRM_meta_interval": interval, **env}, host)


def updates(host: FakeHost) -> list[str]:
    """What was published since the last look."""
    said = [kind.removeprefix("attrd_updater --name vimha-ports --") for kind in host.kinds()]
    host.commands.clear()
    return said


def test_a_life(host: FakeHost) -> None:
    assert act(host, "monitor", "0") == (NOT_RUNNING, "")
    assert act(host, "start") == (OK, "")
    assert updates(host) == ["update 2"]
    assert act(host, "monitor") == (OK, "")
    assert updates(host) == []
    host.put("/proc/net/bonding/bond0", member_down(ACTIVE_BACKUP, "eth1"))
    assert act(host, "monitor") == (DEGRADED, "eth1 is down for bond0's link monitor")
    assert updates(host) == ["update 1"]
    host.put_port("eth0", carrier=False)
    code, reason = act(host, "monitor")
    assert code == GENERIC
    assert reason == "no usable port: eth0 has no carrier; eth1 is down for bond0's link monitor"
    assert updates(host) == ["update 0"]
    assert act(host, "stop")[0] == OK
    assert updates(host) == ["delete"]
    assert act(host, "monitor", "0") == (NOT_RUNNING, "")
    assert act(host, "stop")[0] == OK


def test_it_starts_with_every_cable_pulled(host: FakeHost) -> None:
    host.put_port("eth0", carrier=False)
    host.put_port("eth1", enabled=False)
    code, reason = act(host, "start")
    assert code == OK
    assert "eth1 is administratively down: ip link set eth1 up" in reason
    assert updates(host) == ["update 0"]
    assert act(host, "monitor", "0")[0] == DEGRADED
    assert act(host, "monitor")[0] == GENERIC


def test_a_bond_that_is_down_has_no_legs(host: FakeHost) -> None:
    act(host, "start")
    host.put_port("bond0", enabled=False)
    assert act(host, "monitor") == (GENERIC, "no usable port: bond0 is administratively down: ip link set bond0 up")


def test_a_bond_that_watches_nothing_is_refused_with_the_remedy(host: FakeHost) -> None:
    host.put("/proc/net/bonding/bond0", ACTIVE_BACKUP.replace("(ms): 100", "(ms): 0"))
    code, reason = act(host, "start")
    assert code == INSTALLED
    assert "ip link set bond0 type bond miimon 100" in reason
    assert act(host, "monitor", "0")[0] == NOT_RUNNING
    assert updates(host) == []


def test_a_bond_that_watches_no_more_fails_but_keeps_its_legs(host: FakeHost) -> None:
    act(host, "start")
    updates(host)
    host.put("/proc/net/bonding/bond0", ACTIVE_BACKUP.replace("(ms): 100", "(ms): 0"))
    assert act(host, "monitor")[0] == GENERIC
    assert updates(host) == []


def test_a_bond_that_vanished_takes_the_vips_away(host: FakeHost) -> None:
    act(host, "start")
    updates(host)
    Path(host.root + "/proc/net/bonding/bond0").unlink()
    code, reason = act(host, "monitor")
    assert (code, updates(host)) == (GENERIC, ["update 0"])
    assert "bond0 is no kernel bond" in reason


def test_a_dead_card_is_a_lost_leg_not_a_wrong_set_up(host: FakeHost) -> None:
    host.put("/proc/net/bonding/bond0", ACTIVE_BACKUP[: ACTIVE_BACKUP.index("\nSlave Interface: eth1")])
    Path(host.root + "/sys/class/net/eth1/flags").unlink()
    assert act(host, "start") == (OK, "eth1 does not exist on this node")
    assert updates(host) == ["update 1"]
    assert act(host, "monitor")[0] == DEGRADED


def test_what_got_lost_is_published_again(host: FakeHost) -> None:
    host.put_process(1, ["execd"])
    act(host, "start")
    updates(host)
    cached = Path(host.root + "/run/resource-agents/vimha-ports.attribute")
    cached.write_text("2\n77 5\n")
    act(host, "monitor")
    assert updates(host) == ["update 2"], "Pacemaker was restarted"
    os.utime(cached, (0, 0))
    act(host, "monitor")
    assert updates(host) == ["update 2"], "published long ago"
    act(host, "start")
    assert updates(host) == ["update 2"], "start publishes always"


def test_a_cluster_that_does_not_listen_fails_nothing_and_is_asked_again(host: FakeHost) -> None:
    host.answers["attrd_updater"] = (102, "not connected\n")
    assert act(host, "start") == (OK, "attrd_updater: not connected")
    assert act(host, "monitor")[0] == OK
    host.answers.clear()
    updates(host)
    act(host, "monitor")
    act(host, "monitor")
    assert updates(host) == ["update 2"]
    host.answers["attrd_updater"] = (102, "not connected\n")
    assert act(host, "stop")[0] == OK


def test_plain_ports(host: FakeHost) -> None:
    assert act(host, "start", bond="")[0] == OK
    host.put_port("eth1", carrier=False)
    assert act(host, "monitor", bond="") == (DEGRADED, "eth1 has no carrier")
    host.put_port("eth0", enabled=False)
    assert act(host, "monitor", bond="")[0] == GENERIC
    assert updates(host) == ["update 2", "update 1", "update 0"]
    assert act(host, "start", bond="", ports="eth8 eth9")[0] == INSTALLED
    assert act(host, "start", bond="", ports="eth0", min_ports="1")[0] == OK


@pytest.mark.parametrize(
    "wrong",
    [{"ports": "eth0"}, {"ports": ""}, {"ports": "eth0 eth0"}, {"ports": "eth0 ../eth1"}, {"ports": "eth0 " + "e" * 16},
     {"bond": "a/b"}, {"min_ports": "two"}, {"attribute": ""}, {"attribute": "a b"}],
)  # fmt: skip
def test_parameters_that_are_wrong_everywhere(host: FakeHost, wrong: dict[str, str]) -> None:
    assert act(host, "validate-all", **wrong)[0] == CONFIGURED
    assert act(host, "start", **wrong)[0] == CONFIGURED
    assert act(host, "stop", **wrong)[0] == OK
    assert act(host, "monitor", "0", **wrong)[0] == NOT_RUNNING


def test_validate_all_looks_at_the_host_only_when_asked(host: FakeHost) -> None:
    assert act(host, "validate-all", bond="bond9")[0] == OK
    assert act(host, "validate-all", OCF_CHECK_LEVEL="10", bond="bond0")[0] == OK
    code, reason = runtime.invoke(Ports, "validate-all", {"OCF_CHECK_LEVEL": "10", "OCF_RESKEY_bond": "bond9"}, host)
    assert (code, reason) == (INSTALLED, "bond9 does not exist on this node: create it from eth0 and eth1")

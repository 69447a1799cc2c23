"""A1, A7: real machines with real Corosync and Pacemaker, on two planes, that lose power, ports and planes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from testinfra.host import Host

from vimha.errors import VimhaError
from vimha.lab import remains
from vimha.lab.cgroups import Group
from vimha.lab.labs import Lab
from vimha.process import run
from vimha.site.model import Site

pytestmark = pytest.mark.lab

EXAMPLE = Path(__file__).parents[2] / "examples" / "site-small.yaml"
FIRST, SECOND, THIRD = "control-1", "control-2", "control-3"


def links(lab: Lab, node: str) -> list[str]:
    """The states of all knet links to `node`'s peers, by its own word."""
    shown = lab.exec(node, ["corosync-cfgtool", "-s"]).out.splitlines()
    return [line.split()[-1] for line in shown if "nodeid:" in line and not line.endswith("localhost")]


def reaches(lab: Lab, node: str, address: str) -> bool:
    return lab.exec(node, ["arping", "-q", "-c", "1", "-w", "1", "-I", "bond0", address]).ok


def until(true: Callable[[], bool], most_s: float) -> float:
    """Seconds until `true`; fails after `most_s`."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < most_s
        time.sleep(0.005)
    return time.monotonic() - began


def traces(name: str) -> list[str]:
    """Everything of a lab that the kernel and the disk still show."""
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"/{name}/" in line]
    spaces = [word for word in run(["ip", "netns", "list"]).out.split() if word.startswith(f"vh-{name}-")]
    folders = [str(folder / name) for folder in (remains.STATE, remains.DISKS) if (folder / name).exists()]
    return mounts + spaces + folders + [str(pid) for pid in Group(name).pids()]


@contextmanager
def half_up(name: str, at: str) -> Iterator["subprocess.Popen[str]"]:
    """A `vimha lab up` in a process of its own that has just told the line with `at` in it."""
    argv = [sys.executable, "-m", "vimha_cli.main", "lab", "up", str(EXAMPLE), "--name", name]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any(at in line for line in process.stderr)
        yield process


def test_the_cluster_has_both_links_to_both_peers(machines: Lab) -> None:
    for node in machines.site.nodes:
        until(lambda node=node: links(machines, node) == ["connected"] * 4, 5)


def test_a_node_is_what_a_control_node_is(host: Host) -> None:
    assert host.service("corosync").is_enabled
    assert host.service("corosync").is_running
    assert host.service("pacemaker").is_enabled
    assert host.service("pacemaker").is_running
    assert not host.service("haproxy").is_running
    assert not host.service("glance-api").is_running
    assert host.package("fence-agents").is_installed
    assert host.run("systemctl --failed --no-legend").stdout == ""


def test_corosync_is_scheduled_before_everything_else(host: Host) -> None:
    assert "SCHED_RR" in host.check_output("chrt --pid $(pidof corosync)")


def test_a_machine_that_its_bmc_started_is_as_nice_as_any(machines: Lab) -> None:
    fence = (
        "action=reboot\nip=10.77.9.13\nusername=vimha\n"
        "password_file=/etc/vimha/bmc.password\nssl_ca=/etc/vimha/bmc-ca.pem\n"
    )
    assert machines.runner(FIRST)(["fence_vimha_redfish"], stdin=fence).ok
    until(lambda: machines.power.is_on(THIRD), 5)
    machines.wait_formed()
    assert machines.exec(THIRD, ["ps", "-o", "ni=", "-p", "1"]).out.strip() == "0"


def test_secrets_are_roots_alone(host: Host) -> None:
    for path, mode in {"/etc/corosync/authkey": 0o400, "/etc/vimha/bmc.password": 0o600}.items():
        assert host.file(path).mode == mode
        assert host.file(path).user == "root"


def test_a_node_has_its_names_addresses_and_sysctls(host: Host) -> None:
    name = host.backend.hostname
    number = name[-1]
    assert host.check_output("hostname") == name
    assert set(host.interface("bond0").addresses) == {f"10.77.1.1{number}", f"10.77.2.1{number}"}
    assert host.sysctl("net.ipv4.ip_nonlocal_bind") == 1
    assert host.file("/etc/machine-id").content_string != ""


def test_agents_are_installed_with_their_bytecode(host: Host) -> None:
    assert host.run("/usr/lib/ocf/resource.d/vimha/haproxy meta-data").rc == 0
    assert host.run("fence_vimha_redfish --action=metadata").rc == 0


def test_nothing_of_a_lab_is_in_the_hosts_own_network(machines: Lab) -> None:
    del machines
    shown = run(["ip", "-oneline", "address"]).out + run(["ip", "-oneline", "link"]).out
    assert "10.77." not in shown
    assert "plane-a" not in shown


def test_a_command_in_a_node_costs_less_than_20_ms(machines: Lab) -> None:
    costs = []
    for _ in range(20):
        began = time.monotonic()
        machines.exec(FIRST, ["true"])
        costs.append(time.monotonic() - began)
    assert min(costs) < 0.020


def test_a_command_that_hangs_is_killed_in_the_node(machines: Lab) -> None:
    with pytest.raises(VimhaError, match=r"no answer within 0\.3 s"):
        machines.exec(FIRST, ["sleep", "4711"], timeout_s=0.3)
    assert not machines.exec(FIRST, ["pgrep", "-x", "sleep"]).ok


def test_a_bmc_answers_every_node_over_both_protocols(machines: Lab) -> None:
    for node in machines.site.nodes:
        redfish = (
            "action=status\nip=10.77.9.12\nusername=vimha\n"
            "password_file=/etc/vimha/bmc.password\nssl_ca=/etc/vimha/bmc-ca.pem\n"
        )
        assert machines.runner(node)(["fence_vimha_redfish"], stdin=redfish).ok
        ipmi = ["ipmitool", "-I", "lanplus", "-C", "3", "-H", "10.77.9.12", "-U", "vimha"]
        shown = machines.exec(node, [*ipmi, "-f", "/etc/vimha/bmc.password", "power", "status"])
        assert shown.out.strip() == "Chassis Power is on"


def test_power_off_leaves_nothing_that_runs_and_power_on_brings_the_node_back(machines: Lab) -> None:
    began = time.monotonic()
    machines.power.off(THIRD)
    print(f"power off: {1000 * (time.monotonic() - began):.0f} ms")
    assert not machines.power.is_on(THIRD)
    assert Group(f"{machines.name}/{THIRD}").running() == ()
    assert not reaches(machines, FIRST, "10.77.1.13")
    with pytest.raises(VimhaError, match=f"{THIRD} is off"):
        machines.exec(THIRD, ["true"])
    machines.power.off(THIRD)
    machines.power.on(THIRD)
    machines.power.on(THIRD)
    machines.wait_formed()
    assert reaches(machines, FIRST, "10.77.1.13")


def test_a_node_that_halts_itself_is_off_and_one_that_reboots_stays_on(machines: Lab) -> None:
    machines.exec(THIRD, ["systemctl", "poweroff"])
    until(lambda: not machines.power.is_on(THIRD), 20)
    machines.power.on(THIRD)
    machines.wait_formed()
    before = machines.machines.enter(THIRD)
    machines.exec(THIRD, ["ip", "address", "add", "10.77.1.100/24", "dev", "bond0"])
    machines.exec(THIRD, ["systemctl", "reboot", "--force"])
    until(lambda: not rebooting(machines, before), 20)
    machines.wait_formed()
    assert "10.77.1.100" not in machines.exec(THIRD, ["ip", "address"]).out


def rebooting(lab: Lab, before: tuple[str, ...]) -> bool:
    """Has the node no init yet, or still the one that `before` enters?"""
    try:
        return lab.machines.enter(THIRD) == before
    except VimhaError:
        return True


def test_a_frozen_node_runs_nothing_but_its_kernel_answers(machines: Lab) -> None:
    ticks = ["cat", "/proc/1/stat"]
    machines.freeze(SECOND)
    assert reaches(machines, FIRST, "10.77.1.12")
    assert machines.exec(SECOND, ticks).out.split()[2] in "DS"
    assert machines.power.is_on(SECOND)
    machines.thaw(SECOND)
    machines.thaw(SECOND)
    machines.wait_formed()


def test_a_frozen_node_can_be_powered_off(machines: Lab) -> None:
    machines.freeze(SECOND)
    machines.power.off(SECOND)
    assert not machines.power.is_on(SECOND)
    machines.power.on(SECOND)
    machines.wait_formed()


def test_a_pulled_port_moves_the_bond_within_200_ms(machines: Lab) -> None:
    for _ in range(3):
        port = machines.active_port(FIRST)
        machines.port(FIRST, port, False)
        moved = until(lambda port=port: machines.active_port(FIRST) not in {port, ""}, 2)
        print(f"bond moved after {1000 * moved:.0f} ms")
        assert reaches(machines, FIRST, "10.77.1.12")
        machines.heal()
        if moved < 0.2:
            return
    pytest.fail("never within 200 ms")


def test_a_node_without_a_port_has_no_bond(machines: Lab) -> None:
    for port in ("eth0", "eth1"):
        machines.port(THIRD, port, False)
    carrier = ["cat", "/sys/class/net/bond0/carrier"]
    until(lambda: machines.exec(THIRD, carrier).out.strip() == "0", 2)
    machines.heal()
    until(lambda: machines.exec(THIRD, carrier).out.strip() == "1", 2)
    machines.wait_formed()


@pytest.mark.parametrize("plane", ["a", "b"])
def test_a_lost_plane_moves_every_bond(machines: Lab, plane: str) -> None:
    machines.plane(plane, False)
    try:
        other = {"a": "eth1", "b": "eth0"}[plane]
        until(lambda: {state.active_port for state in machines.status()} == {other}, 2)
        machines.wait_formed()
    finally:
        machines.plane(plane, True)


def test_a_partition_separates_the_planes_but_not_the_bmcs(machines: Lab) -> None:
    machines.partition([[FIRST]])
    try:
        assert not reaches(machines, FIRST, "10.77.1.12")
        assert not reaches(machines, SECOND, "10.77.2.11")
        assert reaches(machines, SECOND, "10.77.1.13")
        assert machines.exec(FIRST, ["timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/10.77.9.12/443"]).ok
    finally:
        machines.heal()
    assert reaches(machines, FIRST, "10.77.1.12")
    machines.wait_formed()


def test_the_whole_site_loses_its_power_and_comes_back(machines: Lab) -> None:
    machines.power_loss(bmcs=True)
    assert not any(state.power for state in machines.status())
    machines.power_return()
    machines.wait_formed()


def test_a_lab_that_is_up_is_not_made_again(machines: Lab, small: Site) -> None:
    with pytest.raises(VimhaError, match=f"lab {machines.name} is up already"):
        Lab.up(small, machines.name)
    machines.wait_formed()


def test_a_second_lab_with_the_same_addresses_stands_beside(
    machines: Lab, labs: Callable[[Site], Lab], small: Site
) -> None:
    other = labs(small.model_copy(update={"bond": None}))
    assert other.exec(FIRST, ["cat", "/etc/machine-id"]).out != machines.exec(FIRST, ["cat", "/etc/machine-id"]).out
    other.plane("a", False)
    carrier = ["cat", "/sys/class/net/eth0/carrier"]
    until(lambda: other.exec(FIRST, carrier).out.strip() == "0", 2)
    assert other.exec(FIRST, ["cat", "/sys/class/net/eth1/carrier"]).out.strip() == "1"
    assert machines.exec(FIRST, carrier).out.strip() == "1"
    other.down()
    assert traces(other.name) == []
    machines.wait_formed()


def test_ctrl_c_leaves_nothing() -> None:
    with half_up("ctrlc", "power on") as process:
        process.send_signal(2)
        assert process.wait(30) == 130
    assert traces("ctrlc") == []


def test_what_a_killed_run_left_is_removed_by_the_next() -> None:
    with half_up("killed", "power on") as process:
        process.kill()
    assert traces("killed") != []
    assert remains.sweep() == ("killed",)
    assert traces("killed") == []

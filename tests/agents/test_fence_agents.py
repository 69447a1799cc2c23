"""Fence agents, ours and Debian's, against the lab's real BMCs: sushy-tools' Redfish and OpenIPMI's ipmi_sim.

The BMCs listen on loopback addresses of a network namespace of their own and switch a fake Power.
"""

import resource
import subprocess
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_power import FakePower
from lab_bmcs import ALL, NETNS, NODES, Fence, bmcs

pytestmark = pytest.mark.agents

NODE_NETNS = f"{NETNS}-node"
RNG = "/usr/share/cluster/relaxng/metadata.rng"


@pytest.fixture(scope="module")
def power() -> FakePower:
    return FakePower(NODES)


@pytest.fixture(scope="module")
def fence(power: FakePower, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fence]:
    with bmcs(power, tmp_path_factory.mktemp("bmc")) as fence:
        yield fence


@pytest.fixture(autouse=True)
def powered(power: FakePower) -> None:
    """Every test begins with all nodes on."""
    power.state.update(dict.fromkeys(NODES, True))
    power.takes = 0.0
    power.broken = False
    power.changes.clear()


@pytest.mark.parametrize("agent", ALL)
def test_every_agent_switches_its_own_node_and_reads_it_back(fence: Fence, power: FakePower, agent: str) -> None:
    assert fence.act(agent, "status", "c2").returncode == 0
    assert fence.act(agent, "monitor", "c2").returncode == 0
    off = fence.act(agent, "off", "c2")
    assert off.returncode == 0, off.stderr
    assert power.state == {"c1": True, "c2": False, "c3": True}
    assert fence.act(agent, "status", "c2").returncode == 2
    assert fence.act(agent, "monitor", "c2").returncode == 0
    assert fence.act(agent, "off", "c2").returncode == 0
    assert fence.act(agent, "on", "c2").returncode == 0
    assert power.state["c2"]
    power.changes.clear()
    assert fence.act(agent, "reboot", "c2").returncode == 0
    assert power.changes[0] == ("c2", False)
    end = time.monotonic() + 5
    while power.changes[-1] != ("c2", True):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_power_is_switched_from_the_hosts_own_namespace(fence: Fence, power: FakePower) -> None:
    power.namespaces.clear()
    fence.act("fence_vimha_redfish", "off", "c1")
    fence.act("fence_ipmilan", "on", "c1")
    assert power.namespaces == {str(Path("/proc/self/ns/net").readlink())}


def test_lists_need_no_device_and_list_status_asks_it(fence: Fence) -> None:
    assert fence.act("fence_vimha_redfish", "list", "c3").stdout == "c3,\n"
    assert fence.act("fence_vimha_redfish", "list-status", "c3").stdout == "c3,,ON\n"


def test_a_bmc_shows_its_own_node_only(fence: Fence, power: FakePower) -> None:
    other = fence.act("fence_vimha_redfish", "off", "c1", systems_uri="/redfish/v1/Systems/c2")
    assert other.returncode == 1
    assert "HTTP 404" in other.stderr
    assert all(power.state.values())
    found = fence.act("fence_vimha_redfish", "off", "c1", systems_uri="", plug="")
    assert found.returncode == 0
    assert power.state == {"c1": False, "c2": True, "c3": True}


@pytest.mark.parametrize("agent", ALL)
def test_a_power_off_that_takes_a_while_is_waited_for(fence: Fence, power: FakePower, agent: str) -> None:
    power.takes = 0.5
    assert fence.act(agent, "off", "c1").returncode == 0
    assert not power.state["c1"]


@pytest.fixture
def wire(fence: Fence) -> Iterator[None]:
    """A node's own kernel at 10.99.0.2, on a network of the fencing host; its end of the wire is `node0`."""
    subprocess.run(["ip", "netns", "add", NODE_NETNS], check=True)
    try:
        for line in (
            f"-n {NETNS} link add peer0 type veth peer name node0 netns {NODE_NETNS}",
            f"-n {NETNS} address add 10.99.0.1/24 dev peer0",
            f"-n {NODE_NETNS} address add 10.99.0.2/24 dev node0",
            f"-n {NETNS} link set peer0 up",
            f"-n {NODE_NETNS} link set node0 up",
        ):
            subprocess.run(["ip", *line.split()], check=True)
        yield
    finally:
        subprocess.run(["ip", "netns", "delete", NODE_NETNS], check=True)


def test_a_bmc_that_says_off_is_not_believed_while_the_node_answers(fence: Fence, wire: None) -> None:
    """The BMC's fake power says off; the node's kernel is a real one, and stays up until its wire is cut."""
    witness = {"node_addresses": "10.99.0.2"}
    lie = fence.act("fence_vimha_redfish", "off", "c1", **witness, power_timeout="1")
    assert lie.returncode == 1
    assert "the BMC reports power off, but 10.99.0.2 still answers" in lie.stderr
    subprocess.run(["ip", "-n", NODE_NETNS, "link", "set", "node0", "down"], check=True)
    gone = fence.act("fence_vimha_redfish", "off", "c1", **witness, power_timeout="10")
    assert gone.returncode == 0, gone.stderr


def test_a_switch_that_is_stuck_is_an_error(fence: Fence, power: FakePower) -> None:
    power.broken = True
    done = fence.act("fence_vimha_redfish", "off", "c1", answer_timeout="0.5")
    assert done.returncode == 1
    assert "HTTP 500" in done.stderr
    assert fence.act("fence_ipmilan", "off", "c1", power_timeout="1").returncode == 1


def test_a_wrong_password_is_refused(fence: Fence, power: FakePower) -> None:
    (fence.folder / "wrong").write_text("wrong")
    (fence.folder / "wrong").chmod(0o600)
    done = fence.act("fence_vimha_redfish", "off", "c1", password_file=str(fence.folder / "wrong"))
    assert done.returncode == 1
    assert "user name or password refused (HTTP 401)" in done.stderr
    assert power.state["c1"]


def test_a_client_that_never_begins_its_handshake_blocks_nobody(fence: Fence) -> None:
    idle = ["ip", "netns", "exec", NETNS, "/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.11/443; read -t 20"]
    with subprocess.Popen(idle, stdin=subprocess.PIPE) as process:
        try:
            began = time.monotonic()
            assert fence.act("fence_vimha_redfish", "status", "c1").returncode == 0
            assert time.monotonic() - began < 2
        finally:
            process.kill()


def test_peers_that_fence_the_same_node_at_once_all_succeed(fence: Fence, power: FakePower) -> None:
    power.takes = 0.1
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda: codes.append(fence.act("fence_vimha_redfish", "off", "c1").returncode))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0, 0]
    assert not power.state["c1"]


@pytest.mark.parametrize("action", ["metadata", "manpage"])
def test_metadata_is_valid_under_fence_agents_grammar(fence: Fence, action: str) -> None:
    text = fence.command("fence_vimha_redfish", "-o", action).stdout
    checked = subprocess.run(
        ["xmllint", "--noout", "--relaxng", RNG, "-"], input=text, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    names = {parameter.get("name") for parameter in ET.fromstring(text).iter("parameter")}  # noqa: S314
    assert {"action", "ip", "plug", "port", "username", "password_file", "ssl_ca", "delay"} <= names


@pytest.mark.parametrize(
    "argv",
    [
        ("stonith_admin", "-M", "-a", "fence_vimha_redfish"),
        ("pcs", "stonith", "describe", "fence_vimha_redfish"),
        ("crm", "ra", "info", "stonith:fence_vimha_redfish"),
    ],
)
def test_the_clusters_tools_read_the_metadata(fence: Fence, argv: tuple[str, ...]) -> None:
    done = fence.command(*argv)
    assert done.returncode == 0, done.stderr
    assert "node_addresses" in done.stdout


def test_metadata_costs_little_cpu(fence: Fence) -> None:
    """At most 20 ms of CPU for the whole process, least of ten; prints it (pytest -s)."""
    program = f"import sys; sys.path.insert(0, {str(fence.folder / 'root/usr/lib/vimha')!r}); "
    program += "sys.argv = ['x', '-o', 'metadata']; from fence_agents.vimha_redfish import main; main()"
    argv = ["/usr/bin/python3", "-IS", "-c", program]
    costs = []
    for _ in range(10):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    print({"metadata_cpu_ms": round(min(costs), 1)})
    assert min(costs) <= 20


def test_stonith_admin_validates_and_refuses_without_credentials(fence: Fence) -> None:
    validate = ("stonith_admin", "--validate", "-a", "fence_vimha_redfish", "--output-as=xml")
    given = fence.options("fence_vimha_redfish", "c1")
    good = fence.command(*validate, *(f"--option={key}={value}" for key, value in given.items() if key != "plug"))
    assert good.returncode == 0, good.stdout + good.stderr
    assert 'valid="true"' in good.stdout
    bad = fence.command(*validate, "--option=ip=127.0.0.11")
    assert bad.returncode != 0
    assert "no password" in bad.stdout

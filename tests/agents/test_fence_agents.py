"""Fence agents, ours and Debian's, against the lab's real BMCs: sushy-tools' Redfish and OpenIPMI's ipmi_sim.

The BMCs listen on loopback addresses of a network namespace of their own and switch a fake Power.
"""

import os
import resource
import statistics
import subprocess
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from vimha.lab.bmc import BmcConfig, Endpoint, new_password, tls
from vimha.lab.bmc.server import serving
from vimha.render.agents import install

pytestmark = pytest.mark.agents

NETNS = f"vh-test-bmc-{os.getpid()}"
NODE_NETNS = f"{NETNS}-node"
NODES = ("c1", "c2", "c3")
RNG = "/usr/share/cluster/relaxng/metadata.rng"
ROUNDS = 10


class FakePower:
    """Nodes that obey at once, or `takes` seconds later; remembers the network namespace that it was called in."""

    def __init__(self) -> None:
        self.state = dict.fromkeys(NODES, True)
        self.takes = 0.0
        self.broken = False
        self.namespaces: set[str] = set()
        self.changes: list[tuple[str, str]] = []

    def is_on(self, node: str) -> bool:
        return self.state[node]

    def off(self, node: str) -> None:
        self._change(node, False)

    def on(self, node: str) -> None:
        self._change(node, True)

    def _change(self, node: str, on: bool) -> None:
        if self.broken:
            raise OSError("the switch is stuck")
        self.namespaces.add(str(Path("/proc/thread-self/ns/net").readlink()))
        self.changes.append((node, "on" if on else "off"))
        time.sleep(self.takes)
        self.state[node] = on


class Fence:
    """Runs fence agents in the BMCs' namespace, with our own agent installed over Debian's files, for them alone."""

    def __init__(self, folder: Path, config: BmcConfig) -> None:
        self.folder = folder
        self.config = config

    def command(self, *argv: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command that sees /usr/sbin/fence_vimha_redfish."""
        overlays = "".join(
            f"mount -t overlay none -o lowerdir={self.folder}/root{path}:{path} {path} && "
            for path in ("/usr/sbin", "/usr/lib")
        )
        enter = ["ip", "netns", "exec", NETNS, "unshare", "--mount", "--"]
        return subprocess.run(
            [*enter, "/bin/sh", "-c", overlays + 'exec "$@"', "sh", *argv],
            input=stdin, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def options(self, agent: str, node: str) -> dict[str, str]:
        """What the cluster would configure for `node`."""
        endpoint = next(entry for entry in self.config.endpoints if entry.node == node)
        common = {"ip": endpoint.address, "username": self.config.username, "plug": node}
        script = {"password_script": str(self.folder / "script")}
        if agent == "fence_ipmilan":
            return {**common, **script, "lanplus": "1", "cipher": "3", "power_wait": "0"}
        if agent == "fence_redfish":
            return {**common, **script, "ssl_insecure": "1", "systems_uri": endpoint.system}
        files = {"password_file": str(self.config.password_file), "ssl_ca": str(self.folder / "ca.pem")}
        return {**common, **files, "systems_uri": endpoint.system}

    def act(self, agent: str, action: str, node: str, **given: str) -> "subprocess.CompletedProcess[str]":
        """One action as Pacemaker asks for it: options on standard input."""
        options = {**self.options(agent, node), "action": action, "nodename": node, **given}
        return self.command(agent, stdin="".join(f"{key}={value}\n" for key, value in options.items()))


@pytest.fixture(scope="module")
def power() -> FakePower:
    return FakePower()


@pytest.fixture(scope="module")
def fence(power: FakePower, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fence]:
    folder = tmp_path_factory.mktemp("bmc")
    install(folder / "root")
    secret = new_password()
    for name, text, mode in (("password", secret, 0o600), ("script", f"#!/bin/sh\necho {secret}\n", 0o700)):
        (folder / name).write_text(text)
        (folder / name).chmod(mode)
    endpoints = tuple(Endpoint(node, f"127.0.0.{11 + number}") for number, node in enumerate(NODES))
    pair = tls.make_certificate(folder, tls.make_ca(folder), [endpoint.address for endpoint in endpoints])
    config = BmcConfig(folder / "state", endpoints, "vimha", folder / "password", pair.certificate, pair.key, NETNS)
    subprocess.run(["ip", "netns", "add", NETNS], check=True)
    try:
        subprocess.run(["ip", "-n", NETNS, "link", "set", "lo", "up"], check=True)
        with serving(power, config):
            yield Fence(folder, config)
    finally:
        subprocess.run(["ip", "netns", "delete", NETNS], check=True)


@pytest.fixture(autouse=True)
def powered(power: FakePower) -> None:
    """Every test begins with all nodes on."""
    power.state.update(dict.fromkeys(NODES, True))
    power.takes = 0.0
    power.broken = False
    power.changes.clear()


ALL = ("fence_vimha_redfish", "fence_redfish", "fence_ipmilan")


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
    assert power.changes[0] == ("c2", "off")
    end = time.monotonic() + 5
    while power.changes[-1] != ("c2", "on"):
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
    witness = {"node_addresses": "10.99.0.2", "power_timeout": "1"}
    lie = fence.act("fence_vimha_redfish", "off", "c1", **witness)
    assert lie.returncode == 1
    assert "the BMC reports power off, but 10.99.0.2 still answers" in lie.stderr
    subprocess.run(["ip", "-n", NODE_NETNS, "link", "set", "node0", "down"], check=True)
    assert fence.act("fence_vimha_redfish", "off", "c1", **witness).returncode == 0


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
    for _ in range(ROUNDS):
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


def test_off_is_verified_faster_than_by_the_agents_of_the_distribution(fence: Fence) -> None:
    """Also prints the figures (pytest -s): median seconds of ten, each started on a node that is on."""
    times: dict[str, list[float]] = {agent: [] for agent in ALL}
    for _ in range(ROUNDS):
        for agent in ALL:
            fence.act("fence_vimha_redfish", "on", "c1")
            began = time.monotonic()
            assert fence.act(agent, "off", "c1").returncode == 0
            times[agent].append(time.monotonic() - began)
    medians = {agent: round(statistics.median(values), 3) for agent, values in times.items()}
    print(medians)
    assert medians["fence_vimha_redfish"] == min(medians.values())

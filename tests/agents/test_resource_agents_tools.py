"""Every resource agent before the judges of others: ocf-tester, DTD, RNGs, Pacemaker, pcs and crmsh."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from galera_alone import member_parameters
from lxml import etree
from ocf_calls import free_port
from rabbit_nodes import site_of

from vimha.process import run
from vimha.render import agents

pytestmark = [pytest.mark.agents, pytest.mark.usefixtures("installed")]

OCF = [agent for agent in agents.agents() if agent.kind == "ocf"]
SHARE = Path("/usr/share/resource-agents")
PCS = Path("/usr/share/pcs/data")
each_agent = pytest.mark.parametrize("agent", OCF, ids=[agent.name for agent in OCF])
HAPROXY = """defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
frontend health
  bind 127.0.0.1:{port}
  monitor-uri /health
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that daemons' users may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="vimha-tools-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def good(tmp_path: Path, open_folder: Path) -> dict[str, dict[str, str]]:
    """Parameters with which each agent can live on this host, without its real service where that is heavy."""
    port, config, settings = free_port(), tmp_path / "haproxy.cfg", tmp_path / "glance.conf"
    config.write_text(HAPROXY.format(port=port))
    settings.write_text("")
    stand_in = tmp_path / "glance-stand-in"
    stand_in.write_text("#!/usr/bin/python3 -IS\n" + STAND_IN)
    stand_in.chmod(0o755)
    glance_port, alarms_port = str(free_port()), free_port()
    service = tmp_path / "alarms-stand-in"
    service.write_text("#!/usr/bin/python3 -IS\n" + STAND_IN.replace("int(sys.argv[-1])", str(alarms_port)))
    service.chmod(0o755)
    arbiter = tmp_path / "garbd-stand-in"
    arbiter.write_text("#!/usr/bin/python3 -IS\n" + ARBITER)
    arbiter.chmod(0o755)
    return {
        "galera": member_parameters(open_folder),
        "garbd": {
            "binary": str(arbiter), "address": "gcomm://127.0.0.1", "group": "vimha-test", "user": "",
            "workdir": str(tmp_path / "garbd"), "log": str(tmp_path / "garbd.log"), "pid": str(tmp_path / "garbd.pid"),
        },
        "haproxy": {"config": str(config), "pid": str(tmp_path / "haproxy.pid"), "health": f"127.0.0.1:{port}"},
        "health": {
            "listen": f"127.0.0.1:{free_port()}", "galera": str(tmp_path / "mysqld.sock"), "account": "nobody",
            "user": "nobody", "pid": str(tmp_path / "health.pid"),
        },
        "rabbitmq": {"amqp": "127.0.0.1:5672", "members": "n1=127.0.0.1", "management": ""},
        "alarms": {
            "binary": str(service), "config": str(settings), "user": "", "state": str(tmp_path / "state"),
            "pid": str(tmp_path / "alarms.pid"), "health": f"http://127.0.0.1:{alarms_port}",
        },
        "bond": {"ports": "lo", "min_ports": "1", "bond": "", "attribute": "vimha-tester"},
        "vip": {"ip": "127.9.9.9", "nic": "lo", "cidr_netmask": "32"},
        "glance-api": {
            "binary": str(stand_in), "config": str(settings), "user": "", "log_file": glance_port,
            "pid": str(tmp_path / "glance.pid"), "url": f"http://127.0.0.1:{glance_port}/healthcheck",
        },
    }  # fmt: skip


ARBITER = """# A stand-in for garbd that has a member: connected with itself on the group's port.
import _socket, time
server = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
server.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", 4567))
server.listen(1)
client = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
client.connect(("127.0.0.1", 4567))
peer = server._accept()
time.sleep(600)
"""
STAND_IN = """# Answers 200 to everything on the port that is its last argument.
import _socket, sys
server = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
server.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(sys.argv[-1])))
server.listen(16)
while True:
    peer = _socket.socket(fileno=server._accept()[0])
    peer.recv(1000)
    peer.send(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
    peer.close()
"""


def options(good: dict[str, dict[str, str]], agent: agents.AgentInfo, flag: str) -> list[str]:
    return [word for name, value in good[agent.name].items() for word in (flag, f"{name}={value}")]


@contextmanager
def place(agent: agents.AgentInfo, good: dict[str, dict[str, str]]) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    """What runs a tool where the agent can live, and its parameters: a broker needs a node of its own and an attribute
    daemon, a fake one; and a tool that knows no degraded resource needs a start that waits until it serves.
    """
    if agent.name != "rabbitmq":
        yield (), good[agent.name]
        return
    with site_of(1) as site:
        node = site.nodes[0].resource
        yield node.prefix, {**node.parameters, "patience": "80", "CRM_meta_timeout": "90000"}


@each_agent
def test_ocf_tester(agent: agents.AgentInfo, good: dict[str, dict[str, str]]) -> None:
    with place(agent, good) as (prefix, parameters):
        given = options({agent.name: parameters}, agent, "-o")
        done = run([*prefix, "ocf-tester", "-n", "tested", *given, str(agent.launcher)], timeout_s=300)
    assert done.ok, done.out + done.err
    assert "passed all tests" in done.out


@each_agent
def test_dtd(agent: agents.AgentInfo) -> None:
    text = run([str(agent.launcher), "meta-data"]).out
    dtd = etree.DTD(str(SHARE / "ra-api-1.dtd"))
    assert dtd.validate(etree.fromstring(text.encode())), dtd.error_log


@each_agent
@pytest.mark.parametrize(
    "schema", [SHARE / "metadata.rng", PCS / "ocf-1.0.rng", PCS / "ocf-1.1.rng"],
    ids=["resource-agents", "pcs 1.0", "pcs 1.1"],
)  # fmt: skip
def test_rng(agent: agents.AgentInfo, schema: Path) -> None:
    text = run([str(agent.launcher), "meta-data"]).out
    rng = etree.RelaxNG(file=str(schema))
    assert rng.validate(etree.fromstring(text.encode())), rng.error_log


@each_agent
def test_metadata_needs_no_privilege_and_ignores_further_arguments(agent: agents.AgentInfo) -> None:
    done = run(["setpriv", "--reuid", "nobody", "--clear-groups", str(agent.launcher), "meta-data", "extra"])
    assert (done.ok, done.out) == (True, agent.metadata)


@each_agent
def test_pacemaker_reads_it(agent: agents.AgentInfo) -> None:
    done = run(["crm_resource", "--show-metadata", agent.full_name])
    assert done.ok, done.err
    assert f'name="{agent.name}"' in done.out


@each_agent
def test_pacemaker_validates_parameters(agent: agents.AgentInfo, good: dict[str, dict[str, str]]) -> None:
    words = options(good, agent, "--option")
    given = [word for pair in zip(words[::2], words[1::2], strict=True) if not pair[1].endswith("=") for word in pair]
    argv = ["crm_resource", "--validate", "--class", "ocf", "--provider", "vimha", "--agent", agent.name]
    done = run([*argv, *given, "--output-as=xml"])
    assert done.ok, done.out
    wrong = {
        "alarms": "health=nowhere",
        "bond": "ports=a/b", "haproxy": "health=nowhere", "glance-api": "url=nowhere", "health": "listen=nowhere",
        "galera": "members=nowhere", "garbd": "address=nowhere", "rabbitmq": "members=nowhere",
        "vip": "ip=nowhere",
    }[agent.name]  # fmt: skip
    done = run([*argv, "--option", wrong, "--output-as=xml"])
    status = etree.fromstring(done.out.encode()).find(".//agent-status")
    assert status is not None
    assert status.get("code") == "6", done.out


@each_agent
def test_pcs_describes_it(agent: agents.AgentInfo) -> None:
    done = run(["pcs", "resource", "describe", agent.full_name, "--full"])
    assert done.ok, done.err
    for parameter in agent.parameters:
        assert f"  {parameter.name}" in done.out


@each_agent
def test_crmsh_describes_it(agent: agents.AgentInfo) -> None:
    done = run(["crm", "ra", "info", agent.full_name])
    assert done.ok, done.err
    for parameter in agent.parameters:
        assert parameter.name in done.out


def test_an_empty_parameter_reaches_the_agent_through_the_cib(tmp_path: Path) -> None:
    """bond="" means "no kernel bond"; Pacemaker hands an empty value on, so the default does not come back."""
    cib = tmp_path / "cib.xml"
    empty = etree.fromstring(run(["cibadmin", "--empty"]).out.encode())
    resources = empty.find(".//resources")
    assert resources is not None
    resources.append(
        etree.fromstring(
            '<primitive id="ports" class="ocf" provider="vimha" type="bond"><instance_attributes id="a">'
            '<nvpair id="a1" name="bond" value=""/><nvpair id="a2" name="ports" value="lo"/>'
            '<nvpair id="a3" name="min_ports" value="1"/><nvpair id="a4" name="attribute" value="vimha-cib"/>'
            "</instance_attributes></primitive>"
        )
    )
    cib.write_bytes(etree.tostring(empty))
    codes = [
        run(["crm_resource", "--resource", "ports", action], env={"CIB_file": str(cib)}).code
        for action in ("--force-start", "--force-check", "--force-stop")
    ]
    assert codes == [0, 0, 0]

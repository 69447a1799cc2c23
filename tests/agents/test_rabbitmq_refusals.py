"""The rabbitmq agent where something is wrong with its node: real brokers, the code and reason, data untouched."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ocf_calls import Resource, wait_until
from rabbit_nodes import NETWORK, Node, failed, site_of

pytestmark = [pytest.mark.agents, pytest.mark.usefixtures("installed")]


@pytest.fixture(scope="module")
def used_node(installed: None) -> Iterator[Node]:
    with site_of(1) as site:
        only = site.nodes[0]
        assert only("start").code == 0
        only.up()
        assert only("stop").code == 0
        yield only


@pytest.fixture
def used(used_node: Node) -> Iterator[Node]:
    """The only member of its site, with a database, stopped: what a test refuses leaves it as it is."""
    before = files(used_node)
    yield used_node
    assert not used_node.pid()
    assert files(used_node) == before


def files(node: Node) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in node.database.rglob("*") if path.is_file()}


@contextmanager
def listener(node: Node, address: str, port: int) -> Iterator[None]:
    """A stranger that listens on the node."""
    code = f"import socket, time; s = socket.create_server(('{address}', {port})); print(flush=True); time.sleep(99)"
    argv = ["ip", "netns", "exec", node.space, "/usr/bin/python3", "-c", code]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout
        stranger.stdout.readline()
        yield
        stranger.kill()


@pytest.mark.parametrize("port", [5672, 25672])
def test_a_port_in_use(used: Node, port: int) -> None:
    with listener(used, used.address, port):
        code, reason = failed(used)
    assert code == 5, reason
    assert reason.startswith(
        f"port in use: a process that this resource did not start listens at {used.address}:{port} "
        "(ss -ltnp names it; a broker of the distribution's own: systemctl disable --now rabbitmq-server)"
    )


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [("rabbitmq.conf", "no.such.option = 1\n", "You've tried to set no.such.option, but there is no setting with that"),
     ("rabbitmq.conf", "vm_memory_high_watermark.relative = lots\n",
      ".*Error transforming datatype for: vm_memory_high_watermark.relative"),
     ("rabbitmq.conf", "load_definitions = /nowhere.json\n", "load_definitions invalid, file does not exist"),
     ("advanced.config", "[{broken\n", "Failed to load advanced configuration file")],
)  # fmt: skip
def test_a_wrong_configuration(used: Node, file: str, text: str, reason: str) -> None:
    path = used.folder / "etc" / file
    before = path.read_text()
    path.write_text(text if file == "advanced.config" else before + text)
    code, told = failed(used)
    path.write_text(before)
    assert code == 5, told
    assert re.match(f"wrong configuration: {reason}", told), told


def test_a_listener_that_cannot_be_opened(node: Node) -> None:
    path = node.folder / "etc" / "rabbitmq.conf"
    path.write_text(path.read_text() + "listeners.tcp.2 = 192.0.2.7:5672\n")
    code, told = failed(node)
    assert code == 5, told
    assert told.startswith(
        'no address of this node, or a port in use (ss -ltnp names by whom): {could_not_start_listener,"192.0.2.7",5672'
    )


@pytest.mark.parametrize(
    ("name", "whole"), [("", True), ("schema.DAT", False), ("msg_stores", False), ("quorum", False)]
)
def test_a_database_that_rabbitmq_cannot_use(used: Node, name: str, whole: bool) -> None:
    path = used.database / name
    shutil.chown(path, "root", "root")
    answer = used("start")
    shutil.chown(path, "rabbitmq", "rabbitmq")
    shown = str(path).rstrip("/")
    assert answer.code == 5
    assert answer.reason == (
        f"{shown} belongs to root, so rabbitmq cannot use it: chown -R rabbitmq: {shown if whole else used.database}"
    )


@pytest.mark.parametrize("name", ["cluster_nodes.config", "nodes_running_at_shutdown"])
@pytest.mark.parametrize("text", ["", "[rabbit@n", None], ids=["empty", "torn", "lost"])
def test_what_a_database_knows_of_its_cluster_is_lost(used: Node, name: str, text: str | None) -> None:
    """RabbitMQ writes these files in place, so a loss of power may leave them empty. The messages are still there."""
    path = used.database / name
    before = path.read_bytes()
    path.unlink()
    if text is not None:
        path.write_text(text)
        shutil.chown(path, "rabbitmq", "rabbitmq")
    answer = used("start")
    path.write_bytes(before)
    shutil.chown(path, "rabbitmq", "rabbitmq")
    assert answer.code == 5
    assert answer.reason == (
        f"{'lost' if text is None else 'corrupt'}: {path}; the messages beside it are not touched. Where peers have "
        f"them too, move {used.database} away, and this node joins anew; else restore that file"
    )


def test_another_cookie(used: Node) -> None:
    """Another site's node, or one that got another site's file, on the same network."""
    words = used.site.folder / "attrd" / "vimha-rabbitmq"
    words.write_text(json.dumps({"n2": "up,served=1,cookie=0badf00d,ran=n1:n2"}))
    code, reason = failed(used, members=f"n1={used.address} n2={NETWORK}.12", patience="0")
    assert used("stop").code == 0
    words.unlink()
    assert code == 5, reason
    assert reason == (
        "the Erlang cookie differs from n2's: give all nodes of this site the same cookie file, or, if these are two "
        "sites, see why they share a network"
    )


def test_a_cookie_that_is_missing_or_that_others_can_read(used: Node) -> None:
    cookie = used.folder / "cookie"
    cookie.chmod(0o644)
    answer = used("start")
    cookie.chmod(0o600)
    assert (answer.code, answer.reason) == (5, f"Erlang cookie {cookie} has mode 0644: chmod 0600 {cookie}")
    before = cookie.read_text()
    for text in ("", None):
        cookie.unlink()
        if text is not None:
            cookie.write_text(text)
        answer = used("start")
        assert answer.code == 5
        assert answer.reason == f"Erlang cookie {cookie} cannot be read: copy the site's own to this node, 0600"
        cookie.write_text(before)
        cookie.chmod(0o600)


def test_wrong_credentials_of_the_management_leave_a_running_broker_alone(node: Node) -> None:
    auth = node.folder / "auth"
    deep = Resource("rabbitmq", (*node.resource.prefix, "env", "OCF_CHECK_LEVEL=10"), **node.resource.parameters)
    node("start")
    node.up()
    wait_until(lambda: deep("monitor").code == 0, 20)
    auth.write_text("guest:wrong")
    answer = deep("monitor")
    assert answer.code == 190
    assert answer.reason.endswith(f"wrong credentials in {auth}: make user and password there the broker's")
    auth.chmod(0o644)
    assert deep("monitor").reason.endswith(f"{auth} has mode 0644: chmod 0600 {auth}")
    auth.unlink()
    answer = deep("monitor")
    assert (answer.code, answer.reason.endswith(f"{auth} cannot be read: write USER:PASSWORD there, mode 0600")) == (
        190,
        True,
    )
    assert node("monitor").code == 0


@pytest.mark.parametrize(
    ("changed", "code", "reason"),
    [({"binary": "/usr/sbin/none"}, 5, "/usr/sbin/none is not installed"),
     ({"user": "nobody-here"}, 5, "user nobody-here does not exist"),
     ({"config_dir": "/nowhere"}, 5, "configuration /nowhere/rabbitmq.conf cannot be read"),
     ({"CRM_meta_on_node": "x"}, 5, "parameter members does not name this node, x"),
     ({"members": "n1"}, 6, "parameter members: 'n1' is not NAME=IPv4-ADDRESS"),
     ({"members": "n1=10.0.0.1 n1=10.0.0.2"}, 6, "parameter members names n1 twice"),
     ({"amqp": "n1:5672"}, 6, "parameter amqp: 'n1:5672' has no numeric address"),
     ({"data": "mnesia"}, 6, "parameter data='mnesia' is not an absolute path")],
)  # fmt: skip
def test_wrong_parameters(node: Node, changed: dict[str, str], code: int, reason: str) -> None:
    answer = node("start", **changed)
    assert answer.code == code
    assert answer.reason.startswith(reason)
    assert node("stop", **changed).code == 0
    assert node.resource.probe(**changed) == 7
    assert not node.database.exists()


def test_a_folder_that_is_not_the_brokers(node: Node) -> None:
    folder = Path(node.resource.parameters["data"])
    folder.mkdir()
    answer = node("start")
    assert answer.code == 5
    assert answer.reason == f"{folder} belongs to root, so rabbitmq cannot use it: chown -R rabbitmq: {folder}"

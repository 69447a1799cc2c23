"""The alarm service's agent, without the service: its command, parameters, and the account in the database."""

import socket
import threading
from pathlib import Path

import pytest
from fake_host import FakeHost

from resource_agents.alarms import Alarms
from resource_agents.ocf import runtime
from resource_agents.ocf.agent import CONFIGURED, DEGRADED, INSTALLED, NOT_RUNNING, OK, Deadline


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def test_the_command(host: FakeHost) -> None:
    assert Alarms({}, "start", Deadline(5, host.monotonic), host).command() == [
        "/opt/vimha/bin/vimha", "alarms", "serve", "--config", "/etc/vimha/alarms.yaml",
    ]  # fmt: skip


def test_the_command_with_a_configuration_of_the_operators_own(host: FakeHost) -> None:
    agent = Alarms({"OCF_RESKEY_local": "/etc/mine.yaml"}, "start", Deadline(5, host.monotonic), host)
    assert agent.command()[-4:] == ["--config", "/etc/vimha/alarms.yaml", "--config", "/etc/mine.yaml"]


def test_it_asks_the_path_that_does_not_look_at_the_store(host: FakeHost) -> None:
    assert Alarms({}, "start", Deadline(5, host.monotonic), host).target == ("127.0.0.1", 8780, "/livez")


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [({"health": "somewhere"}, "parameter health"), ({"config": "alarms.yaml"}, "parameter config"),
     ({"private": "/etc/a b"}, "'b' is not an absolute path"), ({"grants": "x.sql"}, "'x.sql'"),
     ({"local": "x"}, "'x'"), ({"socket": "x"}, "'x'"), ({"state": "x"}, "'x'"),
     ({"binary": "vimha"}, "parameter binary")],
)  # fmt: skip
def test_parameters_that_are_wrong_everywhere(host: FakeHost, parameters: dict[str, str], reason: str) -> None:
    env = {f"OCF_RESKEY_{name}": value for name, value in parameters.items()}
    code, said = runtime.invoke(Alarms, "start", env, host)
    assert (code, reason in said) == (CONFIGURED, True), said
    assert runtime.invoke(Alarms, "stop", env, host)[0] == OK
    assert runtime.invoke(Alarms, "monitor", {**env, "OCF_RESKEY_CRM_meta_interval": "0"}, host)[0] == NOT_RUNNING


@pytest.mark.parametrize(
    ("files", "user", "reason"),
    [((), "root", "/opt/vimha/bin/vimha is not installed"),
     (("/opt/vimha/bin/vimha",), "root", "/etc/vimha/alarms.yaml"),
     (("/opt/vimha/bin/vimha", "/etc/vimha/alarms.yaml"), "root", "/etc/vimha/users"),
     (("/opt/vimha/bin/vimha", "/etc/vimha/alarms.yaml", "/etc/vimha/users"), "no-such-user", "systemd-sysusers")],
)  # fmt: skip
def test_what_a_node_lacks_is_this_nodes_failure(
    host: FakeHost, files: tuple[str, ...], user: str, reason: str
) -> None:
    for file in files:
        host.put(file, "", 0o755)
    env = {"OCF_RESKEY_user": user, "OCF_RESKEY_private": "/etc/vimha/users"}
    code, said = runtime.invoke(Alarms, "start", env, host)
    assert (code, reason in said) == (INSTALLED, True), said


class FakeMariadb(threading.Thread):
    """A server on a unix socket that takes one session: it lets anybody in and notes the statements, which it refuses
    with `error` (0: not at all).
    """

    def __init__(self, path: Path, error: int = 0) -> None:
        super().__init__(daemon=True)
        self._error = error
        self.statements: list[str] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(1)

    def run(self) -> None:
        peer, _ = self._server.accept()
        greeting = b"\x0a10.11-MariaDB\0" + bytes(4) + b"x" * 8 + b"\0" + b"\xff\xf7\x08\x02\0\xff\x81\x15" + bytes(10)
        peer.send(packet(0, greeting + b"y" * 12 + b"\0mysql_native_password\0"))
        answer = packet(2, b"\0\0\0\x02\0\0\0")
        peer.recv(65536)
        while True:
            peer.send(answer)
            said = peer.recv(65536)
            if said[4:5] != b"\x03":
                return
            self.statements.append(said[5:].decode())
            refusal = b"\xff" + self._error.to_bytes(2, "little") + b"#HY000no"
            answer = packet(1, refusal if self._error else b"\0\0\0\x02\0\0\0")


def packet(number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


def granting(host: FakeHost, folder: Path) -> Alarms:
    host.put("/etc/vimha/alarms.sql", "-- Made by vimha\nCREATE DATABASE x\n\nGRANT ALL ON x.* TO y\n")
    env = {"OCF_RESKEY_grants": "/etc/vimha/alarms.sql", "OCF_RESKEY_socket": str(folder / "mysqld.sock")}
    return Alarms(env, "monitor", Deadline(5, host.monotonic), host)


def granted(host: FakeHost, folder: Path) -> Path:
    """Have the agent make the account; where it notes that it has."""
    agent = granting(host, folder)
    assert agent._grant() == OK
    return Path(f"{host.root}{agent.pid_file.removesuffix('.pid')}.granted")


def test_the_account_is_made_once_the_database_takes_it_and_then_not_again(host: FakeHost, tmp_path: Path) -> None:
    assert not granted(host, tmp_path).exists()
    server = FakeMariadb(tmp_path / "mysqld.sock")
    server.start()
    assert granted(host, tmp_path).exists()
    server.join(5)
    assert server.statements == ["CREATE DATABASE x", "GRANT ALL ON x.* TO y"]
    assert granted(host, tmp_path).exists()
    assert len(server.statements) == 2


@pytest.mark.parametrize(("error", "code"), [(1047, OK), (1205, OK), (1044, DEGRADED)])
def test_a_database_that_refuses_the_account_is_told_one_that_is_busy_is_asked_again(
    host: FakeHost, tmp_path: Path, error: int, code: int
) -> None:
    FakeMariadb(tmp_path / "mysqld.sock", error).start()
    agent = granting(host, tmp_path)
    assert agent._grant() == code
    assert ("/etc/vimha/alarms.sql" in agent.reason) == (code == DEGRADED)
    assert not Path(f"{host.root}{agent._granted}").exists()

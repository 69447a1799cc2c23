"""The health endpoint's agent, without the daemon: its command, parameters and reasons. The rest is in tests/agents."""

from pathlib import Path

import pytest
from fake_host import FakeHost

from resource_agents.health import DAEMON, Health
from resource_agents.ocf import runtime
from resource_agents.ocf.agent import CONFIGURED, GENERIC, INSTALLED, NOT_RUNNING, OK, Deadline


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def command(host: FakeHost, **parameters: str) -> list[str]:
    env = {f"OCF_RESKEY_{name}": value for name, value in parameters.items()}
    return Health(env, "start", Deadline(5, host.monotonic), host).command()


def test_the_command_names_only_what_there_is_to_look_at(host: FakeHost) -> None:
    python = ["/usr/bin/python3", "-IS", DAEMON, "--listen"]
    galera = ["--galera", "/run/mysqld/mysqld.sock", "--account", "mysql", "--datadir", "/var/lib/mysql", "--donor"]
    assert command(host, listen="10.77.1.11:8406") == [*python, "10.77.1.11:8406", *galera, "3"]
    for given, seconds in (("yes", "inf"), ("no", "0"), ("10", "10")):
        assert command(host, donor=given) == [*python, "127.0.0.1:8406", *galera, seconds]
    assert "--datadir" not in command(host, datadir="")
    assert command(host, galera="", rabbitmq="10.77.1.11:5672") == [
        *python, "127.0.0.1:8406", "--rabbitmq", "10.77.1.11:5672", "--management", "127.0.0.1:15672",
    ]  # fmt: skip


def test_the_daemon_is_where_the_command_says() -> None:
    assert Path(DAEMON).is_file()


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [({"listen": "somewhere"}, "parameter listen"), ({"listen": "127.0.0.1:8406/health2"}, "has a path"),
     ({"rabbitmq": "broker:5672"}, "parameter rabbitmq"), ({"galera": "mysqld.sock"}, "not an absolute path"),
     ({"datadir": "mysql"}, "parameter datadir"), ({"galera": ""}, "both empty"),
     ({"management": "x"}, "parameter management"),
     ({"donor": "maybe"}, "parameter donor"), ({"donor": "-1"}, "parameter donor"), ({"binary": "python3"}, "binary")],
)  # fmt: skip
def test_parameters_that_are_wrong_everywhere(host: FakeHost, parameters: dict[str, str], reason: str) -> None:
    env = {f"OCF_RESKEY_{name}": value for name, value in parameters.items()}
    code, said = runtime.invoke(Health, "start", env, host)
    assert (code, reason in said) == (CONFIGURED, True), said
    assert runtime.invoke(Health, "stop", env, host)[0] == OK
    probe = {"OCF_RESKEY_CRM_meta_interval": "0"}
    assert runtime.invoke(Health, "monitor", {**env, **probe}, host)[0] == NOT_RUNNING


@pytest.mark.parametrize(
    ("user", "binary", "reason"),
    [("root", False, "/usr/bin/python3 is not installed"), ("no-such-user", True, "user no-such-user does not exist")],
)
def test_what_a_node_lacks_is_this_nodes_failure(host: FakeHost, user: str, binary: bool, reason: str) -> None:
    if binary:
        host.put("/usr/bin/python3", "", 0o755)
    code, said = runtime.invoke(Health, "start", {"OCF_RESKEY_user": user}, host)
    assert (code, reason in said) == (INSTALLED, True)


def test_a_daemon_that_ends_at_once_tells_why(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.put("/usr/bin/python3", "", 0o755)

    def spawn(argv: list[str], user: str, output: str) -> int:
        host.put(output, "cannot listen at 127.0.0.1:9: [Errno 99] Cannot assign requested address\n")
        return 77

    monkeypatch.setattr(host, "spawn", spawn)
    env = {"OCF_RESKEY_listen": "127.0.0.1:9", "OCF_RESKEY_user": ""}
    code, said = runtime.invoke(Health, "start", env, host)
    assert code == GENERIC
    assert said.startswith("it ended as it started: cannot listen at 127.0.0.1:9")

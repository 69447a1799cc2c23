"""The alarm service's agent and the real service: every way in which it can fail, and the code and reason for it."""

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ocf_calls import Resource, free_port, kill, processes

from resource_agents.ocf.http import get_status
from vimha.alarms.service.users import new_token

pytestmark = [pytest.mark.agents, pytest.mark.usefixtures("installed")]
START_MS = 60_000


@pytest.fixture
def alarms(tmp_path: Path) -> Iterator[Resource]:
    yield from service(tmp_path, f"sqlite:///{tmp_path}/alarms.db")


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Resource]:
    """One whose database is not there."""
    yield from service(tmp_path, f"mysql+pymysql://vimha@127.0.0.1:{free_port()}/alarms")


def service(folder: Path, store: str) -> Iterator[Resource]:
    users, config, port = folder / "users", folder / "alarms.yaml", free_port()
    _, digest = new_token()
    users.touch(0o600)
    users.write_text(json.dumps({"tokens": {"one": {"role": "reader", "token": digest}}}))
    config.write_text(json.dumps({"auth": {"files": [str(users)]}, "store": store, "listen": {"port": port}}))
    resource = Resource(
        "alarms", binary=str(Path(sys.executable).with_name("vimha")), config=str(config), private=str(users), user="",
        state=str(folder / "state"), pid=str(folder / "run" / "alarms.pid"), health=f"http://127.0.0.1:{port}",
    )  # fmt: skip
    yield resource
    assert resource("stop", timeout_ms=20_000).code == 0
    assert running(resource) == []


def running(resource: Resource) -> list[int]:
    return processes(f"--config {resource.parameters['config']}")


def asked(resource: Resource, path: str) -> int:
    host, port = resource.parameters["health"].removeprefix("http://").split(":")
    return get_status((host, int(port), path), 5, lambda: 0.0)


def test_a_life(alarms: Resource) -> None:
    assert alarms.probe() == 7
    assert alarms("stop").code == 0
    started = alarms("start", timeout_ms=START_MS)
    assert (started.code, started.reason) == (0, "")
    assert (asked(alarms, "/livez"), asked(alarms, "/healthz"), asked(alarms, "/vimfm/v1/alarms")) == (200, 200, 401)
    assert alarms("monitor").code == 0
    assert alarms.probe() == 0
    first = alarms.pid
    assert alarms("start").code == 0
    assert alarms.pid == first
    assert os.getsid(first) == first
    assert alarms("stop", timeout_ms=20_000).code == 0
    assert alarms.probe() == 7


def test_killed_frozen_and_its_pid_file_lost(alarms: Resource) -> None:
    alarms("start", timeout_ms=START_MS)
    kill(alarms.pid)
    assert alarms("monitor").code == 7
    assert alarms("start", timeout_ms=START_MS).code == 0
    Path(alarms.parameters["pid"]).unlink()
    assert alarms("monitor").code == 0
    (pid,) = running(alarms)
    os.kill(pid, signal.SIGSTOP)
    answer = alarms("monitor")
    assert (answer.code, answer.reason) == (1, "stopped by a signal (state T): it lives, but serves nobody")
    assert alarms("stop", timeout_ms=20_000).code == 0


def test_without_its_database_it_lives_and_is_not_fit(waiting: Resource) -> None:
    assert waiting("start", timeout_ms=START_MS).code == 0
    assert waiting("monitor").code == 0
    assert (asked(waiting, "/livez"), asked(waiting, "/healthz")) == (200, 503)


def test_a_configuration_that_it_refuses_is_told(alarms: Resource) -> None:
    Path(alarms.parameters["config"]).write_text("listen: {port: 99999999}\n")
    answer = alarms("start", timeout_ms=START_MS)
    assert answer.code == 1
    assert "it ended as it started" in answer.reason
    assert "alarms.yaml" in answer.reason


def test_a_port_in_use_by_a_stranger(alarms: Resource) -> None:
    host, port = alarms.parameters["health"].removeprefix("http://").split(":")
    with socket.create_server((host, int(port))):
        answer = alarms("start")
    assert answer.code == 5
    assert answer.reason.startswith("port in use")


def test_its_files_become_its_users(alarms: Resource) -> None:
    """The interpreter of this test is not every user's to run, so it ends at once; its files are given before."""
    assert alarms("start", user="nobody").code == 1
    owners = {Path(alarms.parameters[name]).owner() for name in ("config", "private", "state")}
    assert owners == {"nobody"}

"""The health agent and its real daemon: every way in which it can fail, and the code and reason that follow."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ocf_calls import Resource, free_port, kill, processes

from resource_agents.ocf.http import get_status

pytestmark = [pytest.mark.agents, pytest.mark.usefixtures("installed")]


@pytest.fixture
def health(tmp_path: Path) -> Iterator[Resource]:
    resource = Resource(
        "health", listen=f"127.0.0.1:{free_port()}", galera=str(tmp_path / "mysqld.sock"), account="nobody",
        user="nobody", pid=str(tmp_path / "run" / "health.pid"),
    )  # fmt: skip
    yield resource
    resource("stop")
    assert running(resource) == []


def running(resource: Resource) -> list[int]:
    return processes(f"--listen {resource.parameters['listen']}")


def asked(resource: Resource, path: str) -> int:
    host, port = resource.parameters["listen"].split(":")
    return get_status((host, int(port), path), 5, lambda: 0.0)


def test_a_life(health: Resource) -> None:
    assert health.probe() == 7
    assert health("stop").code == 0
    started = health("start")
    assert (started.code, started.reason) == (0, "")
    assert (asked(health, "/health"), asked(health, "/galera"), asked(health, "/rabbitmq")) == (200, 503, 404)
    assert health("monitor").code == 0
    assert health.probe() == 0
    first = health.pid
    assert health("start").code == 0
    assert health.pid == first
    assert os.getsid(first) == first
    assert Path(f"/proc/{first}").owner() == "nobody"
    assert health("stop").code == 0
    assert running(health) == []
    assert health.probe() == 7
    assert health("start").code == 0


def test_killed(health: Resource) -> None:
    health("start")
    kill(health.pid)
    assert health("monitor").code == 7
    assert health("start").code == 0
    assert health("monitor").code == 0


def test_frozen_is_failed_and_stops(health: Resource) -> None:
    health("start")
    os.kill(health.pid, signal.SIGSTOP)
    answer = health("monitor")
    assert (answer.code, answer.reason) == (1, "stopped by a signal (state T): it lives, but serves nobody")
    assert health("stop").code == 0
    assert running(health) == []


def test_a_lost_pid_file_loses_no_process(health: Resource) -> None:
    health("start")
    Path(health.parameters["pid"]).unlink()
    assert health("monitor").code == 0
    assert health("stop").code == 0
    assert running(health) == []


def test_a_port_in_use_by_a_stranger(health: Resource) -> None:
    host, port = health.parameters["listen"].split(":")
    with socket.create_server((host, int(port))):
        answer = health("start")
    assert answer.code == 5
    assert answer.reason.startswith(f"port in use: a process that this resource did not start listens at {host}:{port}")


def test_an_address_that_is_not_here(health: Resource) -> None:
    answer = health("start", listen="192.0.2.1:8406", timeout_ms=3000)
    assert answer.code == 1
    assert "192.0.2.1:8406" in answer.reason
    assert "Cannot assign requested address" in answer.reason
    assert health("stop", listen="192.0.2.1:8406").code == 0

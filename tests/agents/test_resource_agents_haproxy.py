"""The haproxy agent and a real haproxy: every way in which it can fail, and the code and reason that follow."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ocf_calls import Resource, free_port, kill, processes, wait_until

from resource_agents.ocf.process import parse_stat
from resource_agents.ocf.standing import SLACK_S

pytestmark = [pytest.mark.agents, pytest.mark.usefixtures("installed")]

CONFIG = """defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
frontend health
  bind 127.0.0.1:{health}
  monitor-uri /health
frontend service
  bind 127.0.0.1:{service}
"""


@pytest.fixture
def service_port() -> int:
    return free_port()


@pytest.fixture
def haproxy(tmp_path: Path, service_port: int) -> Iterator[Resource]:
    health, config = free_port(), tmp_path / "haproxy.cfg"
    config.write_text(CONFIG.format(health=health, service=service_port))
    resource = Resource(
        "haproxy", config=str(config), pid=str(tmp_path / "run" / "lb.pid"), health=f"127.0.0.1:{health}"
    )
    yield resource
    resource("stop")
    assert processes(str(config)) == []


def running(resource: Resource) -> list[int]:
    return processes(resource.parameters["config"])


def test_a_life(haproxy: Resource) -> None:
    assert haproxy.probe() == 7
    assert haproxy("stop").code == 0
    started = haproxy("start")
    assert (started.code, started.reason) == (0, "")
    assert started.took_s < 1.0
    assert haproxy("monitor").code == 0
    assert haproxy.probe() == 0
    first = haproxy.pid
    assert haproxy("start").code == 0
    assert haproxy.pid == first
    assert os.getsid(first) == first
    stopped = haproxy("stop")
    assert stopped.code == 0
    assert stopped.took_s < 0.5
    assert running(haproxy) == []
    assert haproxy.probe() == 7
    assert haproxy("stop").code == 0


def test_killed(haproxy: Resource) -> None:
    haproxy("start")
    kill(haproxy.pid)
    assert haproxy("monitor").code == 7
    assert haproxy("start").code == 0
    assert haproxy("monitor").code == 0


def test_frozen_is_failed_at_once_and_stops_at_once(haproxy: Resource) -> None:
    haproxy("start")
    os.kill(haproxy.pid, signal.SIGSTOP)
    answer = haproxy("monitor")
    assert answer.code == 1
    assert answer.reason == "stopped by a signal (state T): it lives, but serves nobody"
    assert answer.took_s < 0.5
    stopped = haproxy("stop")
    assert stopped.code == 0
    assert stopped.took_s < 0.5
    assert running(haproxy) == []


VERDICT = Path("/run/vimha/standing/test-haproxy")
INTERVAL_MS = 250
BUSY_S = 0.5
"""What a busy host may take for the look that follows."""


def test_a_verdict_answers_until_haproxy_is_stopped(haproxy: Resource) -> None:
    haproxy("start")
    assert haproxy("monitor", interval_ms=INTERVAL_MS).code == 0
    looks = int(VERDICT.read_text().split()[1])
    asked = VERDICT.with_name("test-haproxy:asked")
    before = asked.stat().st_mtime_ns
    wait_until(lambda: haproxy("monitor", interval_ms=INTERVAL_MS).code == 0 and asked.stat().st_mtime_ns > before)
    assert haproxy.probe() == 0
    assert haproxy("stop").code == 0
    assert not VERDICT.exists()
    assert not asked.exists()
    assert parse_stat(Path(f"/proc/{looks}/stat").read_text() if Path(f"/proc/{looks}").exists() else "") is None
    assert haproxy("monitor", interval_ms=INTERVAL_MS).code == 7


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, 7), (signal.SIGSTOP, 1)])
def test_a_verdict_hides_a_failure_for_an_interval_at_most(haproxy: Resource, number: int, code: int) -> None:
    haproxy("start")
    assert haproxy("monitor", interval_ms=INTERVAL_MS).code == 0
    os.kill(haproxy.pid, number)
    begun = time.monotonic()
    wait_until(lambda: haproxy("monitor", interval_ms=INTERVAL_MS).code)
    seen_s = time.monotonic() - begun
    assert haproxy("monitor", interval_ms=INTERVAL_MS).code == code
    assert seen_s < INTERVAL_MS / 1000 + SLACK_S + BUSY_S
    assert not VERDICT.exists()


def test_hung_is_failed_within_the_monitors_time(haproxy: Resource) -> None:
    """It lives and accepts connections, as a process stuck in the kernel's hands would, but says nothing."""
    haproxy("start")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = haproxy("monitor", timeout_ms=1000, health=f"127.0.0.1:{silent.getsockname()[1]}")
    assert answer.code == 1
    assert "no answer from" in answer.reason
    assert 0.5 < answer.took_s < 1.0


def test_a_stale_pid_file_is_no_process(haproxy: Resource) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        pid_file = Path(haproxy.parameters["pid"])
        pid_file.parent.mkdir(parents=True)
        for text in (f"{stranger.pid}\n", f"{stranger.pid}\n1\n", "4194303\n1\n", "garbage"):
            pid_file.write_text(text)
            assert haproxy.probe() == 7, text
            assert haproxy("stop").code == 0, text
            assert stranger.poll() is None, text
            pid_file.write_text(text)
            assert haproxy("start").code == 0, text
            assert haproxy("stop").code == 0, text
        stranger.kill()


def test_a_lost_pid_file_loses_no_process(haproxy: Resource) -> None:
    haproxy("start")
    Path(haproxy.parameters["pid"]).unlink()
    assert haproxy("monitor").code == 0
    assert haproxy("stop").code == 0
    assert running(haproxy) == []


def test_the_health_port_in_use_by_a_stranger(haproxy: Resource) -> None:
    """Were it not looked at first, the stranger's answers would pass for haproxy's."""
    host, port = haproxy.parameters["health"].split(":")
    with socket.create_server((host, int(port))):
        assert haproxy.probe() == 7
        answer = haproxy("start")
    assert answer.code == 5
    assert answer.reason.startswith(f"port in use: a process that this resource did not start listens at {host}:{port}")


def test_a_service_port_in_use(haproxy: Resource, service_port: int) -> None:
    with socket.create_server(("127.0.0.1", service_port)):
        answer = haproxy("start")
    assert answer.code == 1
    assert "Address already in use" in answer.reason
    assert str(service_port) in answer.reason


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"binary": "/usr/sbin/no-haproxy"}, "/usr/sbin/no-haproxy is not installed on this node"),
     ({"config": "/nowhere/haproxy.cfg"}, "configuration /nowhere/haproxy.cfg cannot be read on this node")],
)  # fmt: skip
def test_what_this_node_lacks(haproxy: Resource, changed: dict[str, str], reason: str) -> None:
    answer = haproxy("start", **changed)
    assert answer.code == 5
    assert answer.reason.startswith(reason)
    assert haproxy.probe(**changed) == 7
    assert haproxy("stop", **changed).code == 0
    assert haproxy("validate-all", **changed).code == 0


def test_a_bad_configuration_is_told_with_its_line(haproxy: Resource) -> None:
    config = Path(haproxy.parameters["config"])
    config.write_text(config.read_text() + "  no-such-keyword\n")
    answer = haproxy("start")
    assert answer.code == 5
    assert f"{config}:11" in answer.reason
    assert "no-such-keyword" in answer.reason


def test_a_configuration_without_health_frontend(haproxy: Resource) -> None:
    answer = haproxy("start", health=f"127.0.0.1:{free_port()}", timeout_ms=1500)
    assert answer.code == 1
    assert answer.reason.startswith("started, but not healthy in time: http://127.0.0.1:")


def test_unwell_while_the_health_frontend_says_so(haproxy: Resource) -> None:
    haproxy("start")
    answer = haproxy("monitor", health=haproxy.parameters["health"] + "/elsewhere")
    assert answer.code == 1
    assert "answers 503" in answer.reason


def test_a_restart_while_connections_linger(haproxy: Resource, service_port: int) -> None:
    haproxy("start")
    with socket.create_connection(("127.0.0.1", service_port)):
        assert haproxy("stop").code == 0
        assert haproxy("start").code == 0
    wait_until(lambda: haproxy("monitor").code == 0)

"""The glance-api agent and a real glance-api: sqlite, no keystone, files in a folder, two workers."""

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ocf_calls import Resource, free_port, kill, processes, wait_until

from vimha.process import checked, run

pytestmark = [
    pytest.mark.agents,
    pytest.mark.usefixtures("installed"),
    pytest.mark.skipif(not shutil.which("glance-api"), reason="needs the Debian package glance-api"),
]

CONFIG = """[DEFAULT]
workers = 2
enabled_backends = files:file
[database]
connection = sqlite:///{folder}/glance.db
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = {folder}/images
"""


@pytest.fixture(scope="module")
def folder(root_user: None) -> Iterator[Path]:
    """Configuration and database of a glance-api of our own, all of them the user glance's.

    Not under pytest's own folder: only root may enter that.
    """
    with tempfile.TemporaryDirectory(prefix="vimha-glance-") as name:
        folder = Path(name)
        (folder / "images").mkdir()
        config = folder / "glance-api.conf"
        config.write_text(CONFIG.format(folder=folder))
        checked(run(["glance-manage", "--config-file", str(config), "db_sync"], timeout_s=120))
        for path in [folder, *folder.rglob("*")]:
            shutil.chown(path, "glance")
        yield folder


@pytest.fixture
def glance(folder: Path) -> Iterator[Resource]:
    port = free_port()
    (folder / "bind.conf").write_text(f"[DEFAULT]\nbind_host = 127.0.0.1\nbind_port = {port}\n")
    resource = Resource(
        "glance-api", config=str(folder / "glance-api.conf"), bind_config=str(folder / "bind.conf"),
        log_file=str(folder / "api.log"), pid=str(folder / "glance.pid"), url=f"http://127.0.0.1:{port}/healthcheck",
    )  # fmt: skip
    yield resource
    resource("stop", timeout_ms=10000)
    assert processes(str(folder / "bind.conf")) == []


def running(resource: Resource) -> list[int]:
    return processes(resource.parameters["bind_config"])


def start(resource: Resource) -> None:
    answer = resource("start", timeout_ms=30000)
    assert answer.code == 0, answer


def test_a_life(glance: Resource) -> None:
    assert glance.probe() == 7
    start(glance)
    assert glance("monitor").code == 0
    assert glance.probe() == 0
    assert len(running(glance)) == 3
    assert Path(f"/proc/{glance.pid}").owner() == "glance"
    assert all(os.getsid(pid) == glance.pid for pid in running(glance))
    stopped = glance("stop")
    assert stopped.code == 0
    assert stopped.took_s < 3
    assert running(glance) == []


def test_workers_of_a_killed_parent_go_with_the_stop(glance: Resource) -> None:
    start(glance)
    kill(glance.pid)
    assert running(glance), "the workers live on and hold the port"
    assert glance("monitor").code == 7
    assert glance("stop").code == 0
    assert running(glance) == []
    start(glance)


def test_frozen(glance: Resource) -> None:
    start(glance)
    for pid in running(glance):
        os.kill(pid, signal.SIGSTOP)
    answer = glance("monitor", timeout_ms=1000)
    assert answer.code == 1
    assert answer.took_s < 1.0
    stopped = glance("stop")
    assert stopped.code == 0
    assert stopped.took_s < 1.0


def test_frozen_workers_alone_are_found_by_the_health_check(glance: Resource) -> None:
    start(glance)
    for pid in running(glance):
        if pid != glance.pid:
            os.kill(pid, signal.SIGSTOP)
    answer = glance("monitor", timeout_ms=1000)
    assert answer.code == 1
    assert "no answer from http://127.0.0.1:" in answer.reason
    assert answer.took_s < 1.0


def test_port_in_use(glance: Resource) -> None:
    port = int(glance.parameters["url"].split(":")[2].partition("/")[0])
    with socket.create_server(("127.0.0.1", port)):
        answer = glance("start", timeout_ms=10000)
    assert answer.code == 5
    assert answer.reason.startswith("port in use")


def test_a_configuration_that_glance_refuses(glance: Resource, folder: Path) -> None:
    bind = folder / "bind.conf"
    bind.write_text("[DEFAULT]\nbind_port = many\n")
    answer = glance("start", timeout_ms=20000)
    assert answer.code == 1
    assert answer.reason.startswith("it ended as it started: ")
    assert "bind_port" in answer.reason


@pytest.mark.parametrize(
    ("changed", "code", "reason"),
    [({"binary": "/usr/bin/no-glance"}, 5, "/usr/bin/no-glance is not installed"),
     ({"bind_config": "/nowhere/bind.conf"}, 5, "configuration /nowhere/bind.conf cannot be read"),
     ({"user": "nobody-at-all"}, 5, "user nobody-at-all does not exist"),
     ({"url": "http://glance:9292/healthcheck"}, 6, "parameter url: 'http://glance:9292/healthcheck' has no numeric")],
)  # fmt: skip
def test_what_cannot_start(glance: Resource, changed: dict[str, str], code: int, reason: str) -> None:
    answer = glance("start", **changed)
    assert answer.code == code
    assert answer.reason.startswith(reason)
    assert glance.probe(**changed) == 7
    assert glance("stop", **changed).code == 0


def test_stop_during_a_start(glance: Resource) -> None:
    """Pacemaker kills a start that overruns, and stops: nothing of it may be left."""
    answer = glance("start", timeout_ms=400)
    assert answer.code == 1
    assert answer.reason.startswith("started, but not healthy in time: ")
    assert glance("stop").code == 0
    wait_until(lambda: running(glance) == [])

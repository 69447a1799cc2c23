"""The galera agent and one real member: each way in which it can fail, and the code and reason that follow."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from galera_alone import datadir, lone_member, refused, sql, start
from galera_nodes import NEEDS_GALERA
from ocf_calls import Resource, kill, wait_until

from resource_agents.mysql.client import Connection

pytestmark = NEEDS_GALERA


@pytest.fixture
def member(installed: None) -> Iterator[Resource]:
    with lone_member() as member:
        yield member


@pytest.fixture
def running(member: Resource) -> Resource:
    start(member)
    return member


def test_a_life(member: Resource) -> None:
    assert member.probe() == 7
    assert member("stop").code == 0
    start(member)
    assert member.probe() == 0
    first, uuid = member.pid, sql(member, "SHOW STATUS LIKE 'wsrep_local_state_uuid'")
    assert Path(f"/proc/{first}").owner() == "mysql"
    start(member)
    assert member.pid == first
    sql(member, "CREATE DATABASE app")
    assert member("stop", timeout_ms=20000).code == 0
    assert "safe_to_bootstrap: 1" in (datadir(member) / "grastate.dat").read_text()
    assert member.probe() == 7
    start(member)
    assert sql(member, "SHOW STATUS LIKE 'wsrep_local_state_uuid'") == uuid
    assert sql(member, "SHOW DATABASES LIKE 'app'") == [("app",)]


def test_killed_or_with_grastate_lost_it_keeps_its_cluster(running: Resource) -> None:
    uuid = sql(running, "SHOW STATUS LIKE 'wsrep_local_state_uuid'")
    for lose in (False, True):
        kill(running.pid)
        assert running("monitor").code == 7
        assert running("stop").code == 0
        if lose:
            (datadir(running) / "grastate.dat").unlink()
        start(running)
        assert sql(running, "SHOW STATUS LIKE 'wsrep_local_state_uuid'") == uuid


def test_frozen_is_failed_and_stops_at_once(running: Resource) -> None:
    os.kill(running.pid, signal.SIGSTOP)
    answer = running("monitor")
    assert (answer.code, answer.reason) == (1, "stopped by a signal (state T): it lives, but serves nobody")
    stopped = running("stop", timeout_ms=20000)
    assert stopped.code == 0
    assert stopped.took_s < 5


def test_hung_is_failed_within_the_monitors_time(running: Resource) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{folder}/s")
        silent.listen()
        pid_file = running.parameters["pid"]
        shutil.copy(pid_file, f"{folder}/pid")
        answer = running("monitor", timeout_ms=1000, socket=f"{folder}/s", pid=f"{folder}/pid")
    assert answer.code == 1
    assert "does not answer" in answer.reason
    assert answer.took_s < 1.5


def test_a_donor_is_degraded(running: Resource) -> None:
    sql(running, "SET GLOBAL wsrep_desync = ON")
    wait_until(lambda: running("monitor").code == 190)
    assert running("monitor").reason.startswith("donor: ")
    sql(running, "SET GLOBAL wsrep_desync = OFF")
    wait_until(lambda: running("monitor").code == 0)


def test_too_many_connections_are_no_reason_to_kill_it(running: Resource) -> None:
    sql(running, "SET GLOBAL max_connections = 10")
    held = [Connection.connect(running.parameters["socket"], "root", "", 5) for _ in range(11)]
    answer = running("monitor")
    assert answer.code == 190
    assert "raise max_connections" in answer.reason
    for connection in held:
        connection.close()
    wait_until(lambda: running("monitor").code == 0)


def test_a_full_disk(member: Resource) -> None:
    folder = datadir(member)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700,uid=mysql", "none", folder], check=True)
    try:
        assert refused(member).startswith("disk full: ")
        assert list(folder.iterdir()) == []
    finally:
        subprocess.run(["umount", folder], check=True)

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
from galera_alone import member_parameters
from ocf_calls import Resource, kill, processes, wait_until

from resource_agents.mysql.client import Connection

pytestmark = [
    pytest.mark.agents,
    pytest.mark.usefixtures("installed"),
    pytest.mark.skipif(not shutil.which("mariadbd", path="/usr/sbin"), reason="needs mariadb-server and galera-4"),
]
START_MS = 60000


@pytest.fixture
def member(installed: None) -> Iterator[Resource]:
    """A member that was never started; its folder is in /var/tmp, for mysql may not enter pytest's own."""
    with tempfile.TemporaryDirectory(prefix="vimha-member-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        resource = Resource("galera", **member_parameters(folder))
        yield resource
        resource("stop", timeout_ms=20000)
        assert processes(resource.parameters["datadir"]) == []


@pytest.fixture
def running(member: Resource) -> Resource:
    start(member)
    return member


def start(member: Resource, **changed: str) -> None:
    answer = member("start", timeout_ms=START_MS, **changed)
    assert answer.code == 0, answer
    wait_until(lambda: member("monitor", **changed).code == 0, 30)


def refused(member: Resource, **changed: str) -> str:
    """The reason of a start that this node cannot do; it has touched nothing, and nothing is left of it."""
    before = files(member)
    answer = member("start", timeout_ms=START_MS, **changed)
    assert answer.code == 5, answer
    assert member("stop", timeout_ms=20000, **changed).code == 0
    assert processes(member.parameters["datadir"]) == []
    assert files(member) == before
    return answer.reason


def files(member: Resource) -> dict[str, int]:
    """The tables' files and their sizes."""
    folder = Path(member.parameters["datadir"])
    return {str(path): path.stat().st_size for path in folder.rglob("*.ibd")}


def sql(member: Resource, text: str, user: str = "root", password: str = "") -> list[tuple[str, ...]]:
    with Connection.connect(member.parameters["socket"], user, password, 5) as connection:
        return connection.query(text)


def grastate(member: Resource) -> Path:
    return Path(member.parameters["datadir"]) / "grastate.dat"


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
    assert "safe_to_bootstrap: 1" in grastate(member).read_text()
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
            grastate(running).unlink()
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


def test_wrong_credentials_refuse_a_start_and_leave_a_running_member_alone(running: Resource, tmp_path: Path) -> None:
    answer = running("monitor", account="nobody-at-all")
    assert answer.code == 190
    assert "Access denied" in answer.reason
    assert "unix_socket or by the password" in answer.reason
    answer = running("start", account="nobody-at-all")
    assert answer.code == 5
    secret = tmp_path / "client.cnf"
    secret.write_text("[client]\nuser = watcher\npassword = 'p w'\n")
    assert running("monitor", defaults_file=str(secret)).reason.endswith(f"chmod 0600 {secret}")
    secret.chmod(0o600)
    sql(running, "CREATE USER watcher IDENTIFIED BY 'p w'")
    assert running("monitor", defaults_file=str(secret)).code == 0
    sql(running, "SET PASSWORD FOR watcher = PASSWORD('other')")
    assert running("monitor", defaults_file=str(secret)).code == 190


def test_too_many_connections_are_no_reason_to_kill_it(running: Resource) -> None:
    sql(running, "SET GLOBAL max_connections = 10")
    held = [Connection.connect(running.parameters["socket"], "root", "", 5) for _ in range(11)]
    answer = running("monitor")
    assert answer.code == 190
    assert "raise max_connections" in answer.reason
    for connection in held:
        connection.close()
    wait_until(lambda: running("monitor").code == 0)


def test_a_corrupt_grastate_is_refused_with_the_remedy(running: Resource) -> None:
    running("stop", timeout_ms=20000)
    whole = grastate(running).read_text()
    grastate(running).write_text(whole[:60])
    assert refused(running).startswith(f"corrupt {grastate(running)}: its ")
    assert grastate(running).read_text() == whole[:60]
    grastate(running).write_text(whole.replace("uuid:    ", "uuid:    f").replace("\nseqno", "x\nseqno"))
    assert "move it away" in refused(running)


def test_a_grastate_of_another_cluster_is_refused(running: Resource) -> None:
    kill(running.pid)
    running("stop")
    foreign = "2c0cdedd-e65e-11f1-9d62-83c42b644701"
    lines = grastate(running).read_text().splitlines()
    grastate(running).write_text("\n".join([*lines[:2], f"uuid:    {foreign}", *lines[3:]]) + "\n")
    assert f"grastate.dat is of cluster {foreign}" in refused(running)


def test_an_unknown_option_is_told(member: Resource) -> None:
    config = Path(member.parameters["config"])
    start(member)
    member("stop", timeout_ms=20000)
    config.write_text(config.read_text() + "no_such_option = 1\n")
    assert refused(member).startswith("wrong configuration: ")


def test_an_unreadable_datadir(running: Resource) -> None:
    running("stop", timeout_ms=20000)
    datadir = Path(running.parameters["datadir"])
    shutil.chown(datadir, "root")
    assert refused(running).startswith(f"datadir {datadir} is root's with mode 0700, so mysql cannot use it: chown")
    shutil.chown(datadir, "mysql")
    assert refused(running, datadir="/nowhere/mysql").startswith("datadir /nowhere/mysql does not exist")


@pytest.mark.parametrize("which", ["port", "gmcast.listen_addr"])
def test_a_port_in_use(member: Resource, which: str) -> None:
    text = Path(member.parameters["config"]).read_text()
    sign = {"port": "port = ", "gmcast.listen_addr": "listen_addr=tcp://127.0.0.1:"}[which]
    port = int(text.partition(sign)[2].split()[0].strip(";"))
    with socket.create_server(("127.0.0.1", port)):
        answer = member("start", timeout_ms=START_MS)
        if answer.code == 0:
            wait_until(lambda: member("monitor").code == 1, 30)
            answer = member("monitor")
    assert answer.reason.startswith("port in use, ss -ltnp names by whom: "), answer


def test_a_full_disk(member: Resource) -> None:
    datadir = Path(member.parameters["datadir"])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700,uid=mysql", "none", datadir], check=True)
    try:
        assert refused(member).startswith("disk full: ")
        assert list(datadir.iterdir()) == []
    finally:
        subprocess.run(["umount", datadir], check=True)


def test_what_is_not_empty_is_not_initialised(member: Resource) -> None:
    keep = Path(member.parameters["datadir"]) / "precious.txt"
    keep.write_text("data\n")
    answer = member("start", timeout_ms=START_MS)
    assert answer.code in (1, 5)
    assert keep.read_text() == "data\n"
    assert not (keep.parent / "mysql").exists()


@pytest.mark.parametrize(
    ("changed", "code", "reason"),
    [({"binary": "/usr/sbin/no-mariadbd"}, 5, "/usr/sbin/no-mariadbd is not installed"),
     ({"config": "/nowhere/galera.cnf"}, 5, "configuration /nowhere/galera.cnf cannot be read"),
     ({"user": "nobody-at-all"}, 5, "user nobody-at-all does not exist"),
     ({"members": "elsewhere=10.0.0.1"}, 5, "parameter members does not name this node"),
     ({"members": "control-1"}, 6, "parameter members: 'control-1' is not NAME=ADDRESS"),
     ({"members": ""}, 6, "parameter members is required"),
     ({"datadir": "mysql"}, 6, "parameter datadir='mysql' is not an absolute path"),
     ({"patience": "long"}, 6, "parameter patience='long' is not a whole number")],
)  # fmt: skip
def test_what_cannot_start(member: Resource, changed: dict[str, str], code: int, reason: str) -> None:
    answer = member("start", **changed)
    assert (answer.code, answer.reason.startswith(reason)) == (code, True), answer
    assert member.probe(**changed) == 7
    assert member("stop", **changed).code == 0
    assert list(Path(member.parameters["datadir"]).iterdir()) == []

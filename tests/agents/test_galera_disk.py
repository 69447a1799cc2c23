"""A real Galera member whose disk fills up: what its clients, its agent, the health endpoint and Pacemaker see."""

import http.client
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from galera_alone import member_parameters
from galera_nodes import NEEDS_GALERA
from ocf_calls import Resource, free_port, kill, wait_until
from small_disk import fill, small_disk

from resource_agents.mysql.client import Connection, SqlError

pytestmark = NEEDS_GALERA
START_MS = 60000
DISK_MIB = 400
"""A new member takes 150 MiB."""
NO_ROOM = 1114
"""The table is full (ER_RECORD_FILE_FULL)."""


@pytest.fixture(scope="module")
def member(installed: None) -> Iterator[Resource]:
    """A running member whose datadir is on a small file system, with a table; in /var/tmp, where mysql may go."""
    with tempfile.TemporaryDirectory(prefix="vimha-disk-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        resource = Resource("galera", **member_parameters(folder))
        with small_disk(datadir(resource), DISK_MIB, "mysql"):
            start(resource)
            sql(resource, "CREATE DATABASE app")
            sql(resource, "CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(4000))")
            yield resource
            assert resource("stop", timeout_ms=20000).code == 0


@pytest.fixture
def health(member: Resource, tmp_path: Path) -> Iterator[Resource]:
    resource = Resource(
        "health", listen=f"127.0.0.1:{free_port()}", galera=member.parameters["socket"],
        datadir=member.parameters["datadir"], pid=str(tmp_path / "health.pid"),
    )  # fmt: skip
    assert resource("start").code == 0
    yield resource
    resource("stop")


def datadir(member: Resource) -> Path:
    return Path(member.parameters["datadir"])


def start(member: Resource) -> None:
    answer = member("start", timeout_ms=START_MS)
    assert answer.code == 0, answer
    wait_until(lambda: member("monitor").code == 0, 30)


def sql(member: Resource, text: str) -> list[tuple[str, ...]]:
    with Connection.connect(member.parameters["socket"], "root", "", 5) as connection:
        return connection.query(text, 10)


def count(member: Resource) -> int:
    return int(sql(member, "SELECT COUNT(*) FROM app.t")[0][0])


def insert_until_refused(member: Resource) -> int:
    """How many rows were acknowledged before one was refused."""
    for number in range(10000):
        try:
            sql(member, "INSERT INTO app.t (note) VALUES (REPEAT('x', 4000))")
        except SqlError as error:
            assert error.code == NO_ROOM
            return number
    raise AssertionError("a full disk takes everything")


def asked(health: Resource, path: str) -> str:
    connection = http.client.HTTPConnection(health.parameters["listen"], timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    connection.close()
    return f"{answer.status} {answer.reason}"


def test_clients_are_sent_away_before_a_write_is_refused(member: Resource, health: Resource) -> None:
    wait_until(lambda: asked(health, "/galera") == "200 OK")
    filler = fill(datadir(member), 60)
    sql(member, "INSERT INTO app.t (note) VALUES (REPEAT('x', 4000))")
    wait_until(lambda: asked(health, "/galera").startswith("503 disk full: "))
    assert f"MiB free under {datadir(member)}, 64 MiB needed" in asked(health, "/galera")
    filler.unlink()
    wait_until(lambda: asked(health, "/galera") == "200 OK")


def test_a_full_member_is_degraded_and_says_what_to_do_and_is_well_again_with_room(
    member: Resource, health: Resource
) -> None:
    before = count(member)
    filler = fill(datadir(member))
    acknowledged = insert_until_refused(member)
    answer = member("monitor")
    assert answer.code == 190
    assert answer.reason.startswith(f"disk full: 0 MiB free under {datadir(member)}, 64 MiB needed: make room there; ")
    assert asked(health, "/galera").startswith("503 disk full: ")
    assert asked(health, "/galera/any") == "200 OK", "it still answers readers, when nobody else has room either"
    assert count(member) == before + acknowledged
    filler.unlink()
    assert member("monitor").code == 0
    sql(member, "INSERT INTO app.t (note) VALUES (REPEAT('x', 4000))")
    assert count(member) == before + acknowledged + 1


@pytest.mark.parametrize("killed", [False, True])
def test_on_a_full_disk_it_stops_and_a_start_is_refused_without_a_touch(member: Resource, killed: bool) -> None:
    rows, filler = count(member), fill(datadir(member))
    if killed:
        kill(member.pid)
        assert member("monitor").code == 7
    assert member("stop", timeout_ms=20000).code == 0
    before = {path: (path.stat().st_size, path.stat().st_mtime) for path in datadir(member).rglob("*")}
    for _ in range(2):
        answer = member("start", timeout_ms=START_MS)
        assert answer.code == 5
        assert answer.reason.startswith("disk full: ")
        assert f"MiB free under {datadir(member)}, 64 MiB needed: make room there" in answer.reason
        assert member("stop").code == 0
    assert {path: (path.stat().st_size, path.stat().st_mtime) for path in datadir(member).rglob("*")} == before
    filler.unlink()
    start(member)
    assert count(member) == rows

"""The galera agent where something is wrong with its node: a real member, the code and reason, data untouched."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from galera_alone import START_MS, datadir, lone_member, refused, sql, start
from galera_nodes import NEEDS_GALERA
from ocf_calls import Resource, processes, wait_until

from resource_agents.wsrep.state import parse_saved

pytestmark = NEEDS_GALERA
FOREIGN = "2c0cdedd-e65e-11f1-9d62-83c42b644701"


@pytest.fixture
def fresh(installed: None) -> Iterator[Resource]:
    """A member that was never started."""
    with lone_member() as member:
        yield member


@pytest.fixture(scope="module")
def used(installed: None) -> Iterator[Resource]:
    with lone_member() as member:
        start(member)
        assert member("stop", timeout_ms=20000).code == 0
        yield member


@pytest.fixture
def member(used: Resource) -> Iterator[Resource]:
    """A member with data, stopped. Each test puts right what it spoiled, and then it starts with its cluster's UUID."""
    state = datadir(used) / "grastate.dat"
    before = state.read_text()
    uuid = parse_saved(before).uuid
    yield used
    used("stop", timeout_ms=20000)
    after = state.read_text()
    state.write_text(after if uuid in after else before)
    assert uuid in after


@pytest.fixture
def running(member: Resource) -> Resource:
    start(member)
    return member


@contextmanager
def configured(member: Resource, old: str, new: str) -> Iterator[None]:
    """Its option file with `new` for `old`."""
    config = Path(member.parameters["config"])
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    try:
        yield
    finally:
        config.write_text(text)


@contextmanager
def owned_by_root(path: Path) -> Iterator[None]:
    """As a backup that root restored leaves it."""
    mode = path.stat().st_mode & 0o777
    shutil.chown(path, "root", "root")
    path.chmod(0o700 if path.is_dir() else 0o600)
    try:
        yield
    finally:
        shutil.chown(path, "mysql", "mysql")
        path.chmod(mode)


def test_wrong_credentials_refuse_a_start_and_leave_a_running_member_alone(running: Resource, tmp_path: Path) -> None:
    answer = running("monitor", account="nobody-at-all")
    assert answer.code == 190
    assert "Access denied" in answer.reason
    assert "unix_socket or by the password" in answer.reason
    answer = running("start", account="nobody-at-all")
    assert answer.code == 5
    secret = tmp_path / "client.cnf"
    secret.write_text("[client]\nuser = watcher\npassword = 'p w'\n")
    secret.chmod(0o600)
    sql(running, "CREATE OR REPLACE USER watcher IDENTIFIED BY 'p w'")
    assert running("monitor", defaults_file=str(secret)).code == 0
    sql(running, "SET PASSWORD FOR watcher = PASSWORD('other')")
    assert running("monitor", defaults_file=str(secret)).code == 190


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [("", 0, "does not exist on this node: copy it from another one, mode 0600"),
     ("[client]\nuser = root\n", 0o644, "has mode 0644: chmod 0600 "),
     ("[mysqld]\nuser = root\n", 0o600, "names no user in its section [client]: write user = and password =")],
    ids=["missing", "readable by all", "without a user"],
)  # fmt: skip
def test_a_defaults_file_that_is_wrong(member: Resource, tmp_path: Path, text: str, mode: int, reason: str) -> None:
    """It refuses a start before mariadbd runs; a member that runs serves its clients well, and is left alone."""
    path = tmp_path / "client.cnf"
    if text:
        path.write_text(text)
        path.chmod(mode)
    wrong = {"defaults_file": str(path)}
    assert refused(member, **wrong).startswith(f"defaults_file {path} {reason}")
    start(member)
    pid = member.pid
    answer = member("monitor", **wrong)
    assert (answer.code, reason in answer.reason) == (190, True), answer
    assert member.pid == pid


@pytest.mark.parametrize(
    "spoil",
    [lambda text: text[:60], lambda text: text[::-1],
     lambda text: text.replace("uuid:    ", "uuid:    f"), lambda text: text.replace("seqno:   ", "seqno:   x")],
    ids=["cut", "garbage", "uuid", "seqno"],
)  # fmt: skip
def test_a_corrupt_grastate_is_refused_and_made_again_when_it_is_moved_away(
    member: Resource, spoil: Callable[[str], str]
) -> None:
    state = datadir(member) / "grastate.dat"
    whole = state.read_text()
    spoiled = spoil(whole)
    state.write_text(spoiled)
    reason = refused(member)
    assert reason.startswith(f"corrupt {state}: its ")
    assert reason.endswith("move it away: it is made again from the position in the database")
    assert state.read_text() == spoiled
    state.unlink()
    start(member)
    assert sql(member, "SHOW STATUS LIKE 'wsrep_cluster_state_uuid'")[0][1] == parse_saved(whole).uuid


def test_an_empty_grastate_is_as_good_as_none(member: Resource) -> None:
    state = datadir(member) / "grastate.dat"
    uuid = parse_saved(state.read_text()).uuid
    state.write_text("")
    start(member)
    assert sql(member, "SHOW STATUS LIKE 'wsrep_cluster_state_uuid'")[0][1] == uuid


def test_a_first_start_that_failed_can_be_repeated(fresh: Resource) -> None:
    with configured(fresh, "gcache.size=16M", "gcache.size=lots"):
        assert fresh("start", timeout_ms=START_MS).code == 5
        assert fresh("stop").code == 0
    start(fresh)


def test_a_corrupt_view_is_no_obstacle(member: Resource) -> None:
    (datadir(member) / "gvwstate.dat").write_bytes(os.urandom(200))
    shutil.chown(datadir(member) / "gvwstate.dat", "mysql", "mysql")
    start(member)


def test_a_grastate_of_another_cluster_is_refused(member: Resource) -> None:
    state = datadir(member) / "grastate.dat"
    whole = state.read_text()
    uuid = parse_saved(whole).uuid
    state.write_text(whole.replace(uuid, FOREIGN))
    reason = refused(member)
    assert reason.startswith(f"{state} is of cluster {FOREIGN}, the database of {uuid}: one of them was copied")
    assert reason.endswith("move grastate.dat away to trust the database")
    state.write_text(whole)


@pytest.mark.parametrize("name", ["", "ibdata1", "mysql", "grastate.dat", "aria_log_control"])
def test_a_datadir_that_mysql_cannot_use(member: Resource, name: str) -> None:
    path = datadir(member) / name
    with owned_by_root(path):
        reason = refused(member)
    assert " is root's" in reason
    assert "so mysql cannot use it: chown " in reason


def test_a_table_that_mysql_cannot_read(member: Resource) -> None:
    with owned_by_root(datadir(member) / "mysql" / "innodb_index_stats.ibd"), owned_by_root(datadir(member).parent):
        assert refused(member).startswith(
            "a file's owner or mode is wrong, the whole datadir must be mariadbd's user's: "
        )


def test_a_datadir_that_is_not_there(member: Resource) -> None:
    assert refused(member, datadir="/nowhere/mysql").startswith(
        "datadir /nowhere/mysql does not exist on this node: mount"
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [("[mysqld]\n", "[mysqld]\nno_such_option = 1\n", "wrong configuration: "),
     ("[mysqld]\n", "[mysqld]\nno such option\n", "wrong configuration: "),
     ("[mysqld]\n", "[mysqld\n", "wrong configuration: "),
     ("binlog_format = ROW", "binlog_format = SIDEWAYS", "wrong configuration: "),
     ("innodb_buffer_pool_size = 64M", "innodb_buffer_pool_size = big", "wrong configuration: "),
     ("wsrep_on = ON", "wsrep_on = OFF", "wrong configuration, wsrep_on must be ON: "),
     ("gcache.size=16M", "gcache.size=16M; evs.no_such=PT1S",
      "wrong configuration, wsrep_provider_options: WSREP: Unrecognized parameter 'evs.no_such'"),
     ("gcache.size=16M", "gcache.size=lots",
      "wrong configuration, wsrep_provider_options: WSREP: Invalid value 'lots'"),
     ("gcache.size=16M", "evs.suspect_timeout=soon",
      "wrong configuration, wsrep_provider_options: WSREP: failed to open gcomm backend connection: 22: Bad value"),
     ("libgalera_smm.so", "libnone.so", "wsrep_provider cannot be loaded, install galera-4: "),
     ("tmpdir = ", "tmpdir = /nowhere", "wrong configuration, what it names is not there: ")],
)  # fmt: skip
def test_a_wrong_configuration_is_told(member: Resource, old: str, new: str, reason: str) -> None:
    with configured(member, old, new):
        told = refused(member)
    assert told.startswith(reason)
    assert "empty" not in told, "never advise to throw data away"


def test_what_is_found_after_start_returned_is_repeated_by_the_next_one(member: Resource) -> None:
    """A monitor can only say "failed" (1), which Pacemaker mends by stop and start, for ever."""
    with configured(member, "[mysqld]\n", "[mysqld]\nno_such_option = 1\n"):
        assert member("start", patience="0", timeout_ms=START_MS).code == 0
        wait_until(lambda: member("monitor").code == 1, 30)
        assert member("stop").code == 0
        assert refused(member, patience="0").startswith("wrong configuration: ")
    start(member)


@pytest.mark.parametrize("which", ["port", "gmcast.listen_addr"])
def test_a_port_in_use(member: Resource, which: str) -> None:
    text = Path(member.parameters["config"]).read_text()
    sign = {"port": "port = ", "gmcast.listen_addr": "listen_addr=tcp://127.0.0.1:"}[which]
    port = int(text.partition(sign)[2].split()[0].strip(";"))
    with socket.create_server(("127.0.0.1", port)):
        assert refused(member, patience="20").startswith("port in use, ss -ltnp names by whom: ")


def test_what_is_not_empty_is_not_initialised(fresh: Resource) -> None:
    keep = datadir(fresh) / "precious.txt"
    keep.write_text("data\n")
    assert refused(fresh).startswith(f"datadir {keep.parent} holds files, precious.txt for one, but no database: ")
    assert [path.name for path in keep.parent.iterdir()] == ["precious.txt"]
    assert keep.read_text() == "data\n"


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
def test_what_cannot_start(fresh: Resource, changed: dict[str, str], code: int, reason: str) -> None:
    answer = fresh("start", **changed)
    assert (answer.code, answer.reason.startswith(reason)) == (code, True), answer
    assert fresh.probe(**changed) == 7
    assert fresh("stop", **changed).code == 0
    assert list(datadir(fresh).iterdir()) == []
    assert processes(fresh.parameters["datadir"]) == []

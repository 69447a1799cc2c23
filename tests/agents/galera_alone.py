"""One Galera member on this host's loopback, for tests of the agent's every answer: real mariadbd, a cluster of one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ocf_calls import Resource, free_port, processes, wait_until

from resource_agents.mysql.client import Connection

START_MS = 60000
CONFIG = """[mysqld]
bind_address = 127.0.0.1
port = {sql}
tmpdir = {folder}/tmp
skip_name_resolve = ON
binlog_format = ROW
innodb_autoinc_lock_mode = 2
innodb_buffer_pool_size = 64M
wsrep_on = ON
wsrep_provider = /usr/lib/galera/libgalera_smm.so
wsrep_cluster_name = vimha-test
wsrep_cluster_address = gcomm://127.0.0.1:{group}
wsrep_node_name = only
wsrep_node_address = 127.0.0.1
wsrep_sst_method = rsync
wsrep_provider_options = "gmcast.listen_addr=tcp://127.0.0.1:{group}; gcache.size=16M; pc.recovery=yes"
"""


def member_parameters(folder: Path) -> dict[str, str]:
    """The agent's parameters for a member of its own in `folder`, which mysql must be able to enter."""
    for name in ("data", "tmp", "sock", "log"):
        (folder / name).mkdir()
        shutil.chown(folder / name, "mysql")
    (folder / "data").chmod(0o700)
    sql, group = free_port(), free_port()
    (folder / "galera.cnf").write_text(CONFIG.format(folder=folder, sql=sql, group=group))
    return {
        "config": str(folder / "galera.cnf"), "datadir": str(folder / "data"), "socket": str(folder / "sock" / "s"),
        "log": str(folder / "log" / "error.log"), "pid": str(folder / "g.pid"),
        "members": f"{os.uname().nodename}=127.0.0.1", "attribute": f"vimha-test-{sql}",
    }  # fmt: skip


@contextmanager
def lone_member() -> Iterator[Resource]:
    """A member that was never started; afterwards nothing of it. In /var/tmp: mysql may not enter pytest's folders."""
    with tempfile.TemporaryDirectory(prefix="vimha-member-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        resource = Resource("galera", **member_parameters(folder))
        yield resource
        resource("stop", timeout_ms=20000)
        assert processes(resource.parameters["datadir"]) == []


def start(member: Resource, **changed: str) -> None:
    """Start it, and wait until it is synced."""
    answer = member("start", timeout_ms=START_MS, **changed)
    assert answer.code == 0, answer
    wait_until(lambda: member("monitor", **changed).code == 0, 30)


def refused(member: Resource, **changed: str) -> str:
    """The reason of a start that this node cannot do; it has touched no table, and nothing is left of it."""
    before = tables(member)
    answer = member("start", timeout_ms=START_MS, **changed)
    assert answer.code == 5, answer
    assert member("stop", timeout_ms=20000, **changed).code == 0
    assert processes(member.parameters["datadir"]) == []
    assert tables(member) == before
    return answer.reason


def tables(member: Resource) -> dict[str, int]:
    """The tables' files and their sizes."""
    return {str(path): path.stat().st_size for path in datadir(member).rglob("*.ibd")}


def datadir(member: Resource) -> Path:
    return Path(member.parameters["datadir"])


def sql(member: Resource, text: str) -> list[tuple[str, ...]]:
    with Connection.connect(member.parameters["socket"], "root", "", 5) as connection:
        return connection.query(text)

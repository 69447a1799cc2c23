"""One Galera member on this host's loopback, for tests of the agent's every answer: real mariadbd, a cluster of one."""

import os
import shutil
from pathlib import Path

from ocf_calls import free_port

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

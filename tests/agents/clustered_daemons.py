"""Three real nodes in network namespaces of their own, each with a Galera member and a RabbitMQ broker, and a client.

There is no Pacemaker: the tests move the address that clients use, and start what they killed. Everything lives in a
scratch folder; leaving ends every process in the namespaces, and removes them. Brokers run as root; members as mysql,
because the rsync of a state transfer gives up root's rights.
"""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from single_daemons import until

from vimha.process import Result, Runner, checked, run, spawn

NODES = ("n1", "n2", "n3")
NET, VIP = "10.99.7", "10.99.7.100"
PROVIDER = (
    "gcache.size=16M;gcache.recover=yes;evs.keepalive_period=PT0.1S;evs.inactive_check_period=PT0.05S;"
    "evs.suspect_timeout=PT0.5S;evs.inactive_timeout=PT1.5S;evs.install_timeout=PT1.5S;evs.join_retrans_period=PT0.2S"
)


class Cluster:
    """The nodes n1, n2, n3; use as a context manager."""

    def __enter__(self) -> "Cluster":
        self.tag = f"vhc{os.getpid()}"
        self.folder = Path(tempfile.mkdtemp(prefix="vimha-members-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in (*NODES, "cli", "net"):
            for pid in run(["ip", "netns", "pids", self.netns(node)]).out.split():
                os.kill(int(pid), signal.SIGKILL)
            until(lambda name=node: not run(["ip", "netns", "pids", self.netns(name)]).out, "processes end", 10)
            run(["ip", "netns", "delete", self.netns(node)])
            shutil.rmtree(f"/etc/netns/{self.netns(node)}", ignore_errors=True)
        shutil.rmtree(self.folder)

    def netns(self, node: str) -> str:
        return f"{self.tag}{node}"

    def runner(self, node: str) -> Runner:
        """A `Runner` on a node, whose rabbitmqctl and socket are found where they are."""

        def inside(
            argv: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "", env: Mapping[str, str] | None = None
        ) -> Result:
            if argv[0] == "rabbitmqctl":
                argv = ["/usr/lib/rabbitmq/bin/rabbitmqctl", *argv[1:]]
            argv = [f"--socket={self.folder}/{node}/sock" if word.startswith("--socket=") else word for word in argv]
            home = {"HOME": str(self.folder), **(env or {})}
            return run(["ip", "netns", "exec", self.netns(node), *argv], timeout_s=timeout_s, stdin=stdin, env=home)

        return inside

    @property
    def runners(self) -> dict[str, Runner]:
        return {node: self.runner(node) for node in NODES}

    def hold(self, node: str) -> None:
        """Give the VIP to `node`, as Pacemaker would."""
        for other in NODES:
            self.runner(other)(["ip", "addr", "del", f"{VIP}/24", "dev", "eth0"])
        checked(self.runner(node)(["ip", "addr", "add", f"{VIP}/24", "dev", "eth0"]))
        run(["ip", "netns", "exec", self.netns("cli"), "ip", "neigh", "flush", "dev", "eth0"])

    def start_member(self, node: str, *extra: str) -> None:
        """Start a Galera member from its recovered position and wait until it is synchronized."""
        home = self.folder / node
        log = home / "recover.log"
        argv = ["/usr/sbin/mariadbd", f"--defaults-file={home}/my.cnf"]
        if (home / "data/grastate.dat").exists():
            log.unlink(missing_ok=True)
            self.runner(node)([*argv, "--wsrep-recover", f"--log-error={log}"])
            found = [line for line in log.read_text().splitlines() if "Recovered position: " in line]
            argv.append(f"--wsrep_start_position={found[-1].rpartition('position: ')[2]}")
        self._spawn(node, [*argv, *extra], "member")
        until(lambda: "Synced" in self._sql(node, "SHOW STATUS LIKE 'wsrep_local_state_comment'"), f"{node} is synced")

    def start_broker(self, node: str, *, wait: bool = True) -> None:
        """Start a broker and wait until it serves."""
        argv = ["unshare", "-u", "sh", "-c", f"hostname {node}; exec /usr/lib/rabbitmq/bin/rabbitmq-server"]
        home = self.folder / node
        self._spawn(node, argv, "broker", {
            "RABBITMQ_NODENAME": f"rabbit@{node}", "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_MNESIA_BASE": f"{home}/mnesia", "RABBITMQ_LOG_BASE": f"{home}/log",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins", "RABBITMQ_CONFIG_FILE": f"{self.folder}/rabbitmq.conf",
            "RABBITMQ_PID_FILE": f"{home}/pid", "LANG": "C.UTF-8",
        })  # fmt: skip
        if wait:
            self.wait_broker(node)

    def wait_broker(self, node: str) -> None:
        """Wait until the broker of `node` serves."""
        ctl = ["rabbitmqctl", "--quiet", f"--node=rabbit@{node}", "await_startup", "--timeout", "10"]
        until(lambda: self.runner(node)(ctl).ok, f"the broker of {node} serves")

    def signal(self, node: str, pattern: str, number: int) -> None:
        """Send a signal to the processes of `node` whose command lines match `pattern`."""
        mine = set(run(["ip", "netns", "pids", self.netns(node)]).out.split())
        for pid in mine & set(run(["pgrep", "-f", pattern]).out.split()):
            os.kill(int(pid), number)

    def kill(self, node: str, pattern: str) -> None:
        """Kill those processes and wait until they are gone."""
        self.signal(node, pattern, signal.SIGKILL)
        time.sleep(0.1)

    def _sql(self, node: str, statement: str) -> str:
        return self.runner(node)(["mariadb", "--no-defaults", "--batch", "--socket=", "-e", statement]).out

    def _spawn(self, node: str, argv: list[str], log: str, env: Mapping[str, str] | None = None) -> None:
        spawn(
            ["ip", "netns", "exec", self.netns(node), *argv],
            log=str(self.folder / f"{node}.{log}"),
            env={"HOME": str(self.folder), **(env or {})},
        )

    def _build(self) -> None:
        checked(run(["ip", "netns", "add", self.netns("net")]))
        switch = ["ip", "netns", "exec", self.netns("net"), "ip", "link"]
        checked(run([*switch, "add", "br0", "up", "type", "bridge"]))
        hosts = "127.0.0.1 localhost\n" + "".join(f"{NET}.1{node[1]} {node}\n" for node in NODES)
        (self.folder / "rabbitmq.conf").write_text(
            "cluster_formation.peer_discovery_backend = classic_config\ncluster_partition_handling = pause_minority\n"
            "disk_free_limit.absolute = 50MB\nnet_ticktime = 8\n"
            + "".join(f"cluster_formation.classic_config.nodes.{node[1]} = rabbit@{node}\n" for node in NODES)
        )
        for number, node in enumerate((*NODES, "cli"), 11):
            name = self.netns(node)
            checked(run(["ip", "netns", "add", name]))
            folder = Path("/etc/netns", name)
            folder.mkdir(parents=True)
            (folder / "hosts").write_text(hosts)
            veth = ["ip", "link", "add", f"v{node}", "netns", self.netns("net"), "type", "veth"]
            checked(run([*veth, "peer", "name", "eth0", "netns", name]))
            checked(run([*switch, "set", f"v{node}", "master", "br0", "up"]))
            for words in (["link", "set", "lo", "up"], ["link", "set", "eth0", "up"],
                          ["addr", "add", f"{NET}.{number}/24", "dev", "eth0"]):  # fmt: skip
                checked(run(["ip", "netns", "exec", name, "ip", *words]))
        for node in NODES:
            self._furnish(node)

    def _furnish(self, node: str) -> None:
        home = self.folder / node
        home.mkdir()
        shutil.chown(home, "mysql")
        address, members = f"{NET}.1{node[1]}", ",".join(f"{NET}.1{each[1]}" for each in NODES)
        (home / "my.cnf").write_text(
            f"[mysqld]\nuser=mysql\ndatadir={home}/data\nsocket={home}/sock\npid-file={home}/mysqld.pid\n"
            f"bind-address=0.0.0.0\nskip-name-resolve\nbinlog_format=ROW\ndefault_storage_engine=InnoDB\n"
            "innodb_autoinc_lock_mode=2\ninnodb_buffer_pool_size=32M\ninnodb_log_file_size=16M\n"
            "performance_schema=OFF\nwsrep_on=ON\nwsrep_provider=/usr/lib/galera/libgalera_smm.so\n"
            f"wsrep_cluster_name=drill\nwsrep_cluster_address=gcomm://{members}\nwsrep_node_name={node}\n"
            f"wsrep_node_address={address}\nwsrep_sst_method=rsync\n"
            f'wsrep_provider_options="{PROVIDER};gmcast.listen_addr=tcp://{address}:4567"\n'
        )
        install = ["mariadb-install-db", f"--defaults-file={home}/my.cnf", "--user=mysql", "--skip-test-db"]
        checked(run([*install, "--wsrep-on=OFF"], timeout_s=60))

"""Galera nodes on this host for the agent: each a network namespace with its own datadir, all on one bridge.

Real are mariadbd, galera and rsync; a fake is Pacemaker's attribute daemon (`fake_attrd`: one file that all nodes write
under a lock, which is a total order). It is mounted over attrd_updater for the agent's processes alone.
"""

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from ocf_calls import Answer, Resource, wait_until

from resource_agents.mysql.client import Connection
from resource_agents.wsrep.status import Status, read
from resource_agents.wsrep.word import Word, decode
from vimha.lab.bmc import tls
from vimha.process import checked, run
from vimha.render.clustered import group_tls
from vimha.site.model import Encryption

NEEDS_GALERA = [
    pytest.mark.agents,
    pytest.mark.usefixtures("installed"),
    pytest.mark.skipif(not shutil.which("mariadbd", path="/usr/sbin"), reason="needs mariadb-server and galera-4"),
]
"""What a module of tests of members is marked with."""
FAKE_ATTRD = """#!/usr/bin/python3 -IS
# A fake of attrd_updater: node attributes in one file for all nodes, who are known by their host name.
import fcntl, json, os, sys
words = sys.argv[1:]
def after(flag, default=""):
    return words[words.index(flag) + 1] if flag in words else default
with open({store!r}, "a+") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    file.seek(0)
    known = json.loads(file.read() or "{{}}")
    values = known.setdefault(after("--name"), {{}})
    if "--query" in words:
        for host, value in sorted(values.items()):
            print(f'name="{{after("--name")}}" host="{{host}}" value="{{value}}"')
        sys.exit(0 if values else 105)
    else:
        values[after("--node", os.uname().nodename)] = after("--update")
        file.seek(0)
        file.truncate()
        file.write(json.dumps(known))
"""
EVS = (
    "evs.keepalive_period=PT0.1S; evs.inactive_check_period=PT0.05S; evs.suspect_timeout=PT1.5S; "
    "evs.inactive_timeout=PT4S; evs.install_timeout=PT4S; evs.join_retrans_period=PT0.2S"
)
# A mariadbd that starts removes all temporary tables of its tmpdir, whosever they are: so each node has its own.
CONFIG = """[mysqld]
bind_address = {address}
port = 3306
tmpdir = {tmpdir}
skip_name_resolve = ON
binlog_format = ROW
innodb_autoinc_lock_mode = 2
innodb_flush_log_at_trx_commit = 2
innodb_buffer_pool_size = 64M
wsrep_on = ON
wsrep_provider = /usr/lib/galera/libgalera_smm.so
wsrep_cluster_name = vimha-test
wsrep_cluster_address = gcomm://{addresses}
wsrep_node_name = {name}
wsrep_node_address = {address}
wsrep_sst_method = rsync
wsrep_provider_options = "gmcast.listen_addr=tcp://{address}:4567; gcache.size=16M; gcache.recover=yes; \
pc.recovery=yes; gcs.vote_policy=1; {evs}"
"""
TLS_FILES = {"certificate": "node.pem", "key": "node.key", "ca_file": "authority.pem"}
ENTER = (
    'hostname "$1"; mount --bind "$2/attrd_updater" /usr/sbin/attrd_updater; '
    'mount --bind "$2/$1/run" /run/resource-agents; shift 2; exec "$@"'
)


class Node:
    """One node: its agent is called as `node.agent("start")`."""

    def __init__(self, cluster: "Nodes", name: str, address: str) -> None:
        self.cluster, self.name, self.address = cluster, name, address
        self.netns = f"{cluster.prefix}{name}"
        self.folder = cluster.folder / name
        self.datadir = self.folder / "data"
        self.log = self.folder / "log" / "error.log"
        for folder in ("run", "data", "log", "sock", "tmp"):
            (self.folder / folder).mkdir(parents=True)
            shutil.chown(self.folder / folder, "mysql")
        self.datadir.chmod(0o700)
        self.config = self.folder / "galera.cnf"
        self.agent = Resource(
            "galera", ("ip", "netns", "exec", self.netns, "unshare", "--mount", "--uts", "sh", "-c", ENTER, "sh",
                       name, str(cluster.folder)),
            config=str(self.config), datadir=str(self.datadir), socket=str(self.folder / "sock" / "s"),
            log=str(self.log), pid=str(self.folder / "pid" / "g.pid"), members=cluster.members,
        )  # fmt: skip

    def configure(self, *, encrypted: bool) -> None:
        """Write its option file, and tell the agent of the files for TLS in it."""
        addresses = ",".join(word.partition("=")[2] for word in self.cluster.members.split())
        files = self.files
        more = f"; {'; '.join(group_tls(files))}" if encrypted else ""
        text = CONFIG.format(
            address=self.address, name=self.name, addresses=addresses, tmpdir=self.folder / "tmp", evs=EVS + more
        )
        if encrypted:
            text = text.replace("wsrep_sst_method = rsync", "wsrep_sst_method = mariabackup\nwsrep_sst_auth = mysql:")
            text += f"ssl_cert = {files.certificate}\nssl_key = {files.key}\nssl_ca = {files.ca_file}\n"
            text += "[sst]\nencrypt = 4\n"
        self.config.write_text(text)
        self.agent.parameters.update(files.model_dump() if encrypted else dict.fromkeys(files.model_dump(), ""))

    @property
    def files(self) -> Encryption:
        """Where its files for TLS are."""
        return Encryption(**{name: str(self.folder / file) for name, file in TLS_FILES.items()})

    def certify(self, authority: tls.KeyPair, user: str = "mysql") -> None:
        """Give it a certificate of `authority`'s, and `user` the key."""
        made = tls.make_certificate(self.folder, authority, [self.address], self.name, member=True)
        for name, source in zip(TLS_FILES.values(), (made.certificate, made.key, authority.certificate), strict=True):
            shutil.copyfile(source, self.folder / name)
        shutil.chown(self.folder / "node.key", user)
        (self.folder / "node.key").chmod(0o400)

    def start(self, **changed: str) -> Answer:
        return self.agent("start", timeout_ms=40000, **changed)

    def stop(self) -> Answer:
        return self.agent("stop", timeout_ms=20000)

    def kill(self) -> None:
        """A power-off, as mariadbd and the attribute daemon see it: SIGKILL, and the node's words are gone."""
        for pid in run(["ip", "netns", "pids", self.netns]).out.split():
            os.kill(int(pid), signal.SIGKILL)
        wait_until(lambda: not run(["ip", "netns", "pids", self.netns]).out)
        self.cluster.forget(self.name)
        shutil.rmtree(self.folder / "pid", ignore_errors=True)
        for file in (self.folder / "run").iterdir():
            file.unlink()

    def monitor(self) -> Answer:
        return self.agent("monitor")

    def synced(self) -> bool:
        """What Pacemaker does all the time: monitor, which takes the next step."""
        answer = self.monitor()
        assert answer.code in (0, 190), answer
        return answer.code == 0

    def sql(self, text: str) -> list[tuple[str, ...]]:
        with Connection.connect(self.agent.parameters["socket"], "root", "", 5) as connection:
            return connection.query(text, 5)

    def status(self) -> Status:
        with Connection.connect(self.agent.parameters["socket"], "root", "", 5) as connection:
            return read(connection)

    def bootstrapped(self) -> bool:
        """True when its mariadbd runs as the one that began the cluster."""
        return b"--wsrep-new-cluster" in Path(f"/proc/{self.agent.pid}/cmdline").read_bytes()

    def said_since_start(self) -> str:
        """mariadbd's log of its present run."""
        text = self.log.read_text(errors="replace")
        return text[text.rfind("Starting MariaDB") :]

    def lose_view(self) -> None:
        for name in ("gvwstate.dat", "vimha-gvwstate.dat"):
            (self.datadir / name).unlink(missing_ok=True)


class Nodes:
    """`count` nodes, c1, c2 and so on, that can reach each other; with an arbiter, c9, if `arbiter`."""

    def __init__(self, folder: Path, count: int, *, arbiter: bool = False, encrypted: bool = False) -> None:
        self.folder, self.prefix = folder, f"vg{os.getpid()}"
        self.store = folder / "attributes.json"
        addresses = {f"c{index}": f"10.77.9.{10 + index}" for index in range(1, count + 1)}
        self.members = " ".join(f"{name}={address}" for name, address in addresses.items())
        updater = folder / "attrd_updater"
        updater.write_text(FAKE_ATTRD.format(store=str(self.store)))
        updater.chmod(0o755)
        self.nodes = [Node(self, name, address) for name, address in addresses.items()]
        self.authority = tls.make_ca(folder) if encrypted else None
        for node in self.nodes:
            if self.authority:
                node.certify(self.authority)
            node.configure(encrypted=encrypted)
        self.arbiter = Node(self, "c9", "10.77.9.19") if arbiter else None
        if self.arbiter:
            self.arbiter.agent = Resource(
                "garbd", self.arbiter.agent.prefix, address=f"gcomm://{','.join(addresses.values())}",
                group="vimha-test", options=EVS, workdir=str(self.arbiter.folder / "work"),
                log=str(self.arbiter.folder / "garbd" / "log"), pid=str(self.arbiter.folder / "pid" / "a.pid"),
            )  # fmt: skip
        if self.arbiter and self.authority:
            self.arbiter.certify(self.authority, "nobody")
            more = {"options": "; ".join((EVS, *group_tls(self.arbiter.files))), **self.arbiter.files.model_dump()}
            self.arbiter.agent.parameters.update(more)

    @property
    def machines(self) -> list[Node]:
        """The nodes, the arbiter too."""
        return [*self.nodes, *([self.arbiter] if self.arbiter else [])]

    def begin(self) -> None:
        """Make the namespaces: a hub with a bridge, and a wire from it to each node."""
        hub = f"{self.prefix}hub"
        checked(run(["ip", "netns", "add", hub]))
        checked(run(["ip", "-n", hub, "link", "add", "name", "hub0", "type", "bridge"]))
        checked(run(["ip", "-n", hub, "link", "set", "hub0", "up"]))
        for node in self.machines:
            checked(run(["ip", "netns", "add", node.netns]))
            wire = ["type", "veth", "peer", "name", "eth0", "netns", node.netns]
            checked(run(["ip", "-n", hub, "link", "add", node.name, *wire]))
            checked(run(["ip", "-n", hub, "link", "set", node.name, "master", "hub0", "up"]))
            checked(run(["ip", "-n", node.netns, "link", "set", "lo", "up"]))
            checked(run(["ip", "-n", node.netns, "address", "add", f"{node.address}/24", "dev", "eth0"]))
            checked(run(["ip", "-n", node.netns, "link", "set", "eth0", "up"]))

    def end(self) -> None:
        for node in self.machines:
            node.kill()
            run(["ip", "netns", "delete", node.netns])
        run(["ip", "netns", "delete", f"{self.prefix}hub"])

    def forget(self, name: str) -> None:
        """The attribute daemon drops what a lost node said."""
        known = json.loads(self.store.read_text() or "{}") if self.store.exists() else {}
        for values in known.values():
            values.pop(name, None)
        self.store.write_text(json.dumps(known))

    def said(self, name: str) -> Word:
        """The node's word, as the attribute daemon has it."""
        word = decode(json.loads(self.store.read_text())["vimha-galera"][name])
        assert word
        return word

    def decide(self, name: str, position: str) -> None:
        """What `vimha decide` tells the attribute daemon."""
        command = ["--name", "vimha-galera-bootstrap", "--update", position, "--node", name, "--private"]
        checked(run([str(self.folder / "attrd_updater"), *command]))

    def start(self) -> list[Answer]:
        """Start all at once, as a cluster that boots does; every start must succeed."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            answers = list(pool.map(Node.start, self.nodes))
        assert [answer.code for answer in answers] == [0] * len(answers), answers
        return answers

    def form(self, most_s: float) -> None:
        """Start all at once, and wait until they are one component, for `most_s` seconds."""
        self.start()
        wait_until(self.whole, most_s)

    def whole(self) -> bool:
        """All are synced members of one component."""
        return all(node.synced() for node in self.nodes) and all(
            node.status().cluster_size == len(self.machines) for node in self.nodes
        )


@contextmanager
def galera_nodes(count: int, *, arbiter: bool = False, encrypted: bool = False) -> Iterator[Nodes]:
    """The nodes, and afterwards nothing of them. In /var/tmp: mysql may not enter pytest's own folders."""
    Path("/run/resource-agents").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="vimha-galera-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        nodes = Nodes(Path(name), count, arbiter=arbiter, encrypted=encrypted)
        try:
            nodes.begin()
            yield nodes
        finally:
            nodes.end()

"""Brokers on this host as if each had a node of its own: a network namespace, folders, and a fake attribute daemon."""

import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ocf_calls import Answer, Resource, processes, wait_until

from vimha.lab.bmc import tls
from vimha.process import checked, run
from vimha.render.environment import fill
from vimha.site.model import Encryption

NETWORK = "10.99.7"
NUMBERS = itertools.count(1)
"""Tell this process's sites apart."""
FAKE = Path(__file__).with_name("fake_attrd_updater.py")
CONFIG = """listeners.tcp.1 = {address}:5672
management.tcp.ip = 127.0.0.1
management.tcp.port = 15672
loopback_users.guest = false
cluster_partition_handling = pause_minority
mnesia_table_loading_retry_timeout = 2000
mnesia_table_loading_retry_limit = 150
log.connection.level = error
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
"""


def ip(*words: str) -> None:
    checked(run(["ip", *words], timeout_s=10))


class Site:
    """A bridge in a namespace of its own, and `size` nodes n1 .. on it, of which `active` are to run a broker."""

    def __init__(self, folder: Path, size: int, active: int, *, encrypted: bool = False) -> None:
        self.folder, self.active = folder, active
        self.authority = tls.make_ca(folder) if encrypted else None
        """Who signs the nodes' certificates; None: they speak without TLS."""
        self.tag = f"vhr{os.getpid() % 100000}x{next(NUMBERS)}"
        (folder / "attrd").mkdir()
        ip("netns", "add", f"{self.tag}-br")
        ip("-n", f"{self.tag}-br", "link", "add", "br0", "type", "bridge", "forward_delay", "0", "stp_state", "0")
        ip("-n", f"{self.tag}-br", "link", "set", "br0", "up")
        self.members = " ".join(f"n{number}={NETWORK}.1{number}" for number in range(1, size + 1))
        self.nodes = [Node(self, number) for number in range(1, size + 1)]

    def plug(self, node: "Node", *, up: bool) -> None:
        """Pull the node's cable, or put it back."""
        ip("-n", f"{self.tag}-br", "link", "set", f"p{node.name[1:]}", "up" if up else "down")

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        ip("netns", "del", f"{self.tag}-br")

    def words(self, name: str = "vimha-rabbitmq") -> dict[str, str]:
        """What the fake attribute daemon knows, by node."""
        import json

        path = self.folder / "attrd" / name
        return dict(json.loads(path.read_text())) if path.exists() else {}


class Node:
    """One node with a broker's agent; calling it runs an action."""

    def __init__(self, site: Site, number: int) -> None:
        self.site, self.name = site, f"n{number}"
        self.address, self.space = f"{NETWORK}.1{number}", f"{site.tag}-{number}"
        self.folder = site.folder / self.name
        bridge, port = f"{site.tag}-br", f"p{number}"
        ip("netns", "add", self.space)
        ip("-n", self.space, "link", "set", "lo", "up")
        ip("link", "add", "eth0", "netns", self.space, "type", "veth", "peer", "name", port, "netns", bridge)
        ip("-n", self.space, "addr", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self.space, "link", "set", "eth0", "up")
        ip("-n", bridge, "link", "set", port, "master", "br0", "up")
        self._write_files()
        self.resource = Resource(
            "rabbitmq", ("ip", "netns", "exec", self.space, str(self.folder / "enter")),
            data=str(self.home / "mnesia"), log_dir=str(self.home / "log"), config_dir=str(self.folder / "etc"),
            cookie=str(self.folder / "cookie"), amqp=f"{self.address}:5672", members=site.members,
            management_auth=str(self.folder / "auth"), CRM_meta_on_node=self.name, patience_for_peers="3",
            CRM_meta_clone_max=str(site.active),
        )  # fmt: skip
        if site.authority:
            self.certify(site.authority)

    def certify(self, authority: tls.KeyPair, *, encrypted: bool = True) -> None:
        """Give it a certificate of `authority`'s, to speak TLS with; without `encrypted`, take all that away."""
        made = tls.make_certificate(self.folder, authority, [self.address], self.name, member=True)
        shutil.chown(made.key, "root", "rabbitmq")
        made.key.chmod(0o440)
        shutil.copyfile(authority.certificate, self.folder / "authority.pem")
        files = Encryption(
            certificate=str(made.certificate), key=str(made.key), ca_file=str(self.folder / "authority.pem")
        )
        options = fill("rabbitmq/inter_node_tls.config.j2", made_by="Made for a test", tls=files)
        (self.folder / "etc/inter_node_tls.config").write_bytes(options)
        self.resource.parameters.update(files.model_dump() if encrypted else dict.fromkeys(files.model_dump(), ""))

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def database(self) -> Path:
        return self.home / "mnesia" / f"rabbit@{self.name}"

    def __call__(self, action: str, **changed: str) -> Answer:
        return self.resource(action, timeout_ms=30000, **changed)

    def pid(self) -> int:
        """The Erlang VM's."""
        found = processes(f"-vimha rabbit@{self.name} {self.home}")
        return found[0] if found else 0

    def up(self, seconds: float = 90.0) -> None:
        """Wait until the monitor says that it serves."""
        last = []

        def serves() -> bool:
            last[:] = [self("monitor")]
            assert last[0].code in (0, 190), last
            return last[0].code == 0

        try:
            wait_until(serves, seconds)
        except AssertionError as error:
            raise AssertionError(f"{self.name}: {last} {self.site.words()}") from error

    def kill(self) -> None:
        """The whole node loses its power: all of its processes, and its word."""
        for pid in checked(run(["ip", "netns", "pids", self.space], timeout_s=10)).out.split():
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(int(pid), signal.SIGKILL)
        run([str(self.folder / "attrd_updater"), "--name", "vimha-rabbitmq", "--delete"], timeout_s=10)
        for path in [*(self.folder / "run-vimha").rglob("*"), *(self.folder / "run-agents").rglob("*")]:
            if path.is_file():
                path.unlink()

    def look_deeper(self) -> Answer:
        """Pacemaker's monitor of every ten seconds."""
        deep = Resource("rabbitmq", (*self.resource.prefix, "env", "OCF_CHECK_LEVEL=10"), **self.resource.parameters)
        answer = deep("monitor", timeout_ms=10000)
        assert answer.code in (0, 190), answer
        return answer

    def tool(self, *words: str, tool: str = "rabbitmqctl") -> str:
        """What one of RabbitMQ's tools prints."""
        env = {"HOME": str(self.home), "ERL_INETRC": str(self.folder / "run-vimha/test-rabbitmq.d/inetrc"),
               "PATH": os.environ["PATH"], "RABBITMQ_CONF_ENV_FILE": "/dev/null"}  # fmt: skip
        if self.resource.parameters.get("key"):
            options = self.folder / "etc/inter_node_tls.config"
            env["RABBITMQ_CTL_ERL_ARGS"] = f"-proto_dist inet_tls -ssl_dist_optfile {options}"
        argv = ["ip", "netns", "exec", self.space, "setpriv", "--reuid", "rabbitmq", "--regid", "rabbitmq",
                "--clear-groups", f"/usr/lib/rabbitmq/bin/{tool}", "-q", "-n",
                f"rabbit@{self.name}", *words]  # fmt: skip
        return checked(run(argv, timeout_s=30, env=env)).out

    def alert(self, event: dict[str, str]) -> None:
        """Pacemaker tells this node of `event`, as it does: as hacluster."""
        command = ["setpriv", "--reuid", "hacluster", "--regid", "haclient", "--clear-groups"]
        checked(run([*self.resource.prefix, *command, "/usr/lib/vimha/alerts/dead_peer"], timeout_s=10, env=event))

    def running(self) -> set[str]:
        """The cluster's running nodes as this broker knows them."""
        import re

        return set(re.findall(r"rabbit@(n\d)", self.tool("eval", "rabbit_mnesia:cluster_nodes(running).")))

    def linked(self, peer: "Node") -> bool:
        """Whether there is a connection of Erlang's distribution between this node and `peer`."""
        import re

        told = checked(run(["ip", "netns", "exec", self.space, "ss", "-tn"], timeout_s=10)).out
        far = re.escape(peer.address)
        return bool(re.search(rf":25672 +{far}:|{far}:25672", told))

    def declare(self, queue: str) -> None:
        """Make a quorum queue of the default size."""
        resource = f'{{resource,<<"/">>,queue,<<"{queue}">>}}'
        arguments = '[{<<"x-queue-type">>,longstr,<<"quorum">>}]'
        self.tool("eval", f'rabbit_amqqueue:declare({resource},true,false,{arguments},none,<<"t">>).')

    def replicas(self, queue: str) -> set[str]:
        """The nodes on which the queue's record lists a replica that lives."""
        import re

        resource = f'{{resource,<<"/">>,queue,<<"{queue}">>}}'
        look = f"{{ok,Q}} = rabbit_amqqueue:lookup({resource}), rabbit_quorum_queue:info(Q, [online])."
        return set(re.findall(r"rabbit@(n\d)", self.tool("eval", look)))

    def publish(self, queue: str, text: str = "x") -> bool:
        """Whether a message to `queue` is confirmed here."""
        program = (
            "import pika, sys\n"
            "channel = pika.BlockingConnection(pika.ConnectionParameters(sys.argv[1])).channel()\n"
            "channel.confirm_delivery()\n"
            "last = pika.BasicProperties(delivery_mode=2)\n"
            "channel.basic_publish('', sys.argv[2], sys.argv[3].encode(), last, mandatory=True)\n"
        )
        argv = ["ip", "netns", "exec", self.space, sys.executable, "-c", program, self.address, queue, text]
        return run(argv, timeout_s=15).ok

    def take(self, queue: str) -> list[str]:
        """The messages that `queue` holds; they are put back."""
        program = (
            "import pika, sys\n"
            "channel = pika.BlockingConnection(pika.ConnectionParameters(sys.argv[1])).channel()\n"
            "while (got := channel.basic_get(sys.argv[2]))[0]: print(got[2].decode())\n"
        )
        argv = ["ip", "netns", "exec", self.space, sys.executable, "-c", program, self.address, queue]
        return checked(run(argv, timeout_s=30)).out.split()

    def close(self) -> None:
        self.kill()
        ip("netns", "del", self.space)

    def _write_files(self) -> None:
        for name in ("etc", "home", "run-vimha", "run-agents"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "etc/rabbitmq.conf").write_text(CONFIG.format(address=self.address))
        (self.folder / "etc/advanced.config").write_text("[{aten, [{poll_interval, 500}]}].\n")
        (self.folder / "etc/enabled_plugins").write_text("[rabbitmq_management].\n")
        own = self.home / ".erlang.cookie"
        own.write_text(f"WHAT-DEBIANS-PACKAGE-MADE-ON-{self.name}")
        own.chmod(0o400)
        for name, text in (("cookie", "A-COOKIE-OF-THE-TESTS"), ("auth", "guest:guest")):
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o600)
        fake, enter = self.folder / "attrd_updater", self.folder / "enter"
        fake.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {FAKE} {self.site.folder / "attrd"} {self.name} "$@"\n')
        mounts = (("run-vimha", "/run/vimha"), ("run-agents", "/run/resource-agents"),
                  ("attrd_updater", "/usr/sbin/attrd_updater"))  # fmt: skip
        Path("/run/vimha").mkdir(exist_ok=True)
        Path("/run/resource-agents").mkdir(exist_ok=True)
        binds = " && ".join(f"mount --bind {self.folder / source} {target}" for source, target in mounts)
        enter.write_text(f'#!/bin/sh\nexec unshare --mount sh -ec \'{binds} && exec "$@"\' sh "$@"\n')
        for script in (fake, enter):
            script.chmod(0o755)
        checked(run(["chown", "-R", "rabbitmq:", str(self.home)], timeout_s=10))


@contextmanager
def site_of(size: int, active: int = 0, *, encrypted: bool = False) -> Iterator[Site]:
    """A site in a folder that the broker's user may enter (pytest closes its own to others, again and again)."""
    with tempfile.TemporaryDirectory(prefix="vimha-rabbit-") as name:
        Path(name).chmod(0o755)
        site = Site(Path(name), size, active or size, encrypted=encrypted)
        try:
            yield site
        finally:
            site.close()


def failed(node: Node, **changed: str) -> tuple[int, str]:
    """Code and reason of a start that fails: at once, or by its monitor and, after Pacemaker's recovery, again."""
    answer = node("start", **changed)
    if answer.code:
        return answer.code, answer.reason
    wait_until(lambda: node("monitor", **changed).code not in (0, 190), 60)
    seen = node("monitor", **changed)
    assert node("stop", **changed).code == 0
    again = node("start", **changed)
    assert node("stop", **changed).code == 0
    return (again.code, again.reason) if again.code else (seen.code, seen.reason)

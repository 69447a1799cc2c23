"""One RabbitMQ node: its Erlang VM, its command-line tools, and why it ended.

Invariant: the VM is known by its own process, never by RabbitMQ's pid file, which vanishes six seconds before the VM
does. Its peers' names are resolved from `members` alone, so that no name service can keep a broker from its cluster.
"""

import hashlib
import os
import pwd
from pathlib import Path

from resource_agents.amqp.database import Database
from resource_agents.amqp.sockets import DISTRIBUTION
from resource_agents.ocf import tls
from resource_agents.ocf.agent import GENERIC, INSTALLED, Deadline, OcfError
from resource_agents.ocf.http import connect
from resource_agents.ocf.process import Daemon
from resource_agents.ocf.system import System

SETPRIV = "/usr/bin/setpriv"
ENV = "/usr/bin/env"
TAIL = 65536
CALM = "+sbwt none +sbwtdcpu none +sbwtdio none"
"""Erlang's schedulers do not spin while they wait (erl(1)): a control node's cores are for all of its services, and a
broker that comes back took them from those that had just taken over. RabbitMQ's runtime guide advises it for such."""
MEET_S = 10.0
"""How long a peer's handshake may take: Erlang loads the code for its first one, 4 s on a busy node (measured)."""
ACCEPTORS = 10
"""RabbitMQ's own default (num_acceptors.tcp)."""
READY = "completed with"
"""What a broker prints when it has booted ("completed with 3 plugins.")."""
CAUSES = (
    ("no setting with that name", "wrong configuration"),
    ("Error transforming datatype for", "wrong configuration"),
    (" invalid, ", "wrong configuration"),
    ("advanced configuration file", "wrong configuration"),
    ("failed_to_prepare_configuration", "wrong configuration"),
    ("inconsistent_cluster", "the cluster and this node disagree whether it is a member: move its data folder away, "
     "and it joins anew without its old messages"),
    ("could_not_start_listener", "no address of this node, or a port in use (ss -ltnp names by whom)"),
    ("enospc", "disk full, make room"),
    ("No space left", "disk full, make room"),
    ("eacces", "a file's owner or mode is wrong"),
    ("Permission denied", "a file's owner or mode is wrong"),
)  # fmt: skip
"""What in RabbitMQ's output is wrong with this node, and what to say about it."""


class Broker:
    """The broker that the parameters `values` describe, on the node `name` of `members` (addresses by name)."""

    def __init__(
        self, system: System, values: dict[str, str], members: dict[str, str], name: str, run_folder: str
    ) -> None:
        self._system = system
        self._values = values
        self._members = members
        self.name = name
        host, _, port = values["amqp"].rpartition(":")
        self.amqp = host, int(port)
        """Where its listener for clients is."""
        self._run = run_folder
        self.output = f"{run_folder}/rabbitmq.out"
        self.database = Database(system, values["data"], name)
        self._tail = ["-vimha", f"rabbit@{name}", values["data"]]
        """Arguments that Erlang ignores and keeps: by them the VM is known again when its pid file is lost."""
        self.daemon = Daemon(system, self._tail, values["pid"] or f"{run_folder}/rabbitmq.pid")

    def check_host(self) -> None:
        """OcfError(INSTALLED) for what this node lacks to run a broker."""
        values, system = self._values, self._system
        if not system.user_exists(values["user"]):
            raise OcfError(INSTALLED, f"user {values['user']} does not exist on this node: install rabbitmq-server")
        if self.name not in self._members:
            raise OcfError(INSTALLED, f"parameter members does not name this node, {self.name}")
        self.cookie()
        folder, user = self.database.folder, values["user"]
        inside = [f"{folder}/{name}" for name in sorted(system.names(folder))]
        for path in (values["data"], folder, values["log_dir"], *inside):
            access = system.access(path)
            if access and access[0] != user:
                whole = folder if path in inside else path
                raise OcfError(
                    INSTALLED, f"{path} belongs to {access[0]}, so {user} cannot use it: chown -R {user}: {whole}"
                )
        self.database.check()

    def cookie(self) -> str:
        """A digest of the Erlang cookie; OcfError(INSTALLED) when there is none, or others can read it."""
        path = self._values["cookie"]
        text, access = self._system.read(path), self._system.access(path)
        if not text or not text.strip() or access is None:
            raise OcfError(INSTALLED, f"Erlang cookie {path} cannot be read: copy the site's own to this node, 0600")
        if access[1] & 0o077:
            raise OcfError(INSTALLED, f"Erlang cookie {path} has mode {access[1]:04o}: chmod 0600 {path}")
        return hashlib.sha256(f"vimha:{text.strip()}".encode()).hexdigest()[:8]

    def check_ports(self) -> None:
        """OcfError(INSTALLED) when a stranger listens where the broker should."""
        for where in (self.amqp, (self._members[self.name], DISTRIBUTION)):
            try:
                connect(*where, 0.5).close()
            except OSError:
                continue
            raise OcfError(
                INSTALLED,
                f"port in use: a process that this resource did not start listens at {where[0]}:{where[1]} "
                "(ss -ltnp names it; a broker of the distribution's own: systemctl disable --now rabbitmq-server)",
            )

    def meet(self, peer: str) -> None:
        """OcfError when it and `peer` do not trust each other's certificates; RabbitMQ would try for five minutes."""
        tls.meet(self._values, peer, (self._members[peer], DISTRIBUTION), MEET_S, peer)

    def prepare(self) -> None:
        """What the VM needs of this node, and the tools to reach a peer even before there is one: the site's cookie
        (Debian's package has left one of its own) and the members' addresses.
        """
        user = self._values["user"]
        self._system.own_folder(self._values["data"], user)
        self._system.own_folder(self._values["log_dir"], user)
        self._share("inetrc", inetrc(self._members))
        self._place_cookie()

    def launch(self, *, beside: str = "") -> None:
        """Start the VM. With `beside`: join that member, without any listener for clients; see `open`."""
        user = self._values["user"]
        changed = {}
        if beside:
            self._share("join.conf", join_config(self._configured(), beside))
            changed = {"RABBITMQ_CONFIG_FILE": f"{self._run}/join.conf"}
        argv = [ENV, *self._environment(changed), self._values["binary"], *self._tail]
        self.daemon.record(self._system.spawn(argv, user, self.output))

    def booted(self) -> bool:
        """True when the VM that was launched last has said that it is ready."""
        return READY in self._system.tail(self.output, TAIL)

    def open(self, deadline: Deadline) -> bool:
        """Listen for clients, in a VM that was launched without; False when a boot has to do that: the configuration
        has listeners that are not the agent's own (TLS).
        """
        if any(line.startswith("listeners.") and not line.startswith("listeners.tcp.") for line in self._configured()):
            return False
        host, port = self.amqp
        call = f'rabbit_networking:start_tcp_listener({{"{host}", {port}}}, {ACCEPTORS}).'
        code, said = self.ctl(deadline, "eval", call)
        if code or "ok" not in said:
            raise failure(said, f"its listener {host}:{port} cannot be opened")
        return True

    def progress(self) -> int:
        """Grows as long as the VM has something to say."""
        log = f"{self._values['log_dir']}/rabbit@{self.name}.log"
        return self._system.size(self.output) + self._system.size(log)

    def ctl(self, deadline: Deadline, *words: str, node: str = "", tool: str = "rabbitmqctl") -> tuple[int, str]:
        """Run one of RabbitMQ's tools against rabbit@`node` (empty: this one) as the broker's user; in /, for Erlang
        complains of each module that it looks for in a folder that the user may not enter (Pacemaker's is one).
        """
        user = self._values["user"]
        path = f"{self._values['binary'].rpartition('/')[0]}/{tool}"
        argv = [SETPRIV, "--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--init-groups",
                ENV, "--chdir=/", *self._environment({}), path, "-q", "-n", f"rabbit@{node or self.name}",
                *words]  # fmt: skip
        return self._system.run(argv, deadline.left())

    def complaint(self, what: str) -> OcfError:
        """Why the VM ended, from its output."""
        return failure(self._system.tail(self.output, TAIL), what)

    def _environment(self, changed: dict[str, str]) -> list[str]:
        values = self._values
        over_tls = f"-proto_dist inet_tls -ssl_dist_optfile {values['config_dir']}/inter_node_tls.config"
        distribution = over_tls if values["key"] else ""
        dots = self._members[self.name].replace(".", ",")
        known = {
            "HOME": values["data"].rpartition("/")[0],
            "RABBITMQ_NODENAME": f"rabbit@{self.name}",
            "RABBITMQ_USE_LONGNAME": "true" if any("." in name for name in self._members) else "false",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{values['config_dir']}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{values['config_dir']}/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{values['config_dir']}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": values["data"],
            "RABBITMQ_LOG_BASE": values["log_dir"],
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{CALM} -kernel inet_dist_use_interface {{{dots}}} {distribution}",
            "RABBITMQ_CTL_ERL_ARGS": distribution,
            "ERL_EPMD_ADDRESS": self._members[self.name],
            "ERL_INETRC": f"{self._run}/inetrc",
            "ERL_CRASH_DUMP": f"{values['log_dir']}/erl_crash.dump",
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        return [f"{name}={value}" for name, value in {**known, **changed}.items()]

    def _configured(self) -> list[str]:
        """The lines of rabbitmq.conf."""
        return (self._system.read(f"{self._values['config_dir']}/rabbitmq.conf") or "").splitlines()

    def _share(self, name: str, text: str) -> None:
        """Write a file of ours that the broker's user is to read, whatever umask we were given."""
        self._system.write(f"{self._run}/{name}", text)
        folder = Path(self._system.root + self._run)
        folder.chmod(0o755)
        (folder / name).chmod(0o644)

    def _place_cookie(self) -> None:
        """Where Erlang looks for it: in the home folder, readable by the owner alone."""
        text = (self._system.read(self._values["cookie"]) or "").strip()
        entry = pwd.getpwnam(self._values["user"])
        path = Path(f"{self._system.root}{self._values['data'].rpartition('/')[0]}/.erlang.cookie")
        scratch = path.with_name(f"{path.name}.{os.getpid()}")
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        os.fchown(handle, entry.pw_uid, entry.pw_gid)
        os.write(handle, text.encode())
        os.close(handle)
        scratch.replace(path)


def inetrc(members: dict[str, str]) -> str:
    """Erlang's own host table (inet configuration, ERTS user's guide)."""
    lines = [f'{{host, {{{address.replace(".", ",")}}}, ["{name}"]}}.' for name, address in members.items()]
    return "\n".join(["{lookup, [file, native]}.", *lines, ""])


def join_config(lines: list[str], peer: str) -> str:
    """rabbitmq.conf as a node joins `peer` with it: nobody is served before the agent has looked whom it joined."""
    kept = [line for line in lines if not line.startswith(("listeners.", "cluster_formation."))]
    return "\n".join([
        *kept, "listeners.tcp = none", "cluster_formation.peer_discovery_backend = classic_config",
        f"cluster_formation.classic_config.nodes.1 = rabbit@{peer}", "cluster_formation.discovery_retry_limit = 3",
        "cluster_formation.discovery_retry_interval = 500", "",
    ])  # fmt: skip


def failure(said: str, what: str) -> OcfError:
    """What RabbitMQ printed, as an error: INSTALLED when the cause is this node's, GENERIC otherwise."""
    lines = [line.strip() for line in said.splitlines()]
    told = [line.partition("> ")[2] for line in lines if "[error]" in line]
    told = [line.strip() for line in told if line.strip(" =")]
    for sign, remedy in CAUSES:
        hit = next((line for line in [*told, *lines] if sign in line), "")
        if hit:
            return OcfError(INSTALLED, f"{remedy}: {hit[:300]}")
    return OcfError(GENERIC, f"{what}: {'; '.join(told[:2])[:300] or 'it gave no reason'}")

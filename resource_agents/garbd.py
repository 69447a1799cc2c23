"""OCF resource agent for garbd, Galera's arbitrator: a vote without data, so that two members suffice (row A3).

Invariant: it holds no data and never begins a cluster; while no member is there it waits, degraded, and starts garbd
again when that gives up, so that it is back whenever they are.
"""

from resource_agents.ocf import tls
from resource_agents.ocf.agent import (
    CONFIGURED,
    DEGRADED,
    GENERIC,
    INSTALLED,
    NOT_RUNNING,
    OK,
    Action,
    Agent,
    Deadline,
    OcfError,
    Parameter,
)
from resource_agents.ocf.attribute import Attribute
from resource_agents.ocf.process import Daemon
from resource_agents.ocf.system import System
from resource_agents.wsrep.state import View, parse_view
from resource_agents.wsrep.word import ARBITER, Word, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

POLL_S = 0.05
ASK_S = 1.0
GROUP_PORT = 4567
"""gmcast.listen_addr's default port."""
ESTABLISHED = "01"
"""A TCP connection's state in /proc/net/tcp (include/net/tcp_states.h)."""
LOG_TAIL = 16384
CAUSES = (
    ("Unrecognized parameter", CONFIGURED, "parameter options is wrong"),
    ("Bad value", CONFIGURED, "parameter options is wrong"),
    ("Invalid value", CONFIGURED, "parameter options is wrong"),
    (
        "Address already in use",
        INSTALLED,
        "port in use, ss -ltnp names by whom (a Galera member needs no arbitrator beside)",
    ),
    ("for appending", INSTALLED, "the log is in a folder that is not garbd's user's"),
)
"""What in garbd's log will not pass by itself: what the parameters say is wrong everywhere, the rest on this node."""


class Garbd(Agent):
    name = "garbd"
    short = "Galera arbitrator: votes, and holds no data"
    long = (
        "Runs garbd on a node that holds no copy of the database, so that two members and it are a majority of three. "
        "Never run it on a member's node. The monitor is degraded while no member is connected."
    )
    parameters = (
        Parameter("binary", "garbd's executable", "Path of garbd.", default="/usr/bin/garbd"),
        Parameter("address", "the group's address", "gcomm:// and the members' addresses, as in the members' "
                  "wsrep_cluster_address.", required=True),
        Parameter("group", "the group's name", "The members' wsrep_cluster_name.", required=True),
        Parameter("options", "provider options", "Options of gcomm, those of evs as in the members' "
                  "wsrep_provider_options, with ; between them."),
        Parameter("user", "system user", "Whom it runs as.", default="nobody"),
        Parameter("workdir", "working directory", "Where it keeps its last view.", default="/var/lib/vimha/garbd",
                  unique=True),
        Parameter("log", "log file", "Where garbd writes.", default="/var/log/vimha/garbd/garbd.log"),
        Parameter("pid", "pid file", "Where to keep the process's number and start time; empty: "
                  "/run/vimha/<resource>.pid.", unique=True),
        Parameter("attribute", "node attribute", "The members' parameter attribute.", default="vimha-galera"),
        Parameter("patience", "seconds of a start", "How long start waits for a first member before it leaves that "
                  "to the monitor.", default="2", kind="integer"),
        *tls.PARAMETERS,
    )  # fmt: skip
    actions = (
        Action("start", 20),
        Action("stop", 10),
        Action("monitor", 2, interval=1, depth=0),
        Action("validate-all", 5),
    )

    def __init__(self, env: "Mapping[str, str]", action: str, deadline: Deadline, system: System) -> None:
        super().__init__(env, action, deadline, system)
        for name in ("binary", "workdir", "log", "pid"):
            value = self.values[name]
            if value and not value.startswith("/"):
                raise OcfError(CONFIGURED, f"parameter {name}={value!r} is not an absolute path")
        if not self.values["address"].startswith("gcomm://") or self.values["address"] == "gcomm://":
            raise OcfError(
                CONFIGURED, f"parameter address={self.values['address']!r} is not gcomm:// and the members' addresses"
            )
        pid_file = self.values["pid"] or f"/run/vimha/{self.instance}.pid"
        self.daemon = Daemon(system, self._command(), pid_file)
        self.output = pid_file.removesuffix(".pid") + ".out"
        self.waiting_file = pid_file.removesuffix(".pid") + ".waiting"
        self.log_size = 0
        """What the log held before garbd was started by this action: earlier runs' words."""
        self.attribute = Attribute(system, self.values["attribute"], private=True)

    def start(self) -> int:
        """Start garbd; 0 when a member is connected, or when it waits for one."""
        if self.daemon.find() is None:
            self._check()
            self.system.write(self.waiting_file, "no member has been connected yet\n")
            self._launch()
        end = self.deadline.sooner(float(self.values["patience"]))
        while not self._connected() and end.left():
            if self.daemon.find() is None:
                raise self._complaint()
            self.system.sleep(POLL_S)
        self.reason = self._report()
        return OK

    def stop(self) -> int:
        """End garbd: it says good-bye to the members, so that they need no time-out."""
        self.daemon.stop(self.deadline.left(), self.deadline)
        self.system.remove(self.waiting_file)
        self.attribute.clear(min(ASK_S, self.deadline.left() / 2))
        return OK

    def monitor(self) -> int:
        """0 a member is connected, 190 none is, 1 frozen, 7 not there."""
        process = self.daemon.find()
        waiting = self.system.read(self.waiting_file) is not None
        if process is None:
            if self.probe or not waiting:
                self.reason = "" if self.probe else "no such process"
                return NOT_RUNNING
            self._launch()
            self.reason = "no member is there; garbd has given up and was started again"
            return DEGRADED
        if process.frozen:
            raise OcfError(GENERIC, "stopped by a signal (state T): it lives, but has no vote")
        if self.probe:
            return OK
        self.reason = self._report()
        return DEGRADED if self.reason else OK

    def validate_all(self) -> int:
        """Level 0: the parameters (done when the agent was made); from level 10: this node's files too."""
        if self.level >= 10:
            self._check()
        return OK

    def _command(self) -> list[str]:
        values = self.values
        options = ["--options", values["options"]] if values["options"] else []
        return [values["binary"], "--address", values["address"], "--group", values["group"], "--name",
                self.env.get("OCF_RESKEY_CRM_meta_on_node") or self.system.node_name(), *options,
                "--workdir", values["workdir"], "--log", values["log"]]  # fmt: skip

    def _check(self) -> None:
        self.need_binary(self.values["binary"])
        if self.values["user"] and not self.system.user_exists(self.values["user"]):
            raise OcfError(INSTALLED, f"user {self.values['user']} does not exist on this node")
        tls.check(self.system, self.values, self.values["user"])
        user, folder = self.values["user"], self.values["workdir"]
        access = self.system.access(folder)
        if user and access and access[0] != user:
            raise OcfError(
                INSTALLED,
                f"workdir {folder} is {access[0]}'s, so {user} cannot keep its last view there: chown {user}: {folder}",
            )

    def _launch(self) -> None:
        for folder in (self.values["workdir"], self.values["log"].rpartition("/")[0]):
            self.system.own_folder(folder, self.values["user"])
        self.log_size = self.system.size(self.values["log"])
        self.daemon.record(self.system.spawn(self._command(), self.values["user"], self.output))

    def _report(self) -> str:
        """Say who we are, to those who elect; why we are degraded, empty when we are not."""
        if not self._connected():
            return f"no member of {self.values['address']} is connected"
        self.system.remove(self.waiting_file)
        view = parse_view(self.system.read(f"{self.values['workdir']}/gvwstate.dat") or "")
        word = decode(self.attribute.published() or "")
        if view or word:
            me = view.me if view else word.view.me if word and word.view else ""
            said = Word(ARBITER, view=View(me, me, 0, (me,)))
            self.attribute.publish(encode(said), min(ASK_S, self.deadline.left() / 2))
        return ""

    def _connected(self) -> bool:
        return any(connected(self.system.read(f"/proc/net/{name}") or "") for name in ("tcp", "tcp6"))

    def _complaint(self) -> OcfError:
        written = self.system.size(self.values["log"]) - self.log_size
        text = self.system.tail(self.output, LOG_TAIL) + self.system.tail(self.values["log"], min(written, LOG_TAIL))
        return failure(text.splitlines())


def connected(table: str) -> bool:
    """True when /proc/net/tcp shows a connection of the group, from or to its port."""
    port = f":{GROUP_PORT:04X}"
    rows = [line.split() for line in table.splitlines()[1:]]
    return any(
        len(row) > 3 and row[3] == ESTABLISHED and (row[1].endswith(port) or row[2].endswith(port)) for row in rows
    )


def failure(lines: "Iterable[str]") -> OcfError:
    """What garbd complained of, in its log or on its output, as an error; GENERIC when the cause may pass by itself."""
    said = [line.strip() for line in lines if any(sign in line for sign in ("ERROR", "FATAL", "error"))]
    said = [line.partition(": ")[2] if line[:2].isdecimal() else line for line in said]
    for sign, code, remedy in CAUSES:
        if hit := next((line for line in said if sign in line), ""):
            return OcfError(code, f"{remedy}: {hit}")
    return OcfError(GENERIC, f"it ended as it started: {said[-1] if said else 'it gave no reason'}")


AGENT = Garbd

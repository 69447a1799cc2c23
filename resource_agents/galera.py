"""OCF resource agent for a member of a Galera cluster (rows A3, A8, A9).

Invariant: a node that is behind never bootstraps, and two never do (wsrep/election.py), and no databases but those of a
joiner, of the same cluster, are ever overwritten. A member is healthy when it is ready, Synced and has quorum.

A member whose disk is full is degraded, not failed, while the cluster keeps it: it still answers reads, votes and holds
a copy, a restart makes no room, and its peers' disks, which hold the same, may be as full. The health endpoint
sends its clients elsewhere. Once it could not apply a write that its peers could, Galera takes it out: then it is
failed at once, and the start that follows is refused (5) until there is room; it takes a copy of all data then.

A clone's start must not wait for peers: while an action runs, Pacemaker starts nothing else, the peers neither.
So start takes steps for `patience` seconds at most; if the member is under way by then, by an election or a transfer,
it succeeds, and each monitor takes the next step, degraded (190) until the member is synced.
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
from resource_agents.ocf.peers import Refuse, Wait, parse_members
from resource_agents.ocf.process import Process
from resource_agents.ocf.refusal import Refusal
from resource_agents.ocf.runtime import INFO, log
from resource_agents.ocf.system import System
from resource_agents.wsrep.council import Council
from resource_agents.wsrep.election import Bootstrap, Call, confirmed
from resource_agents.wsrep.member import Member, Unreadable
from resource_agents.wsrep.progress import Progress
from resource_agents.wsrep.room import GRACE_S, degraded, lack
from resource_agents.wsrep.spare import Teller
from resource_agents.wsrep.status import DONOR, INCONSISTENT, Status
from resource_agents.wsrep.word import CLAIM, ELECT, JOIN, PRIMARY, SPARE, Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

POLL_S = 0.05
CHECK_SHARE = 0.7
"""How much of an action's time a look may take; the rest is ours, to say what is wrong."""
LOOK_S = 0.5
"""The longest that one look takes while the member is under way, or is to be stopped anyway."""
STALL_S = 30.0
"""A joiner that neither receives nor applies anything for so long is failed (issue 3)."""
FORM_S = 10.0
"""How long members may take to find a primary component or to re-form one (measured: 1.2 s), before they elect."""
UNREACHED = (
    "if this lasts, are ports 4567 and 4444 open between the members, and wsrep_cluster_name and TLS the same, or has "
    "another site their addresses?"
)
GROUP_PORT = 4567
"""gmcast.listen_addr's default port."""
OUTAGE_S = 2.0
"""How long a member may be without quorum before it is failed: Galera heals a short loss of the network in 1.3 s."""
BROKEN_S = 5.0
"""How long a donor may be not ready though nobody joins, before it is failed: it hears at once of a transfer's end."""
OUTAGE, BROKEN = -2, -4
"""What `progress` keeps instead of an amount while a member has no quorum, or a donor nobody who joins."""
ATTEMPTS = 3
"""So many starts of mariadbd end by themselves before the resource is failed."""


class Galera(Agent):
    name = "galera"
    short = "Member of a MariaDB Galera cluster"
    long = (
        "Runs one member of a Galera cluster on each node of a clone. start recovers the position, re-forms the last "
        "view when all of its members are there, and else lets the node with the highest position begin the cluster, "
        "once, and the others join it. A first start needs all nodes of `members`; a datadir is initialised only when "
        "it is empty. A node where no member is started tells its data too; if it alone has the latest, it is called: "
        "its node attribute vimha-galera-called is 1, for which the clone needs a location rule. While it waits for a "
        "node or a state transfer runs, the resource is started but degraded, and says what it waits for. If that node "
        "will never come back, you decide which one begins:\n"
        "  vimha decide RESOURCE NODE, or attrd_updater --private --name vimha-galera-bootstrap --update POSITION "
        "--node NODE\n"
        "with the POSITION that the node says (attrd_updater --query --all --name vimha-galera); it is refused while a "
        "node that is present is ahead."
    )
    parameters = (
        Parameter("binary", "mariadbd's executable", "Path of mariadbd.", default="/usr/sbin/mariadbd"),
        Parameter("config", "option file", "The only option file that is read.", default="/etc/vimha/galera.cnf"),
        Parameter("user", "system user", "Whom mariadbd runs as.", default="mysql"),
        Parameter("datadir", "data directory", "Where the databases are.", default="/var/lib/mysql", unique=True),
        Parameter("socket", "unix socket", "Where it listens on this host.", default="/run/mysqld/mysqld.sock",
                  unique=True),
        Parameter("log", "error log", "Where mariadbd writes what went wrong.", default="/var/log/mysql/error.log"),
        Parameter("pid", "pid file", "Where to keep the process's number and start time; empty: "
                  "/run/vimha/<resource>.pid.", unique=True),
        Parameter("account", "database account", "Who looks, identified by unix_socket.", default="root"),
        Parameter("defaults_file", "credentials", "An option file, mode 0600, whose section [client] has user and "
                  "password; empty: `account` by unix_socket."),
        Parameter("members", "all members", "NAME=ADDRESS of every node that holds the data, separated by spaces; an "
                  "arbitrator is none.", required=True),
        Parameter("attribute", "node attribute", "Under which name the nodes tell each other their state; it is "
                  "private, so it never reaches the CIB.", default="vimha-galera", unique=True),
        Parameter("patience", "seconds of a start", "How long start waits for the member to be synced before it "
                  "leaves the rest to the monitor.", default="5", kind="integer"),
        *tls.PARAMETERS,
    )  # fmt: skip
    actions = (
        Action("start", 120),
        Action("stop", 30),
        Action("monitor", 5, interval=1, depth=0),
        Action("validate-all", 5),
    )
    looks_s = 0.0

    def __init__(self, env: "Mapping[str, str]", action: str, deadline: Deadline, system: System) -> None:
        super().__init__(env, action, deadline, system)
        for name in ("binary", "config", "datadir", "socket", "log", "pid", "defaults_file"):
            value = self.values[name]
            if value and not value.startswith("/"):
                raise OcfError(CONFIGURED, f"parameter {name}={value!r} is not an absolute path")
        self.members = parse_members(self.values["members"])
        self.node = env.get("OCF_RESKEY_CRM_meta_on_node") or system.node_name()
        pid_file = self.values["pid"] or f"/run/vimha/{self.instance}.pid"
        self.member = Member(system, self.values, pid_file)
        self.progress = Progress(system, pid_file.removesuffix(".pid") + ".progress")
        self.refusal = Refusal(system, pid_file.removesuffix(".pid") + ".refused")
        self.council = self._council(deadline)
        self.teller = Teller(
            system, self.member, self._council, pid_file.removesuffix(".pid") + ".spare.pid", self._note
        )  # fmt: skip

    def main_pid(self) -> int:
        process = self.member.daemon.find()
        return process.pid if process else 0

    def start(self) -> int:
        """Start the member; 0 when it is synced, or under way after `patience` seconds."""
        self.teller.end(self.deadline)
        if self.member.daemon.find() is None:
            self._check()
            self.refusal.repeat()
            self.progress.forget()
            self.member.install(self.deadline)
            self.council.say(self.member.recover(self.deadline))
        end = self.deadline.sooner(float(self.values["patience"]))
        waiting = self._step()
        while waiting and end.left():
            self.system.sleep(POLL_S)
            waiting = self._step()
        self.reason = waiting
        return OK

    def stop(self) -> int:
        """End the member: cleanly, so that Galera writes its position and safe_to_bootstrap; by SIGKILL at the latest
        half-way through the time-out, and at once when it is frozen, or out of its cluster: its state counts no more.
        """
        self.teller.end(self.deadline)
        view, grace_s = "", GRACE_S if lack(self.system, self.values["datadir"]) else self.deadline.left()
        if process := self.member.daemon.find():
            status = None if process.frozen else self._glance()
            view = self.member.datadir.view_text() if status and not status.ready else ""
            grace_s = 0.0 if status and status.local_state == INCONSISTENT else grace_s
            if status and status.synced:
                self.member.datadir.settle()
        self.member.daemon.stop(grace_s, self.deadline)
        self.member.datadir.restore_view(view)
        self.progress.forget()
        self.council.leave()
        self._tell_data()
        return OK

    def monitor(self) -> int:
        """0 synced, 190 donor, in transfer, waiting or short of room, 1 frozen, hung or without quorum, 7 not there."""
        self.teller.end(self.deadline)
        process = self.member.daemon.find()
        word = self.council.said()
        if process is None and self.probe:
            self._tell_data()
            return NOT_RUNNING
        if process is None and (word is None or word.phase in (PRIMARY, SPARE)):
            self.reason = "no such process"
            return NOT_RUNNING
        if process and process.frozen:
            raise OcfError(GENERIC, "stopped by a signal (state T): it lives, but serves nobody")
        if self.probe:
            return OK
        try:
            self.reason = self._step() if word and word.phase != PRIMARY else self._health()
        except Unreadable as state:
            self.reason = f"it lives, but its state is not known: {state}"
        except OcfError as failure:
            self.refusal.keep(failure)
            raise
        return DEGRADED if self.reason else OK

    def validate_all(self) -> int:
        """Level 0: the parameters (done when the agent was made); from level 10: this node's files too."""
        if self.level >= 10:
            self._check()
        return OK

    def _council(self, deadline: Deadline) -> Council:
        return Council(
            self.system, self.node, list(self.members), resource=self.instance, name=self.values["attribute"],
            deadline=deadline, note=self._note,
        )  # fmt: skip

    def _note(self, text: str) -> None:
        log(self.env, self.name, INFO, text)

    def _spares(self) -> bool:
        """Whether the clone has fewer instances than there are nodes for them."""
        instances = self.env.get("OCF_RESKEY_CRM_meta_clone_max", "")
        return instances.isdecimal() and int(instances) < len(self.members)

    def _tell_data(self) -> None:
        """No member runs here: let those that may be waiting for this node's data know them."""
        if self.node in self.members and len(self.members) > 1:
            self.teller.begin()

    def _check(self) -> None:
        """OcfError(INSTALLED) for what this node lacks."""
        self.need_binary(self.values["binary"])
        self.need_file(self.values["config"], "configuration")
        if self.values["user"] and not self.system.user_exists(self.values["user"]):
            raise OcfError(INSTALLED, f"user {self.values['user']} does not exist on this node")
        if self.node not in self.members:
            raise OcfError(INSTALLED, f"parameter members does not name this node, {self.node}")
        tls.check(self.system, self.values, self.values["user"])
        self.member.check()

    def _step(self) -> str:
        """One step towards a synced member; what it waits for, empty when it is synced."""
        process = self.member.daemon.find()
        word = self.council.said()
        return self._elect(word) if process is None else self._follow(process, word)

    def _elect(self, word: Word | None) -> str:
        """mariadbd does not run: decide, say so, and start it when everybody must have heard that."""
        if word is None or word.phase != ELECT:
            ended = self.progress.end()
            if ended >= ATTEMPTS:
                raise self.member.complaint(f"it ended as it started, {ended} times")
            failure = self.member.complaint("it ended as it started")
            if failure.code == INSTALLED:
                raise failure
            word = self.member.recover(self.deadline)
            self.council.say(word)
        seen = self.council.seen(word)
        if self.node not in seen:
            return "waits for Pacemaker's attribute daemon to show this node's own state"
        decision, forced = self.council.decide(word, seen)
        if isinstance(decision, Refuse):
            raise OcfError(INSTALLED, decision.reason)
        if isinstance(decision, Call) and self.action == "monitor" and self._spares():
            self.council.call(decision.node)
        if isinstance(decision, Wait):
            return decision.reason
        said = word.said(CLAIM if isinstance(decision, Bootstrap) else JOIN)
        self.council.say(said)
        seen = self.council.heard(said)
        if not (seen and confirmed(self.node, list(self.members), seen, forced=forced)):
            self.council.say(word)
            return "another node was about to start its member; looks again"
        log(self.env, self.name, INFO, f"{decision!r}")
        self.member.launch(word, bootstrap=isinstance(decision, Bootstrap))
        self.progress.idle(-1)
        return f"started: {decision.reason}"

    def _follow(self, process: Process, word: Word | None) -> str:
        """mariadbd runs and is not synced yet: empty when it is; OcfError when it gets nowhere."""
        if process.frozen:
            raise OcfError(GENERIC, "stopped by a signal (state T): it lives, but serves nobody")
        try:
            status = self.member.status(min(LOOK_S, self.deadline.left() * CHECK_SHARE))
        except TimeoutError:
            status = None
        except Unreadable as state:
            if self.action == "start":
                raise OcfError(INSTALLED, str(state)) from state
            raise
        if status and status.synced:
            self._settle(status)
            return ""
        amount = self.system.usage(self.values["datadir"]) + (status.last_committed if status else 0)
        idle = self.progress.idle(amount)
        if status and status.primary:
            told = f"{status.state_comment or 'state transfer'}, {max(status.last_committed, 0)} committed"
        else:
            told = f"state transfer or search for the primary component, {amount >> 20} MiB here"
            if idle > FORM_S and word:
                if not (primary := self.council.primary(word)):
                    return self._form_anew(word)
                tls.meet(self.values, primary, (self.members[primary], GROUP_PORT), LOOK_S)
                told = f"{told}; {primary} is in it: {UNREACHED}"
        if idle > STALL_S:
            raise self.member.complaint(f"no progress for {idle:.0f} s: {told}")
        return told

    def _form_anew(self, word: Word) -> str:
        """Nobody is primary, and the last view did not form: kill the member, and elect without its view."""
        self.member.daemon.stop(0.0, self.deadline)
        self.member.datadir.set_view_aside()
        self.council.say(word.said(JOIN))
        self.progress.forget()
        return f"no primary component formed within {FORM_S:g} s; elects anew"

    def _health(self) -> str:
        """Why a member that was synced is degraded, empty when it is well; OcfError when it is failed."""
        budget = self.deadline.left() * CHECK_SHARE
        try:
            status = self.member.status(budget)
        except TimeoutError:
            raise OcfError(GENERIC, f"mariadbd does not answer within {budget:.2f} s: it hangs") from None
        if status is None:
            raise OcfError(GENERIC, f"mariadbd does not listen at {self.values['socket']}")
        if not status.primary:
            return self._outage(status)
        self._settle(status)
        if status.synced:
            self.progress.forget()
            return degraded(self.system, self.values["datadir"])
        if status.local_state == DONOR:
            return self._donor(status)
        idle = self.progress.idle(status.last_committed)
        if idle > STALL_S:
            raise OcfError(GENERIC, f"no progress for {idle:.0f} s: {status!r}")
        return f"catches up: {status!r}"

    def _donor(self, status: Status) -> str:
        """Why a donor is degraded; OcfError when it stays one for ever, and not ready: it was without quorum when its
        transfer ended, so nobody heard that (codership/galera, issues 580 and 610). A new start is all that helps.
        """
        word = self.council.said()
        if status.ready or word is None or self.council.joining(word):
            self.progress.forget()
            return "donor: it sends its state to a joiner, or is desynced by an operator"
        idle = self.progress.idle(BROKEN)
        if idle > BROKEN_S:
            raise OcfError(GENERIC, f"its transfer broke off as it lost its quorum, {idle:.0f} s ago: {status!r}")
        return f"donor, and nobody joins: {status!r}"

    def _outage(self, status: Status) -> str:
        """Without quorum: degraded for a moment, then failed; at once when the cluster has taken it out for good."""
        if status.local_state == INCONSISTENT:
            cause = lack(self.system, self.values["datadir"]) or f"{self.values['log']} tells which and why"
            what = "its cluster took it out, for it could not apply a write; it needs a copy of all data"
            raise OcfError(GENERIC, f"{what}: {cause}")
        idle = self.progress.idle(OUTAGE)
        if idle > OUTAGE_S:
            raise OcfError(GENERIC, f"without quorum for {idle:.1f} s: {status!r}")
        return f"without quorum: {status!r}"

    def _settle(self, status: Status) -> None:
        """The member is in the primary component: let everybody know."""
        before = self.council.said()
        self.council.say(Word(PRIMARY, kind="state", uuid=status.uuid))
        if before is None or before.phase != PRIMARY:
            self.member.datadir.settle()
            self.progress.forget()
            self.council.settle(before)

    def _glance(self) -> Status | None:
        """A quick look, for an action that goes on whatever it sees."""
        try:
            return self.member.status(min(LOOK_S, self.deadline.left() / 4))
        except (OSError, OcfError, Unreadable):
            return None


AGENT = Galera

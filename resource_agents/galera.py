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
from resource_agents.ocf.peers import Decision, Refuse, Wait, parse_members
from resource_agents.ocf.process import Process
from resource_agents.ocf.refusal import Refusal
from resource_agents.ocf.runtime import INFO, log
from resource_agents.ocf.system import System
from resource_agents.wsrep.election import Bootstrap, confirmed, decide
from resource_agents.wsrep.member import Member, Unreadable
from resource_agents.wsrep.room import GRACE_S, degraded, lack
from resource_agents.wsrep.status import DONOR, INCONSISTENT, Status
from resource_agents.wsrep.word import CLAIM, ELECT, JOIN, PRIMARY, Word, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

POLL_S = 0.05
CHECK_SHARE = 0.7
"""How much of an action's time a look may take; the rest is ours, to say what is wrong."""
LOOK_S = 0.5
"""The longest that one look takes while the member is under way, or is to be stopped anyway."""
ASK_S = 1.0
"""The longest that the attribute daemon may take to answer, or to show our own word."""
STALL_S = 30.0
"""A joiner that neither receives nor applies anything for so long is failed (issue 3)."""
FORM_S = 10.0
"""How long members may take to find a primary component or to re-form one (measured: 1.2 s), before they elect."""
UNREACHED = (
    "if this lasts, are ports 4567 and 4444 open between the members, and wsrep_cluster_name the same, or has another "
    "site their addresses?"
)
OUTAGE_S = 2.0
"""How long a member may be without quorum before it is failed: Galera heals a short loss of the network in 1.3 s."""
ATTEMPTS = 3
"""So many starts of mariadbd end by themselves before the resource is failed."""


class Galera(Agent):
    name = "galera"
    short = "Member of a MariaDB Galera cluster"
    long = (
        "Runs one member of a Galera cluster on each node of a clone. start recovers the position, re-forms the last "
        "view when all of its members are there, and else lets the node with the highest position begin the cluster, "
        "once, and the others join it. A first start needs all nodes of `members`; a datadir is initialised only when "
        "it is empty. While it waits for a node or a state transfer runs, the resource is started but degraded, and "
        "says what it waits for. If that node will never come back, you decide which one begins:\n"
        "  attrd_updater --name vimha-galera-bootstrap --update POSITION --node NODE\n"
        "with the POSITION that the reason names; it is refused while a node that is present is ahead."
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
    )  # fmt: skip
    actions = (
        Action("start", 120),
        Action("stop", 30),
        Action("monitor", 5, interval=1, depth=0),
        Action("validate-all", 5),
    )

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
        self.progress_file = pid_file.removesuffix(".pid") + ".progress"
        self.refusal = Refusal(system, pid_file.removesuffix(".pid") + ".refused")
        self.attribute = Attribute(system, self.values["attribute"], private=True)
        self.choice = Attribute(system, f"{self.values['attribute']}-bootstrap", private=True)

    def start(self) -> int:
        """Start the member; 0 when it is synced, or under way after `patience` seconds."""
        if self.member.daemon.find() is None:
            self._check()
            self.refusal.repeat()
            self.system.remove(self.progress_file)
            self.member.install(self.deadline)
            self._say(self.member.recover(self.deadline))
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
        view, grace_s = "", GRACE_S if lack(self.system, self.values["datadir"]) else self.deadline.left()
        if process := self.member.daemon.find():
            status = None if process.frozen else self._glance()
            view = self.member.datadir.view_text() if status and not status.primary else ""
            grace_s = 0.0 if status and status.local_state == INCONSISTENT else grace_s
        self.member.daemon.stop(grace_s, self.deadline)
        self.member.datadir.restore_view(view)
        self.system.remove(self.progress_file)
        for trouble in self.attribute.clear(min(ASK_S, self.deadline.left() / 2)):
            log(self.env, self.name, INFO, f"{self.values['attribute']} may be left behind: {trouble}")
        return OK

    def monitor(self) -> int:
        """0 synced, 190 donor, in transfer, waiting or short of room, 1 frozen, hung or without quorum, 7 not there."""
        process = self.member.daemon.find()
        word = decode(self.attribute.published() or "")
        if process is None and (self.probe or word is None or word.phase == PRIMARY):
            self.reason = "" if self.probe else "no such process"
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

    def _check(self) -> None:
        """OcfError(INSTALLED) for what this node lacks."""
        self.need_binary(self.values["binary"])
        self.need_file(self.values["config"], "configuration")
        if self.values["user"] and not self.system.user_exists(self.values["user"]):
            raise OcfError(INSTALLED, f"user {self.values['user']} does not exist on this node")
        if self.node not in self.members:
            raise OcfError(INSTALLED, f"parameter members does not name this node, {self.node}")
        self.member.check()

    def _step(self) -> str:
        """One step towards a synced member; what it waits for, empty when it is synced."""
        process = self.member.daemon.find()
        word = decode(self.attribute.published() or "")
        return self._elect(word) if process is None else self._follow(process, word)

    def _elect(self, word: Word | None) -> str:
        """mariadbd does not run: decide, say so, and start it when everybody must have heard that."""
        if word is None or word.phase != ELECT:
            ended = self._count()
            if ended >= ATTEMPTS:
                raise self.member.complaint(f"it ended as it started, {ended} times")
            failure = self.member.complaint("it ended as it started")
            if failure.code == INSTALLED:
                raise failure
            word = self.member.recover(self.deadline)
            self._say(word)
        seen = self._seen(word)
        if self.node not in seen:
            return "waits for Pacemaker's attribute daemon to show this node's own state"
        decision, forced = self._decide(word, seen)
        if isinstance(decision, Refuse):
            raise OcfError(INSTALLED, decision.reason)
        if isinstance(decision, Wait):
            return decision.reason
        said = word.said(CLAIM if isinstance(decision, Bootstrap) else JOIN)
        self._say(said)
        seen = self._heard(said)
        if not (seen and confirmed(self.node, list(self.members), seen, forced=forced)):
            self._say(word)
            return "another node was about to start its member; looks again"
        log(self.env, self.name, INFO, f"{decision!r}")
        self.member.launch(word, bootstrap=isinstance(decision, Bootstrap))
        self._progress(-1)
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
        idle = self._progress(amount)
        if status and status.primary:
            told = f"{status.state_comment or 'state transfer'}, {max(status.last_committed, 0)} committed"
        else:
            told = f"state transfer or search for the primary component, {amount >> 20} MiB here"
            if idle > FORM_S and word:
                if not (primary := self._primary(word)):
                    return self._form_anew(word)
                told = f"{told}; {primary} is in it: {UNREACHED}"
        if idle > STALL_S:
            raise self.member.complaint(f"no progress for {idle:.0f} s: {told}")
        return told

    def _form_anew(self, word: Word) -> str:
        """Nobody is primary, and the last view did not form: kill the member, and elect without its view."""
        self.member.daemon.stop(0.0, self.deadline)
        self.member.datadir.set_view_aside()
        self._say(word.said(JOIN))
        self.system.remove(self.progress_file)
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
            self.system.remove(self.progress_file)
            return degraded(self.system, self.values["datadir"])
        if status.local_state == DONOR:
            return "donor: it sends its state to a joiner, or is desynced by an operator"
        idle = self._progress(status.last_committed)
        if idle > STALL_S:
            raise OcfError(GENERIC, f"no progress for {idle:.0f} s: {status!r}")
        return f"catches up: {status!r}"

    def _outage(self, status: Status) -> str:
        """Without quorum: degraded for a moment, then failed; at once when the cluster has taken it out for good."""
        if status.local_state == INCONSISTENT:
            cause = lack(self.system, self.values["datadir"]) or f"{self.values['log']} tells which and why"
            what = "its cluster took it out, for it could not apply a write; it needs a copy of all data"
            raise OcfError(GENERIC, f"{what}: {cause}")
        idle = self._progress(-2)
        if idle > OUTAGE_S:
            raise OcfError(GENERIC, f"without quorum for {idle:.1f} s: {status!r}")
        return f"without quorum: {status!r}"

    def _settle(self, status: Status) -> None:
        """The member is in the primary component: let everybody know."""
        before = decode(self.attribute.published() or "")
        self._say(Word(PRIMARY, kind="state", uuid=status.uuid))
        if before is None or before.phase != PRIMARY:
            self.member.datadir.settle()
            self.system.remove(self.progress_file)
            if self._forced(before):
                self.choice.clear(ASK_S)

    def _glance(self) -> Status | None:
        """A quick look, for an action that goes on whatever it sees."""
        try:
            return self.member.status(min(LOOK_S, self.deadline.left() / 4))
        except (OSError, OcfError, Unreadable):
            return None

    # What the nodes tell each other.

    def _say(self, word: Word) -> None:
        """Publish our word. What the attribute daemon did not take is said again by the next step."""
        if len(self.members) == 1:
            self.attribute.keep(encode(word))
            return
        trouble = self.attribute.publish(encode(word), min(ASK_S, max(self.deadline.left() / 2, 0.05)))
        if trouble:
            log(self.env, self.name, INFO, f"{word.phase} not published: {trouble[0]}")

    def _seen(self, word: Word) -> dict[str, Word]:
        """What everybody says; without our own word when the attribute daemon does not show it as it is."""
        if len(self.members) == 1:
            return {self.node: word}
        self._say(word)
        try:
            values = self.attribute.seen(min(ASK_S, max(self.deadline.left() / 2, 0.05)))
        except OSError:
            return {}
        seen = {name: found for name, value in values.items() if (found := decode(value))}
        if values.get(self.node) != encode(word):
            seen.pop(self.node, None)
        return seen

    def _heard(self, word: Word) -> dict[str, Word]:
        """What everybody says once the attribute daemon shows our own `word`; nothing when it does not in time."""
        end = self.deadline.sooner(ASK_S)
        while self.node not in (seen := self._seen(word)):
            if not end.left():
                return {}
            self.system.sleep(POLL_S)
        return seen

    def _primary(self, word: Word) -> str:
        """A node that says it is in the primary component; empty when none does."""
        return min((name for name, other in self._seen(word).items() if other.phase == PRIMARY), default="")

    def _forced(self, word: Word | None) -> bool:
        """True when the operator chose this node to begin, with the very position that it has."""
        if word is None or word.phase == PRIMARY or len(self.members) == 1:
            return False
        try:
            return self.choice.seen(ASK_S).get(self.node) == word.position
        except OSError:
            return False

    def _decide(self, word: Word, seen: "Mapping[str, Word]") -> tuple[Decision, bool]:
        """What to do, and whether the operator chose it; a wait tells how, if that can be chosen for this node."""
        members = list(self.members)
        decision = decide(self.node, members, seen)
        choice = decide(self.node, members, seen, forced=True)
        if not (isinstance(decision, Wait) and isinstance(choice, Bootstrap)):
            return decision, False
        if self._forced(word):
            return choice, True
        name = f"{self.values['attribute']}-bootstrap"
        return Wait(
            f"{decision.reason}. If that cannot come, decide that {self.node} begins: "
            f"attrd_updater --name {name} --update {word.position} --node {self.node} --private"
        ), False

    # Progress, kept between actions: what was reached, when, and how many tries have ended.

    def _progress(self, amount: int) -> float:
        """Seconds since `amount` last changed."""
        known, since, ended = self._recorded()
        now = self.system.monotonic()
        if known != amount or since > now:
            self.system.write(self.progress_file, f"{amount} {now:.3f} {ended}\n")
            return 0.0
        return now - since

    def _count(self) -> int:
        """One more start that ended by itself; how many there were."""
        _, _, ended = self._recorded()
        self.system.write(self.progress_file, f"-1 {self.system.monotonic():.3f} {ended + 1}\n")
        return ended + 1

    def _recorded(self) -> tuple[int, float, int]:
        words = (self.system.read(self.progress_file) or "").split()
        try:
            return int(words[0]), float(words[1]), int(words[2])
        except (IndexError, ValueError):
            return -3, 0.0, 0


AGENT = Galera

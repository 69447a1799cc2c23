"""How a broker comes up: it speaks with the other nodes, waits for its turn, starts, and proves that it is a member.

It runs beside the agent, as a process that start leaves behind: a start that waited for peers would keep Pacemaker
from starting those peers, and from everything else. Its state is a file that start and monitor read.

Invariant: no client is served before the node is a member of the one cluster (election.py), and stop ends it first.
"""

from resource_agents.amqp.broker import Broker
from resource_agents.amqp.database import names
from resource_agents.amqp.election import Begin, Boot, Call, Join, confirmed, decide, strangers
from resource_agents.amqp.handshake import check
from resource_agents.amqp.membership import ask
from resource_agents.amqp.served import stamp
from resource_agents.amqp.word import CLAIM, ELECT, JOIN, UP, Word, decode, encode
from resource_agents.ocf.agent import DEGRADED, GENERIC, INSTALLED, OK, Deadline, OcfError
from resource_agents.ocf.attribute import Attribute
from resource_agents.ocf.called import Calls
from resource_agents.ocf.peers import Decision, Refuse, Wait
from resource_agents.ocf.system import System

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

POLL_S = 0.1
LISTEN_S = 0.25
"""How often a waiting node hears what the others say; each time costs a process."""
ASK_S = 1.0
"""The longest that the attribute daemon may take to answer, or to show our own word."""
OLD_S = 15.0
"""How long an earlier Erlang VM may take to end by itself (measured: 6 s)."""
BOOT_S = 300.0
"""The longest boot: RabbitMQ itself gives up waiting for tables after ten times 30 s."""
STALL_S = 60.0
"""A boot that prints nothing for so long and does not end is failed."""
TOOL_S = 15.0
"""The longest that one of RabbitMQ's tools may take (measured: 0.5 s, forgetting a node 3 s)."""
ATTEMPTS = 3
"""So many starts of the VM end by themselves before the resource is failed."""
TURN_S = 0.3
"""Members that gave way to each other try again this much apart, in the order of `members`."""


class Formation:
    """One coming up of `broker`, the instance of `resource` here, one of `active` that are to run; `tell` takes the OCF
    code so far (190: under way) and the reason, and `restore` is called when the broker serves (replicas.py).
    """

    def __init__(
        self, system: System, broker: Broker, members: dict[str, str], values: dict[str, str], *,
        resource: str, active: int, tell: "Callable[[int, str], None]", restore: "Callable[[], None]",
    ) -> None:  # fmt: skip
        self._system = system
        self._broker = broker
        self._members = members
        self._me = broker.name
        self._resource = resource
        self._user = values["user"]
        self._hope_s = float(values["patience_for_peers"])
        self._active = active
        self._spares = active < len(members)
        self._attribute = Attribute(system, values["attribute"], private=True)
        self._choice = Attribute(system, f"{values['attribute']}-begin", private=True)
        self._calls = Calls(system, values["attribute"])
        self._called: Sequence[str] = ()
        self._tell = tell
        self._restore = restore
        self._begun = system.monotonic()
        self._cookie = broker.cookie()

    def run(self) -> None:
        """Until the broker serves, or cannot; what came of it goes to `tell`."""
        try:
            self._come_up()
        except OcfError as failure:
            self._give_up(failure.code, failure.reason)
        except Exception as error:
            self._give_up(GENERIC, f"coming up: {type(error).__name__}: {error}")

    def _give_up(self, code: int, reason: str) -> None:
        """Leave the turn to others."""
        self._tell(code, reason)
        self._broker.daemon.stop(0.0, self._deadline(OLD_S))
        self._attribute.clear(ASK_S)

    def _come_up(self) -> None:
        self._outlast_earlier()
        self._broker.check_ports()
        self._broker.prepare()
        failed = 0
        while True:
            word = self._look()
            decision = self._turn(word)
            try:
                self._start(decision)
                break
            except OcfError as failure:
                self._broker.daemon.stop(0.0, self._deadline(OLD_S))
                failed += 1
                if failure.code == INSTALLED or failed == ATTEMPTS:
                    raise
                self._tell(DEGRADED, f"tries again: {failure.reason}")
        stamp(self._system, self._broker.database.base)
        self._say(self._anew(word, UP))
        self._tell(OK, "")
        self._tidy()

    def _outlast_earlier(self) -> None:
        """The VM of an earlier run may still be on its way out; its ports and its name are ours only afterwards."""
        end = self._deadline(OLD_S)
        while (process := self._broker.daemon.find()) and not process.frozen and end.left():
            self._tell(DEGRADED, "waits for the Erlang VM of an earlier run to end")
            self._system.sleep(POLL_S)
        self._broker.daemon.stop(0.0, self._deadline(OLD_S))

    def _look(self) -> Word:
        """What this node says of its database; the others hear it."""
        word = self._anew(self._broker.database.word(ELECT, self._members, self._cookie), ELECT)
        self._say(word)
        return word

    def _turn(self, word: Word) -> Decision:
        """Wait until it is this node's turn; what it is to do."""
        names = list(self._members)
        while True:
            forced = self._forced()
            hopeful = self._system.monotonic() - self._begun < self._hope_s
            seen = self._seen(word)
            decision: Decision = Wait("waits for Pacemaker's attribute daemon to show this node's own word")
            if self._me in seen:
                decision = decide(self._me, names, seen, active=self._active, hopeful=hopeful, forced=forced)
            if isinstance(decision, Refuse):
                raise OcfError(INSTALLED, decision.reason)
            if isinstance(decision, Call):
                self._call(decision.nodes)
            if isinstance(decision, Wait):
                self._tell(DEGRADED, self._with_remedy(decision.reason))
                self._system.sleep(LISTEN_S)
                continue
            contradiction = self._contradiction(decision, seen)
            if contradiction:
                self._tell(DEGRADED, contradiction)
                self._system.sleep(LISTEN_S)
                continue
            said = self._anew(word, CLAIM if isinstance(decision, Begin) else JOIN)
            self._say(said)
            heard = self._heard(said)
            if heard and confirmed(self._me, names, heard, active=self._active, hopeful=hopeful, forced=forced):
                return decision
            word = self._anew(word, ELECT)
            self._say(word)
            self._system.sleep(TURN_S * (1 + names.index(self._me)))

    def _forced(self) -> bool:
        """True when the operator chose this node to begin."""
        try:
            return self._me in self._choice.seen(ASK_S)
        except OSError:
            return False

    def _contradiction(self, decision: Decision, seen: dict[str, Word]) -> str:
        """What brokers themselves say against the decision: words can be lost, or outlive a broker for a second."""
        serving = [name for name in self._members if name != self._me and self._serves(name)]
        if isinstance(decision, Begin):
            return f"{serving[0]} serves AMQP but says nothing: see whether Pacemaker runs there" if serving else ""
        up = {name for name, word in seen.items() if name != self._me and word.phase == UP}
        if up and not up & set(serving):
            return f"{min(up)} says that it serves, but does not answer"
        return self._outsider(decision, seen) if self._spares and isinstance(decision, Boot | Join) else ""

    def _outsider(self, decision: Boot | Join, seen: dict[str, Word]) -> str:
        """Why the cluster cannot take this node now; empty when it can. Its members are called."""
        cluster = ask(self._broker, decision.peer, self._deadline(TOOL_S))
        if cluster is None:
            return f"{decision.peer} does not tell who its cluster's members are"
        wrong = cluster.obstacle(self._me, blank=self._broker.database.blank())
        if wrong:
            self._call(sorted(cluster.members & seen.keys()))
        return wrong

    def _call(self, nodes: "Sequence[str]") -> None:
        """Have brokers run on `nodes`, and no other calls; repeated, for another waiting node may take back its own."""
        if not self._spares:
            return
        if nodes != self._called:
            self._calls.end(ASK_S)
            self._called = nodes
        for name in nodes:
            self._calls.call(name, ASK_S)

    def _serves(self, name: str) -> bool:
        try:
            check(self._members[name], self._broker.amqp[1], 0.3, self._system.monotonic)
        except (OSError, ValueError):
            return False
        return True

    def _start(self, decision: Decision) -> None:
        """Do what was decided; OcfError when the broker does not come up by it."""
        deadline = self._deadline(BOOT_S)
        if isinstance(decision, Boot | Join):
            self._broker.meet(decision.peer)
        if isinstance(decision, Boot | Join) and self._forgotten(decision.peer):
            self._tell(DEGRADED, f"{decision.peer}'s cluster has forgotten this node: its old database is set aside")
            self._broker.database.set_aside()
            decision = Join(decision.peer)
        if isinstance(decision, Join):
            self._join(decision.peer, deadline)
        else:
            self._boot(decision, deadline)
        self._await_boot(deadline, self._greets)
        if self._broker.database.joining():
            self._broker.database.end_join()

    def _forgotten(self, peer: str) -> bool:
        """Whether this node has a database of a cluster that goes on without it, as `peer` says."""
        if not self._spares or self._broker.database.blank():
            return False
        cluster = ask(self._broker, peer, self._deadline(TOOL_S))
        if cluster is None:
            raise OcfError(GENERIC, f"{peer} does not tell who its cluster's members are")
        return cluster.serves and self._me not in cluster.members

    def _boot(self, decision: Decision, deadline: Deadline) -> None:
        """Start the VM as it is configured."""
        if isinstance(decision, Begin) and decision.force and not self._broker.database.blank():
            code, said = self._broker.ctl(self._deadline(TOOL_S), "force_boot")
            if code:
                raise OcfError(GENERIC, f"rabbitmqctl force_boot: {' '.join(said.split())[:300]}")
        self._tell(DEGRADED, f"boots: {decision.reason}")
        self._broker.launch()

    def _join(self, peer: str, deadline: Deadline) -> None:
        """Become a member beside `peer` while nobody is served, then serve; OcfError when RabbitMQ made a cluster of
        its own. The VM is not stopped in between if that can be: were `peer` the only other member, it would pause.
        """
        database = self._broker.database
        blank = database.blank()
        if blank:
            self._tell(DEGRADED, f"has {peer} forget what was on this node")
            code, said = self._broker.ctl(
                self._deadline(TOOL_S), "forget_cluster_node", f"rabbit@{self._me}", node=peer
            )
            if code and "not_a_cluster_node" not in said and "not a cluster node" not in said.lower():
                self._check_reach(peer, said)
            self._system.own_folder(database.base, self._user)
            database.begin_join()
        self._tell(DEGRADED, f"joins {peer}")
        self._broker.launch(beside=peer)
        self._await_boot(deadline, self._broker.booted)
        beside = database.members() if blank else self._running()
        if peer not in beside:
            self._broker.daemon.stop(OLD_S, self._deadline(OLD_S * 2))
            raise OcfError(
                GENERIC,
                f"did not become a member beside {peer}: is the network between the cluster planes open (4369, 25672), "
                "and the Erlang cookie the same? Nothing was served meanwhile",
            )
        self._tell(DEGRADED, f"joined {peer}, opens its port")
        if not self._broker.open(self._deadline(TOOL_S)):
            self._broker.daemon.stop(OLD_S, self._deadline(OLD_S * 2))
            self._broker.launch()

    def _check_reach(self, peer: str, said: str) -> None:
        """OcfError when a tool's answer says that it could not speak with the peer at all."""
        if "rejected" in said:
            raise OcfError(INSTALLED, strangers(f"rabbit@{peer}"))
        if "distribution failed" in said:
            raise OcfError(
                GENERIC,
                f"rabbit@{peer} does not let this node in: it hangs, is another site's broker (its Erlang cookie), or "
                "wants TLS, which this node has not",
            )
        if "unable to perform" in said:
            raise OcfError(
                GENERIC, f"rabbit@{peer} cannot be reached: are ports 4369 and 25672 open between the cluster planes?"
            )

    def _running(self) -> frozenset[str]:
        """Whom the VM that runs now sees; it is asked, for what is on disk may be old."""
        code, said = self._broker.ctl(self._deadline(TOOL_S), "eval", "rabbit_mnesia:cluster_nodes(running).")
        return frozenset() if code else names(said)

    def _greets(self) -> bool:
        try:
            check(*self._broker.amqp, 0.5, self._system.monotonic)
        except (OSError, ValueError):
            return False
        return self._broker.booted()

    def _await_boot(self, deadline: Deadline, ready: "Callable[[], bool]") -> None:
        """Until `ready`; OcfError when the VM ends, freezes, or gets nowhere."""
        size, still = -1, self._deadline(STALL_S)
        while not ready():
            process = self._broker.daemon.find()
            if process is None:
                raise self._broker.complaint("it ended as it started")
            if process.frozen:
                raise OcfError(GENERIC, "stopped by a signal (state T) as it started")
            if (now := self._broker.progress()) != size:
                size, still = now, self._deadline(STALL_S)
            if not (still.left() and deadline.left()):
                raise self._broker.complaint(f"no progress for {STALL_S:g} s as it started")
            self._system.sleep(POLL_S)

    def _tidy(self) -> None:
        """What a member owes the cluster once it serves; none of it is worth a failure."""
        for name in sorted(self._broker.database.members() - set(self._members)):
            self._broker.ctl(self._deadline(TOOL_S), "forget_cluster_node", f"rabbit@{name}")
        self._choice.clear(ASK_S)
        if self._spares:
            self._calls.end(ASK_S)
        self._restore()

    def _seen(self, word: Word) -> dict[str, Word]:
        try:
            told = self._attribute.seen(ASK_S)
        except OSError:
            return {}
        found = {name: other for name, value in told.items() if (other := decode(value))}
        if told.get(self._me) != encode(word):
            self._attribute.forget()
            self._say(word)
            found.pop(self._me, None)
        return found

    def _heard(self, word: Word) -> dict[str, Word]:
        """What all nodes say at a moment when our own word is among it; empty when it does not show in time."""
        end = self._deadline(ASK_S)
        while end.left():
            try:
                told = self._attribute.seen(ASK_S)
            except OSError:
                return {}
            if told.get(self._me) == encode(word):
                return {name: other for name, value in told.items() if (other := decode(value))}
            self._system.sleep(POLL_S / 4)
        return {}

    def _anew(self, word: Word, phase: str) -> Word:
        """`word` as it is said now, and was never before."""
        return word.said(phase, int(self._system.monotonic() * 1000))

    def _say(self, word: Word) -> None:
        self._attribute.publish(encode(word), ASK_S)

    def _with_remedy(self, reason: str) -> str:
        if not reason.startswith("waits for"):
            return reason
        return f"{reason}; if that never comes: vimha decide {self._resource} {self._me}"

    def _deadline(self, seconds: float) -> Deadline:
        return Deadline(seconds, self._system.monotonic)

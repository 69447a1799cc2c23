"""Gives this node's broker the replicas of quorum queues that it lacks.

Why: RabbitMQ 3.10 never does (3.13 can). A queue that is declared while a broker boots lists that broker, but nobody
starts the replica there; one that is declared before a broker is a member of the cluster does not list it. The loss of
the next broker then takes the queue's majority: 97 confirmed messages stayed undelivered for a minute.

Invariant: replicas are added, never removed, and by each node to itself. A queue's members change only while all
brokers of the cluster run, the queue has a leader and all of its replicas live; so the change has a majority without
the new replica, which has nothing yet. Of the brokers that a queue lacks only the first of the site's adds itself,
and Raft takes one change of a queue at a time. To start a replica that the queue's record lists is no change; every
boot does it, and no absence forbids it.
"""

from resource_agents.amqp.broker import Broker
from resource_agents.amqp.management import queues_and_brokers
from resource_agents.ocf.agent import Deadline
from resource_agents.ocf.system import System

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Row = dict[str, object]
    Key = tuple[str, str]
    """A queue's virtual host and name."""

GROUP = 3
"""How many replicas a queue gets that does not say (RabbitMQ's quorum_cluster_size)."""
SIZE = "x-quorum-initial-group-size"
ASK_S = 5.0
BATCH = 5
"""So many queues are given a replica by one run of rabbitmqctl."""
ADD_S = 3.0
"""The longest that Raft may take to note one new member (measured: 0.008 s)."""
TOOL_S = BATCH * ADD_S + 5.0
REPAIR_S = 60.0
"""The longest that one repair may take; the next one goes on."""
START = (
    "[begin {_, V, _, N} = amqqueue:get_name(Q), "
    "{N, case catch rabbit_quorum_queue:recover(V, [Q]) of {[_], []} -> started; _ -> failed end} end"
    " || Q <- rabbit_amqqueue:list_local_quorum_queues(), whereis(element(1, amqqueue:get_pid(Q))) =:= undefined]."
)
"""What RabbitMQ's own boot does, for the queues that list this node and have no process on it; what came of it."""

DONE = "done"
"""What an expression gives whose output is what counts: rabbitmqctl prints that too."""


class Replicas:
    """The replicas of `broker`, one of `members`, that `values` (the agent's parameters) describe.

    `say` is told what was done.
    """

    def __init__(
        self, system: System, broker: Broker, members: "Sequence[str]", values: dict[str, str],
        say: "Callable[[str], object]",
    ) -> None:  # fmt: skip
        self._system, self._broker, self._members, self._values, self._say = system, broker, members, values, say

    def restore(self) -> None:
        """Start what this node's boot missed, and then repair."""
        if len(self._members) > 1:
            self._start()
            self.repair()

    def repair(self) -> None:
        """Start and add what the management API says is missing here; nothing when it does not answer."""
        deadline = self._deadline(REPAIR_S)
        tried: set[Key] = set()
        while self._values["management"] and deadline.left():
            try:
                queues, brokers = queues_and_brokers(
                    self._system, self._values["management"], self._values["management_auth"], timeout_s=ASK_S
                )
            except (OSError, ValueError):
                return  # the monitor says so
            idle, lacking = missing(queues, self._broker.name, [name for name in self._members if name in brokers])
            if idle:
                self._start()
            batch = [key for key in lacking if key not in tried][:BATCH]
            if not batch:
                return
            self._add(batch)
            tried.update(batch)

    def _start(self) -> None:
        code, said = self._broker.ctl(self._deadline(TOOL_S), "eval", START)
        told = " ".join(said.split())[:300]
        if code or told != "[]":
            self._say(f"replicas of quorum queues that were not started here: {told}")

    def _add(self, queues: "Sequence[Key]") -> None:
        """Add a replica of each of `queues` here, if Raft lets it."""
        code, said = self._broker.ctl(self._deadline(TOOL_S), "eval", addition(queues))
        outcomes = [line.strip() for line in said.splitlines() if line.strip() not in ("", DONE)]
        added = 0 if code else outcomes.count("ok")
        names = ", ".join(repr(name) for _, name in queues)
        trouble = [line for line in outcomes if line != "ok"]
        self._say(
            f"{added} of {len(queues)} quorum queues were given their missing replica here: {names[:300]}"
            + (f" ({'; '.join(trouble)[:300]})" if trouble else "")
        )

    def _deadline(self, seconds: float) -> Deadline:
        return Deadline(seconds, self._system.monotonic)


def missing(queues: "Sequence[Row]", me: str, brokers: "Sequence[str]") -> "tuple[list[Key], list[Key]]":
    """(queues whose replica on `me` is not started, queues that `me` is to add itself to).

    `brokers` are those of the cluster in the site's order; all of them run, or there are none here.
    """
    idle: list[Key] = []
    lacking: list[Key] = []
    for queue in queues:
        if queue.get("type") != "quorum":
            continue
        key = str(queue.get("vhost")), str(queue.get("name"))
        members, online = hosts(queue.get("members")), hosts(queue.get("online"))
        if me in members:
            if me not in online:
                idle.append(key)
            continue
        absent = [name for name in brokers if name not in members]
        sound = members == online and "@" in str(queue.get("leader"))
        if sound and absent[:1] == [me] and len(members) < wanted(queue, len(members), len(brokers)):
            lacking.append(key)
    return idle, lacking


def wanted(queue: "Row", have: int, brokers: int) -> int:
    """How many replicas `queue` is to have: what it was declared with; else GROUP, or, where an operator gave it
    more, the next odd number, for an even one survives no more losses.
    """
    arguments = queue.get("arguments")
    size = arguments.get(SIZE) if isinstance(arguments, dict) else None
    return min(size if isinstance(size, int) else max(GROUP, have | 1), brokers)


def addition(queues: "Sequence[Key]") -> str:
    """The Erlang that adds this node to `queues`, and prints `ok` or the error of each on a line.

    An addition that was cut short has left a replica that the queue's record does not list: it is written there. A
    queue may be gone by now, or have lost its leader: that is its own error, not the others'.
    """
    keys = ", ".join(f"{{{binary(vhost)}, {binary(name)}}}" for vhost, name in queues)
    return (
        f"[begin Done = (catch rabbit_quorum_queue:add_member(V, N, node(), {ADD_S * 1000:.0f})), "
        "Mended = Done =/= ok andalso (catch rabbit_quorum_queue:repair_amqqueue_nodes(V, N)) =:= repaired, "
        'io:format("~0p~n", [case Mended of true -> ok; false -> Done end]) end '
        f"|| {{V, N}} <- [{keys}]], {DONE}."
    )


def binary(text: str) -> str:
    """`text` as an Erlang binary: its bytes, so that nothing in it is code."""
    return f"<<{','.join(map(str, text.encode()))}>>"


def hosts(nodes: object) -> set[str]:
    """The host parts of rabbit@HOST names."""
    return {str(node).partition("@")[2] for node in nodes} if isinstance(nodes, list) else set()

"""N+M: has the cluster forget a member that was lost and whose part a spare has taken.

Why: RabbitMQ counts all members of its cluster for a majority (pause_minority), those that are gone as well. With three
of four running the next loss would leave two of four, which pause.

Invariant: a member is forgotten only while as many brokers run as are to, they are a majority of the cluster as it is,
and Pacemaker runs none there; and only when no queue needs what that member has: each of its queues has a
leader, and a majority of its replicas lives elsewhere, or it is no replicated queue and is elsewhere. The queues first
give up their replicas there, one after another; so one that was interrupted goes on, and a member that is
forgotten has nothing that anybody misses. It joins anew when it is needed (membership.py).
"""

from resource_agents.amqp.broker import Broker
from resource_agents.amqp.management import all_queues
from resource_agents.amqp.replicas import BATCH, DONE, TOOL_S, binary, hosts
from resource_agents.amqp.word import SPARE, decode
from resource_agents.ocf.agent import Deadline
from resource_agents.ocf.attribute import Attribute
from resource_agents.ocf.system import System

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resource_agents.amqp.replicas import Key, Row

ASK_S = 5.0
FORGET_S = 60.0
"""The longest that one run may take; the next one goes on."""


class Spares:
    """The members of the cluster of `broker` that `values` (the agent's parameters) describe; `say` is told what was
    done, or why it was not.
    """

    def __init__(
        self, system: System, broker: Broker, values: dict[str, str], attribute: Attribute,
        say: "Callable[[str], object]",
    ) -> None:  # fmt: skip
        self._system, self._broker, self._values, self._attribute, self._say = system, broker, values, attribute, say

    def forget(self, lost: "Sequence[str]") -> None:
        """Forget those of the stopped members `lost` on whose nodes no broker is started."""
        try:
            for name in lost:
                if self._rests(name):
                    self._forget(name)
        except (OSError, ValueError) as error:
            self._say(f"{', '.join(lost)} cannot be forgotten now: {error}")

    def _rests(self, name: str) -> bool:
        """Whether no broker is started there."""
        word = decode(self._attribute.seen(ASK_S).get(name, ""))
        return word is None or word.phase == SPARE

    def _forget(self, name: str) -> None:
        deadline = Deadline(FORGET_S, self._system.monotonic)
        while deadline.left():
            queues = all_queues(
                self._system, self._values["management"], self._values["management_auth"], timeout_s=ASK_S
            )
            needed = needing(queues, name)
            if needed:
                shown = ", ".join(queue for _, queue in needed[:3])
                self._say(f"{name} is lost and stays a member: {len(needed)} queues need what it has: {shown}")
                return
            listing = [key_of(row) for row in queues if row.get("type") == "quorum" and name in hosts(row["members"])]
            if not listing:
                if self._rests(name):
                    self._leave_out(name)
                return
            code, said = self._broker.ctl(self._deadline(), "eval", removal(listing[:BATCH], name))
            wrong = [line for line in said.split("\n") if line.strip() not in ("", "ok", DONE)]
            if code or wrong:
                self._say(f"{name} is lost and stays a member: its replicas stay: {' '.join(wrong)[:300]}")
                return

    def _leave_out(self, name: str) -> None:
        """Have the cluster forget `name`, which has nothing any more."""
        code, said = self._broker.ctl(self._deadline(), "forget_cluster_node", f"rabbit@{name}")
        if code:
            self._say(f"{name} is lost and could not be forgotten: {' '.join(said.split())[:300]}")
        else:
            self._say(f"{name} was lost and is forgotten, for a spare has its part; it joins anew when it is needed")

    def _deadline(self) -> Deadline:
        return Deadline(TOOL_S, self._system.monotonic)


def key_of(queue: "Row") -> "Key":
    """A queue's virtual host and name."""
    return str(queue.get("vhost")), str(queue.get("name"))


def needing(queues: "Sequence[Row]", lost: str) -> "list[Key]":
    """The queues that would lose something with the member `lost`, which does not run."""
    return [key_of(queue) for queue in queues if _needs(queue, lost)]


def _needs(queue: "Row", lost: str) -> bool:
    members, online = hosts(queue.get("members")), hosts(queue.get("online"))
    if not members:
        return str(queue.get("node")) == f"rabbit@{lost}"
    if lost not in members:
        return False
    left = members - {lost}
    return 2 * len(left & online) <= len(members) or (
        queue.get("type") == "quorum" and "@" not in str(queue.get("leader"))
    )


def removal(queues: "Sequence[Key]", name: str) -> str:
    """The Erlang that takes the replicas on rabbit@`name` from `queues`, and prints `ok` or the error of each on a
    line; a queue that is gone by now has none.
    """
    keys = ", ".join(f"{{{binary(vhost)}, {binary(queue)}}}" for vhost, queue in queues)
    return (
        f"Node = binary_to_atom({binary(f'rabbit@{name}')}), "
        '[begin Done = (catch rabbit_quorum_queue:delete_member(V, N, Node)), io:format("~0p~n", '
        "[case Done of {error, not_found} -> ok; _ -> Done end]) end "
        f"|| {{V, N}} <- [{keys}]], {DONE}."
    )

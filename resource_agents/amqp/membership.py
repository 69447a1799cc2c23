"""Whom a running broker takes for the members of its cluster. It is asked, for what this node's disk says may be old.

Invariant, where there are spares: a cluster gets a new member only while a majority of its members runs, so that of any
majority that comes back later one knows of it (election.py); and a database is set aside only when a cluster that
serves, with the same Erlang cookie, does not list this node: it was forgotten there when nothing needed its database
any more (spares.py).
"""

from resource_agents.amqp.database import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource_agents.amqp.broker import Broker
    from resource_agents.ocf.agent import Deadline

LOOK = "{rabbit:is_running(), rabbit_mnesia:cluster_nodes(all), rabbit_mnesia:cluster_nodes(running)}."
"""One that is paused tells too, from its disk."""


class Cluster:
    """`members` of a cluster, those of them that are `running`, as `peer` sees it; whether `peer` `serves`: one that is
    paused, or booting, does not.
    """

    def __init__(self, peer: str, members: frozenset[str], running: frozenset[str], *, serves: bool) -> None:
        self.peer, self.members, self.running = peer, members, running
        self.serves = serves and 2 * len(running) > len(members)

    def obstacle(self, me: str, *, blank: bool) -> str:
        """Why `me`, whose database is `blank`, may not start beside it now; empty when it may."""
        if self.serves or (not blank and me in self.members):
            return ""
        count = f"{len(self.running)} of {len(self.members)} members of its cluster"
        if not blank:
            return f"{self.peer} does not know this node as a member, and runs with {count}, no majority"
        never = f"on {self.peer}, rabbitmqctl forget_cluster_node rabbit@NODE, for each that will never come back"
        return f"{self.peer} runs with {count}: a new one joins when they are a majority ({never})"


def ask(broker: "Broker", peer: str, deadline: "Deadline") -> Cluster | None:
    """The cluster of rabbit@`peer`; None when it does not tell."""
    code, said = broker.ctl(deadline, "eval", LOOK, node=peer)
    told = "".join(said.split())
    if code or not told.startswith(("{true,[", "{false,[")):
        return None
    members, _, running = told.partition("],[")
    return Cluster(peer, names(members), names(running), serves=told.startswith("{true"))

"""Frees the clients that a broker's death has stranded on this one.

Why: RabbitMQ 3.10 looks up a quorum queue's leader in the queue's record when a channel first publishes to it. A client
that connects after the leader's death and before the next one is elected and recorded sends to the dead node from then
on, and each of its messages is rejected until that node is back (rabbitmq-server #9241, mended in 3.11.23 and 3.12.5).
Measured: a killed broker cost 3.1-5.4 s, without this, in six rounds of eight.

Invariant: only clients that connected around a peer's end, and before its queues had other leaders, are disconnected,
once; they connect anew and find the new leaders. Clients of before have a leader that the queues correct by themselves.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from resource_agents.amqp.sockets import Connections

LOOK_S = 0.25
"""How often the connections to the peers are looked at."""
HURRY_S = 0.1
"""The same while leaders are elected."""
RECORD_S = 0.3
"""How much later than its election a leader stands in its queue's record on a busy node (0.1 s was too short once)."""
BASE_S = 4.0
"""How often all connections are noted, at 2.5 ms of CPU: a client that is so much older than a peer's end is no
stranded one. Younger ones are, at worst, disconnected once for nothing.
"""
ELECTION_S = 1.0
"""How long an election takes at most, for want of an answer: two votes."""
PATIENCE_S = 10.0
"""A queue that has no leader by then has lost its majority: connecting anew would not help."""


class Stranded:
    """Looks at `connections`; `led` tells whether one of the peers with these addresses still leads a queue (OSError or
    ValueError: that cannot be said now). `say` is told what was done. Times are in seconds of `clock`.
    """

    def __init__(
        self, connections: "Connections", led: "Callable[[Collection[str]], bool]", say: "Callable[[str], object]",
        clock: "Callable[[], float]",
    ) -> None:  # fmt: skip
        self._connections, self._led, self._say, self._clock = connections, led, say, clock
        self._clients: frozenset[bytes] = frozenset()
        self._peers: dict[bytes, str] = {}
        self._noted_at = float("-inf")
        self._lost: dict[str, float] = {}
        """The peers that ended, and when."""
        self._settled_at: float | None = None
        """When all queues were first seen with leaders again."""
        self._came: frozenset[bytes] = frozenset()
        """The clients at the last look: one that is there at two is no agent's handshake."""

    def look(self) -> float:
        """One look; how many seconds the next one may wait."""
        now = self._clock()
        if not self._lost and now < self._noted_at + BASE_S and self._connections.there(self._peers):
            return LOOK_S
        clients, peers = self._connections.all()
        ended = set(self._peers.values()) - set(peers.values())
        self._peers = peers
        came, self._came = self._came, clients
        if ended:
            self._lost |= dict.fromkeys(ended, now)
            self._settled_at = None
        elif not self._lost:
            self._clients, self._noted_at = clients, now
        elif self._settled_at is not None and now > self._settled_at + RECORD_S:
            self._free((came & clients) - self._clients)
        elif self._settled_at is None and now > max(self._lost.values()) + PATIENCE_S:
            self._lost = {}
        elif self._settled_at is None and not self._electing(now):
            self._settled_at = now
        return HURRY_S if self._lost else LOOK_S

    def _electing(self, now: float) -> bool:
        """Whether a queue is still led by one that ended, or by none."""
        gone = [address for address in self._lost if address not in self._peers.values()]
        try:
            return bool(gone) and self._led(gone)
        except (OSError, ValueError):
            return now < max(self._lost.values()) + ELECTION_S

    def _free(self, found: frozenset[bytes]) -> None:
        self._connections.close(found)
        if found:
            self._say(f"{', '.join(self._lost)} ended: disconnected {len(found)} clients that came before its queues "
                      "had other leaders")  # fmt: skip
        self._lost, self._settled_at = {}, None

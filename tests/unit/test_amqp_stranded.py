"""Who is disconnected after a broker's death: those that would send to the dead one for ever, and nobody else."""

from collections.abc import Collection

from resource_agents.amqp.stranded import ELECTION_S, PATIENCE_S, Stranded

PEERS = {b"to-2": "10.0.0.2", b"to-3": "10.0.0.3"}


class Broker:
    """A broker's connections, a clock, and the peers that lead queues by its records."""

    def __init__(self) -> None:
        self.clients: set[bytes] = {b"old"}
        self.peers = dict(PEERS)
        self.leaders: set[str] | None = {"10.0.0.2"}
        """None: the management API does not answer."""
        self.now = 100.0
        self.said: list[str] = []
        self.stranded = Stranded(self, self.led, self.said.append, lambda: self.now)  # type: ignore[arg-type]
        self.wait(2.0)

    def all(self) -> tuple[frozenset[bytes], dict[bytes, str]]:
        return frozenset(self.clients), dict(self.peers)

    def there(self, connections: Collection[bytes]) -> bool:
        return set(connections) <= set(self.peers)

    def close(self, connections: frozenset[bytes]) -> None:
        self.clients -= connections

    def led(self, gone: Collection[str]) -> bool:
        if self.leaders is None:
            raise OSError("no answer")
        return bool(self.leaders & set(gone))

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += self.stranded.look()

    def lose(self, *names: bytes) -> None:
        for name in names:
            del self.peers[name]


def test_only_who_came_between_a_leaders_end_and_the_next_one_is_disconnected() -> None:
    broker = Broker()
    broker.lose(b"to-2")
    broker.clients.add(b"early")
    broker.wait(1.0)
    assert b"early" in broker.clients
    broker.leaders = {"10.0.0.3"}
    broker.wait(0.1)
    broker.clients.add(b"before the record")
    broker.wait(1.0)
    broker.clients.add(b"late")
    broker.wait(3.0)
    assert broker.clients == {b"old", b"late"}
    assert "10.0.0.2 ended: disconnected 2 clients" in broker.said[0]


def test_a_handshake_is_no_client() -> None:
    broker = Broker()
    broker.lose(b"to-2")
    broker.leaders = set()
    while not broker.said:
        broker.clients = {b"old", b"client", str(broker.now).encode()}
        broker.now += broker.stranded.look()
        assert broker.now < 105
    assert b"client" not in broker.clients
    assert "disconnected 1 clients" in broker.said[0]


def test_an_election_that_was_over_before_anybody_looked_stranded_its_clients_too() -> None:
    broker = Broker()
    broker.lose(b"to-2")
    broker.clients.add(b"early")
    broker.leaders = set()
    broker.wait(1.0)
    assert broker.clients == {b"old"}


def test_a_second_loss_starts_the_wait_anew() -> None:
    broker = Broker()
    broker.lose(b"to-3")
    broker.wait(0.3)
    broker.lose(b"to-2")
    broker.clients.add(b"early")
    broker.wait(1.0)
    assert broker.clients == {b"old", b"early"}
    broker.leaders = set()
    broker.wait(1.0)
    assert broker.clients == {b"old"}


def test_without_an_answer_an_elections_time_is_waited() -> None:
    broker = Broker()
    broker.leaders = None
    broker.lose(b"to-2")
    broker.clients.add(b"early")
    broker.wait(ELECTION_S / 2)
    assert b"early" in broker.clients
    broker.wait(ELECTION_S)
    assert broker.clients == {b"old"}


def test_clients_of_queues_that_find_no_leader_are_left_alone() -> None:
    broker = Broker()
    broker.lose(b"to-2")
    broker.clients.add(b"early")
    broker.wait(PATIENCE_S + 1)
    broker.leaders = set()
    broker.wait(3.0)
    assert broker.clients == {b"old", b"early"}


def test_a_peer_that_is_back_strands_nobody_longer() -> None:
    """Its queues take what is sent to it: they know their leader."""
    broker = Broker()
    broker.lose(b"to-2")
    broker.wait(0.3)
    broker.peers[b"again"] = "10.0.0.2"
    broker.wait(3.0)
    assert broker.clients == {b"old"}
    assert not broker.said

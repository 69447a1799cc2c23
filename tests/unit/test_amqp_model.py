"""A model of brokers under Pacemaker, driven by the real election, that hunts for two clusters and for lost data.

Modelled: words reach every node in one total order, each at its own pace; a node may lose its power after any step of
its agent; brokers notice a peer's end late; a node may be cut off, lives on for a while and pauses; databases carry the
number of the last confirmed operation, for which a majority of the cluster's members must run together. With spares,
Pacemaker moves brokers between nodes, lost members are forgotten, and who was forgotten joins anew. What is not:
Mnesia's own merging (a broker that starts beside others takes their database), and queues.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from resource_agents.amqp.election import Begin, Boot, Call, Join, confirmed, decide
from resource_agents.amqp.management import lost
from resource_agents.amqp.membership import Cluster
from resource_agents.amqp.word import CLAIM, ELECT, JOIN, PAUSED, SPARE, UP, Word, decode, encode
from resource_agents.ocf.peers import Decision


@dataclass
class Node:
    name: str
    power: bool = False
    cut: bool = False
    started: bool = False
    """Pacemaker runs an instance here."""
    ran: frozenset[str] = frozenset()
    of: frozenset[str] = frozenset()
    version: int = 0
    served: int = 0
    turn: int = 0
    broker: str = ""
    """empty, `up` or `paused`"""
    decision: Decision | None = None
    """What it has said that it will do, before it does it."""
    hopeful: bool = True
    view: dict[str, str] = field(default_factory=dict)
    queue: list[tuple[str, str]] = field(default_factory=list)


class Model:
    def __init__(self, seed: int, size: int, active: int) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self.nodes = {name: Node(name) for name in "abcdefg"[:size]}
        self.names = list(self.nodes)
        self.active = active
        self.called: set[str] = set()
        self.confirmed = 0
        self.clock = 0
        self.begun = self.anew = self.forgotten = 0

    # The world.

    def say(self, name: str, value: str) -> None:
        for node in self.nodes.values():
            if node.power and not node.cut:
                node.queue.append((name, value))

    def hear(self, node: Node) -> None:
        if node.queue:
            name, value = node.queue.pop(0)
            node.view[name] = value

    def together(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.broker == UP and not node.cut]

    def power_on(self, node: Node) -> None:
        node.power, node.decision = True, None
        donor = next((each for each in self.nodes.values() if each.power and not each.cut and each is not node), None)
        node.view = dict(donor.view) if donor else {}
        node.queue = list(donor.queue) if donor else []
        self.stand_by(node)

    def power_off(self, node: Node) -> None:
        node.power, node.started, node.broker, node.decision, node.cut = False, False, "", None, False
        self.called.discard(node.name)
        node.view, node.queue = {}, []
        self.say(node.name, "")

    def cut(self, node: Node) -> None:
        """Its network is gone: it hears nobody; the others' Pacemaker drops its word, and will fence it."""
        if not any(each.cut for each in self.nodes.values()):
            node.cut = True
            self.say(node.name, "")

    def notice(self, node: Node) -> None:
        """A broker sees whom it has lost; without a majority it pauses, and does not count as serving any more."""
        if not node.broker:
            return
        beside = frozenset(each.name for each in self.together()) if not node.cut else frozenset()
        if node.broker == UP:
            node.ran = (node.ran & beside) | {node.name}
            if 2 * len(node.ran & node.of) <= len(node.of):
                node.broker = PAUSED
                if not node.cut:
                    self.say(node.name, encode(self.word(node, PAUSED)))
            elif not node.cut:
                self.stamp(node)

    def stamp(self, node: Node) -> None:
        """It serves, or goes on to serve when another does not, for longer than from one stamp to the next."""
        self.clock += 1
        node.served = self.clock

    def recover(self, node: Node) -> None:
        """A paused broker goes on as soon as it sees enough Erlang VMs, with what those that ran on have."""
        alive = {each.name for each in self.nodes.values() if each.broker and not each.cut}
        if node.broker == PAUSED and not node.cut and 2 * len(alive & node.of) > len(node.of):
            self.enter(node)

    def restart(self, node: Node) -> None:
        """The monitor fails a broker that has been paused for long: it takes part in the election again."""
        if node.broker == PAUSED and not node.cut and self.random.random() < 0.1:
            node.broker, node.hopeful, node.turn = "", True, node.turn + 1
            self.stand_by(node)

    def confirm(self) -> None:
        """An operation is confirmed by all that run together, if they are a majority and nobody's end is unnoticed."""
        beside = self.together()
        if self.whole(beside):
            self.clock += 1
            self.confirmed += 1
            for node in beside:
                node.version = self.confirmed
                node.served = self.clock if self.random.random() < 0.8 else node.served

    def whole(self, beside: list[Node]) -> bool:
        """Brokers that all see each other, nobody else, and a majority of their cluster: what commits a change."""
        names = {node.name for node in beside}
        return bool(beside) and all(node.ran == names and 2 * len(names) > len(node.of) for node in beside)

    def forget(self, node: Node) -> None:
        """The deep monitor of a broker (spares.py)."""
        beside = self.together()
        if node not in beside or not self.whole(beside):
            return
        rows: list[dict[str, object]] = [{"name": f"rabbit@{name}", "running": name in node.ran} for name in node.of]
        for name in lost(rows, node.name, self.names, self.active):
            word = decode(node.view.get(name, ""))
            if word is None or word.phase == SPARE:
                self.forgotten += 1
                for each in beside:
                    each.of -= {name}

    # Pacemaker.

    def stand_by(self, node: Node) -> None:
        """What the agent's probe and stop say."""
        self.say(node.name, encode(self.word(node, SPARE)))

    def schedule(self, restless: float = 0.0) -> None:
        """One step towards `active` instances, on the called nodes rather than where they are; `restless`: how likely
        an operator moves one.
        """
        living = [node for node in self.nodes.values() if node.power and not node.cut]
        idle = [node for node in living if not node.started]
        wanted = [node for node in idle if node.name in self.called]
        movable = [node for node in living if node.started and node.name not in self.called]
        moves = wanted or (idle and self.random.random() < restless)
        if idle and len(living) - len(idle) < self.active:
            chosen = self.random.choice(wanted or idle)
            chosen.started = chosen.hopeful = True
            chosen.turn += 1
        elif moves and movable:
            stopped = self.random.choice(movable)
            stopped.started, stopped.broker, stopped.decision = False, "", None
            self.stand_by(stopped)

    def word(self, node: Node, phase: str) -> Word:
        return Word(phase, ran=node.ran, of=node.of, served=node.served, cookie="k", turn=node.turn)

    # A node's agent.

    def step(self, node: Node) -> None:
        if not node.power or not node.started or node.cut or node.broker:
            return
        mine = encode(self.word(node, ELECT))
        if node.decision is None:
            self.consider(node, mine)
        elif node.view.get(node.name) == encode(self.word(node, self.phase(node.decision))):
            seen = self.seen(node)
            if confirmed(node.name, self.names, seen, active=self.active, hopeful=node.hopeful):
                self.start(node)
            else:
                self.elect(node)
            node.decision = None

    def consider(self, node: Node, mine: str) -> None:
        if node.view.get(node.name) != mine:
            if (node.name, mine) not in node.queue:
                self.say(node.name, mine)
            return
        decision = decide(node.name, self.names, self.seen(node), active=self.active, hopeful=node.hopeful)
        if isinstance(decision, Call):
            self.call(decision.nodes)
        if isinstance(decision, Begin | Join | Boot) and not self.outsider(node, decision):
            node.decision = decision
            node.turn += 1
            self.say(node.name, encode(self.word(node, self.phase(decision))))

    def call(self, names: Iterable[str]) -> None:
        """Calls need spares; a node that is away is not called."""
        self.called = {name for name in names if self.nodes[name].power and self.active < len(self.names)}

    def cluster(self, peer: str) -> Cluster:
        """What `peer` says of its cluster."""
        node, up = self.nodes[peer], self.together()
        running = frozenset(each.name for each in up) if node in up else frozenset()
        return Cluster(peer, node.of, running, serves=node in up)

    def outsider(self, node: Node, decision: Decision) -> bool:
        """The cluster cannot take it now (formation.py)."""
        if self.active == len(self.names) or not isinstance(decision, Boot | Join):
            return False
        cluster = self.cluster(decision.peer)
        wrong = cluster.obstacle(node.name, blank=not node.ran)
        if wrong:
            self.call(cluster.members & self.seen(node).keys())
        return bool(wrong)

    def seen(self, node: Node) -> dict[str, Word]:
        return {name: word for name, value in node.view.items() if (word := decode(value))}

    def phase(self, decision: Decision) -> str:
        return CLAIM if isinstance(decision, Begin) else JOIN

    def start(self, node: Node) -> None:
        decision = node.decision
        running = [each for each in self.nodes.values() if each.broker and not each.cut]
        if isinstance(decision, Begin):
            assert not running, f"{node.name} begins beside {[each.name for each in running]}"
            assert node.version == self.confirmed, f"{node.name} begins {self.confirmed - node.version} behind"
            self.begun += 1
            self.enter(node, alone=True)
            return
        if self.active < len(self.names) and node.ran and isinstance(decision, Boot | Join):
            cluster = self.cluster(decision.peer)
            if cluster.serves and node.name not in cluster.members:
                node.ran = node.of = frozenset()
                node.version = 0
                self.anew += 1
        together = self.together()
        mine = running and node.ran and node.name in running[0].of
        if together and (not node.ran or node.name in together[0].of):
            self.enter(node)
        elif mine and 2 * (len(running) + 1) > len(running[0].of):
            for each in running:
                if each.broker == PAUSED:
                    self.enter(each)
            self.enter(node)
        else:
            # Mnesia waits for who ran beside it, or the join finds nobody: it does not come up.
            self.elect(node)

    def elect(self, node: Node) -> None:
        """Give way."""
        node.turn += 1
        self.say(node.name, encode(self.word(node, ELECT)))

    def enter(self, node: Node, *, alone: bool = False) -> None:
        beside = [each for each in self.together() if each is not node]
        node.broker = UP
        if not alone and beside:
            node.version = max(each.version for each in beside)
            node.of = beside[0].of
        node.of |= {node.name}
        self.stamp(node)
        for each in [*beside, node]:
            each.of = node.of
            each.ran = each.ran & {other.name for other in beside} | {other.name for other in beside} | {node.name}
        self.called.clear()
        self.say(node.name, encode(self.word(node, UP)))

    def move(self) -> None:
        node = self.random.choice(list(self.nodes.values()))
        kind = self.random.random()
        if kind < 0.40:
            self.hear(node)
        elif kind < 0.70:
            self.step(node)
        elif kind < 0.80:
            self.confirm()
        elif kind < 0.88:
            self.notice(node)
        elif kind < 0.91:
            self.recover(node)
            self.restart(node)
            self.forget(node)
            self.schedule(restless=0.2)
        elif kind < 0.92:
            node.hopeful = False
        elif kind < 0.97 and not node.power:
            self.power_on(node)
        elif kind < 0.99 and node.power and self.random.random() < 0.3:
            self.power_off(node)
        elif node.power and self.random.random() < 0.2:
            self.cut(node)
        self.fence()

    def fence(self) -> None:
        """Whoever is cut off pauses before long, and is fenced."""
        for node in self.nodes.values():
            if node.cut and self.random.random() < 0.1:
                self.notice(node)
                if node.broker != UP:
                    self.power_off(node)

    def calm(self) -> None:
        """A moment in which nothing fails: what has begun gets on."""
        node = self.random.choice(list(self.nodes.values()))
        self.schedule()
        self.hear(node)
        self.step(node)
        self.recover(node)
        self.restart(node)
        self.forget(node)
        if node.ran - {each.name for each in self.together()}:
            self.notice(node)
        node.hopeful = node.hopeful and self.random.random() > 0.05

    def live(self, rounds: int) -> None:
        """Times in which everything may happen, and times in which nothing fails."""
        for _ in range(rounds):
            for _ in range(50):
                self.move()
            for _ in range(self.random.choice((0, 0, 50, 200))):
                self.calm()

    def settle(self) -> None:
        """Nothing fails any more: everybody is to come up."""
        for node in self.nodes.values():
            if node.cut:
                self.power_off(node)
            if not node.power:
                self.power_on(node)
            node.hopeful = False
        for _ in range(6000):
            self.calm()
            if self.settled():
                return
        raise AssertionError({
            name: (node.started, node.broker, node.ran, node.of, node.view) for name, node in self.nodes.items()
        })  # fmt: skip

    def settled(self) -> bool:
        """As many run as are to, and they are the cluster: it lives through the next loss as through the first."""
        running = {node.name for node in self.together()}
        return len(running) == self.active and all(self.nodes[name].of == running for name in running)


@pytest.mark.parametrize(("size", "active"), [(1, 1), (2, 2), (3, 3), (5, 5), (4, 3), (5, 3)])
def test_never_two_clusters_and_nothing_confirmed_is_lost(size: int, active: int) -> None:
    begun = anew = 0
    for seed in range(60):
        model = Model(seed, size, active)
        if seed % 2:  # the first start goes well
            model.settle()
        model.live(12)
        model.settle()
        assert {node.version for node in model.together()} == {model.confirmed}, seed
        begun += model.begun
        anew += model.anew
    assert begun > 60
    assert anew > 15 or active == size

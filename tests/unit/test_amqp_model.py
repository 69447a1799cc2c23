"""A model of brokers under Pacemaker, driven by the real election, that hunts for two clusters and for lost data.

Modelled: words reach every node in one total order, each at its own pace; a node may lose its power after any step of
its agent; brokers notice a peer's end late; a node may be cut off, lives on for a while and pauses; databases carry the
number of the last confirmed operation, for which a majority of brokers must run together. What is not: Mnesia's own
merging (a broker that starts beside others takes their database).
"""

import random
from dataclasses import dataclass, field

import pytest

from resource_agents.amqp.election import Begin, Join, confirmed, decide
from resource_agents.amqp.word import CLAIM, ELECT, JOIN, PAUSED, UP, Word, decode, encode
from resource_agents.ocf.peers import Decision


@dataclass
class Node:
    name: str
    power: bool = False
    cut: bool = False
    ran: frozenset[str] = frozenset()
    version: int = 0
    served: int = 0
    broker: str = ""
    """empty, `up` or `paused`"""
    decision: Decision | None = None
    """What it has said that it will do, before it does it."""
    hopeful: bool = True
    view: dict[str, str] = field(default_factory=dict)
    queue: list[tuple[str, str]] = field(default_factory=list)


class Model:
    def __init__(self, seed: int, size: int) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self.nodes = {name: Node(name) for name in "abcde"[:size]}
        self.names = list(self.nodes)
        self.joined: set[str] = set()
        self.confirmed = 0
        self.clock = 0
        self.begun = 0

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

    def majority(self, count: int) -> bool:
        """As RabbitMQ sees it: of the nodes that have joined so far."""
        return 2 * count > len(self.joined)

    def power_on(self, node: Node) -> None:
        node.power, node.hopeful, node.decision = True, True, None
        donor = next((each for each in self.nodes.values() if each.power and not each.cut and each is not node), None)
        node.view = dict(donor.view) if donor else {}
        node.queue = list(donor.queue) if donor else []

    def power_off(self, node: Node) -> None:
        node.power, node.broker, node.decision, node.cut = False, "", None, False
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
            if not self.majority(len(node.ran)):
                node.broker = PAUSED
                if not node.cut:
                    self.say(node.name, encode(self.word(node, PAUSED)))

    def recover(self, node: Node) -> None:
        """A paused broker goes on as soon as it sees enough Erlang VMs, with what those that ran on have."""
        alive = [each for each in self.nodes.values() if each.broker and not each.cut]
        if node.broker == PAUSED and not node.cut and self.majority(len(alive)):
            self.enter(node)

    def restart(self, node: Node) -> None:
        """The monitor fails a broker that has been paused for long: it takes part in the election again."""
        if node.broker == PAUSED and not node.cut and self.random.random() < 0.1:
            node.broker = ""
            self.say(node.name, "")

    def confirm(self) -> None:
        """An operation is confirmed by all that run together, if they are a majority and nobody's end is unnoticed."""
        beside = self.together()
        if self.majority(len(beside)):
            self.clock += 1
            self.confirmed += 1
            for node in beside:
                node.version = self.confirmed
                node.served = self.clock if self.random.random() < 0.8 else node.served

    def word(self, node: Node, phase: str) -> Word:
        return Word(phase, ran=node.ran, served=node.served, cookie="k")

    # A node's agent.

    def step(self, node: Node) -> None:
        if not node.power or node.cut or node.broker:
            return
        mine = encode(self.word(node, ELECT))
        if node.decision is None:
            self.consider(node, mine)
        elif node.view.get(node.name) == encode(self.word(node, self.phase(node.decision))):
            seen = self.seen(node)
            if confirmed(node.name, self.names, seen, hopeful=node.hopeful):
                self.start(node)
            else:
                self.say(node.name, mine)
            node.decision = None

    def consider(self, node: Node, mine: str) -> None:
        if node.view.get(node.name) != mine:
            if (node.name, mine) not in node.queue:
                self.say(node.name, mine)
            return
        decision = decide(node.name, self.names, self.seen(node), hopeful=node.hopeful)
        if isinstance(decision, Begin | Join) or type(decision).__name__ == "Boot":
            node.decision = decision
            self.say(node.name, encode(self.word(node, self.phase(decision))))

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
        elif self.together() or (running and node.ran and self.majority(len(running) + 1)):
            for each in running:
                if each.broker == PAUSED:
                    self.enter(each)
            self.enter(node)
        else:
            # Mnesia waits for who ran beside it, or the join finds nobody: it does not come up.
            self.say(node.name, encode(self.word(node, ELECT)))

    def enter(self, node: Node, *, alone: bool = False) -> None:
        beside = [each for each in self.together() if each is not node]
        node.broker = UP
        self.joined.add(node.name)
        if not alone and beside:
            node.version = max(each.version for each in beside)
        self.clock += 1
        node.served = self.clock
        for each in [*beside, node]:
            each.ran = each.ran & {other.name for other in beside} | {other.name for other in beside} | {node.name}
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

    def settle(self) -> None:
        """Nothing fails any more: everybody is to come up."""
        for node in self.nodes.values():
            if node.cut:
                self.power_off(node)
            if not node.power:
                self.power_on(node)
            node.hopeful = False
        for _ in range(4000):
            node = self.random.choice(list(self.nodes.values()))
            self.hear(node)
            self.step(node)
            self.recover(node)
            self.restart(node)
            if len(self.together()) == len(self.nodes):
                return
        raise AssertionError({name: (node.broker, node.ran, node.view) for name, node in self.nodes.items()})


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_never_two_clusters_and_nothing_confirmed_is_lost(size: int) -> None:
    begun = 0
    for seed in range(60):
        model = Model(seed, size)
        for _ in range(600):
            model.move()
        model.settle()
        assert {node.version for node in model.nodes.values()} == {model.confirmed}, seed
        begun += model.begun
    assert begun > 60

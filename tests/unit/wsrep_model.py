"""A model of Galera members under Pacemaker, driven by the real election: processes, disks, views, attribute words.

What is modelled: Pacemaker runs `active` members at most, anywhere, and follows calls; who has none tells its data,
sooner or later; attribute writes reach every node in one total order, each at its own pace; every step of an agent may
be the last before a crash; members lag in applying until a view changes; a node may be cut off and lives on for a while
before it is fenced. What is asserted, at every birth of a primary component: there is no other, and none of what was
ever acknowledged is missing.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from resource_agents.ocf.peers import Refuse, Wait
from resource_agents.wsrep import election
from resource_agents.wsrep.election import Bootstrap, Call
from resource_agents.wsrep.state import NIL, View
from resource_agents.wsrep.word import BLANK, CLAIM, ELECT, EMPTY, JOIN, PRIMARY, SPARE, STATE, Word, decode, encode

UUID = "3655aefa-e65e-11f1-9d62-83c42b644701"


class Violation(AssertionError):  # noqa: N818 (not an error of the program's)
    """The invariant is broken."""


@dataclass
class Node:
    name: str
    seqno: int = -1
    begun: bool = False
    """False: its disk has never seen a cluster."""
    tried: bool = False
    safe: bool = False
    marker: bool = False
    """The agent set safe_to_bootstrap itself: it says nothing."""
    view: View | None = None
    restorable: bool = True
    gcomm: str = ""
    process: str = ""
    """empty, `joining`, `booting` or `member`"""
    agent: str = "off"
    """off, elect, said, mark, edit, launch, under way, dead (killed: only a stop comes next)"""
    cut: bool = False
    seen: dict[str, str] = field(default_factory=dict)
    queue: list[tuple[str, str]] = field(default_factory=list)
    waiting_for_self: int = 0


@dataclass
class Model:
    random: random.Random
    size: int = 3
    active: int = 3
    """So many members run at once."""
    nodes: dict[str, Node] = field(default_factory=dict)
    component: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    acknowledged: int = -1
    number: int = 0
    ids: int = 0
    met: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.nodes = {name: Node(name) for name in (f"n{index}" for index in range(1, self.size + 1))}

    def steps(self) -> list[tuple[Callable[[Node], None], Node]]:
        """All that may happen next."""
        return [
            (step, node)
            for node in self.nodes.values()
            for step, possible in (
                (self.deliver, bool(node.queue)),
                (self.start, self.idle(node) and not node.cut and len(self.started()) < self.active),
                (self.tell_data, self.idle(node)),
                (self.obey, node.name in self.called and self.idle(node) and not node.cut),
                (self.decide, node.agent == "elect" and not node.waiting_for_self),
                (self.confirm, node.agent == "said" and not node.waiting_for_self),
                (self.advance, node.agent in ("mark", "edit", "launch")),
                (self.become, node.process in ("joining", "booting")),
                (self.tell, node.agent == "under way" and node.process == "member"),
                (self.give_up, node.agent == "under way" and node.process != "member"),
                (self.lose_agent, node.agent not in ("off", "dead")),
                (self.stop, node.agent not in ("off", "elect", "said")),
                (self.kill_process, bool(node.process)),
                (self.power_off, True),
                (self.cut_off, not node.cut and not any(other.cut for other in self.nodes.values())),
                (self.commit, node.process == "member" and node.name in self.component),
                (self.apply, node.name in self.component and node.seqno < self.acknowledged),
            )
            if possible
        ]

    WEIGHTS: ClassVar = {"power_off": 0.06, "cut_off": 0.03, "kill_process": 0.15, "stop": 0.15, "lose_agent": 0.08,
               "commit": 0.4, "give_up": 0.2, "tell_data": 0.5}  # fmt: skip

    CALM: ClassVar = {"deliver": 10.0, "start": 1.0, "tell_data": 0.1, "obey": 1.0, "decide": 1.0, "confirm": 1.0,
                      "advance": 1.0, "become": 1.0, "tell": 0.1, "give_up": 0.05}  # fmt: skip

    def run(self, count: int) -> None:
        """Take `count` random steps. Faults come in seasons, so that whole clusters form as well as die."""
        for index in range(count):
            calm = index // 40 % 2 == 0
            steps = self.steps()
            weights = [self.WEIGHTS.get(step.__name__, 2.0) for step, _ in steps]
            if calm:
                weights = [0.0 if 0 < weight < 0.4 else weight for weight in weights]
            if not any(weights):
                continue
            step, node = self.random.choices(steps, weights)[0]
            step(node)

    def recover_from_loss(self) -> None:
        """The site loses power, all nodes come back, and there are no more faults: Violation unless `active` members
        run in the end, or a node without data makes them ask the operator.
        """
        for node in self.nodes.values():
            self.power_off(node)
        for _ in range(2000):
            possible = [(step, node) for step, node in self.steps() if step.__name__ in self.CALM]
            step, node = self.random.choices(possible, [self.CALM[step.__name__] for step, _ in possible])[0]
            step(node)
            if len(self.component) == self.active:
                return
        waiting = {
            election.decide(node.name, list(self.nodes), self.words(node)).reason
            for node in self.nodes.values() if node.agent == "elect"
        }  # fmt: skip
        if not any("has no data" in reason for reason in waiting):
            raise Violation(f"no cluster forms: {waiting}")
        self.met["asks the operator"] += 1

    # What Pacemaker does.

    def idle(self, node: Node) -> bool:
        return node.agent == "off" and not node.process

    def started(self) -> list[Node]:
        return [node for node in self.nodes.values() if not self.idle(node)]

    def obey(self, node: Node) -> None:
        """A called node is preferred: an instance moves there."""
        others = [other for other in self.started() if other.name not in self.called]
        if len(self.started()) >= self.active:
            if not others:
                return
            self.stop(self.random.choice(others))
        self.met["called"] += 1
        self.start(node)

    # What the attribute daemon does.

    def say(self, node: Node, word: Word | None) -> None:
        """Broadcast; each node gets it in the same order, when its turn comes."""
        value = encode(word) if word else ""
        for other in self.nodes.values():
            if other is node or not (other.cut or node.cut):
                other.queue.append((node.name, value))
        node.waiting_for_self = len([1 for name, _ in node.queue if name == node.name])

    def deliver(self, node: Node) -> None:
        name, value = node.queue.pop(0)
        if value:
            node.seen[name] = value
        else:
            node.seen.pop(name, None)
        if name == node.name:
            node.waiting_for_self = max(0, node.waiting_for_self - 1)

    def words(self, node: Node) -> dict[str, Word]:
        return {name: word for name, value in node.seen.items() if (word := decode(value))}

    # What the agent does.

    def recover(self, node: Node, phase: str) -> Word:
        if node.marker:
            node.safe, node.marker = False, False
        kind = STATE if node.begun else BLANK if node.tried else EMPTY
        return Word(phase, kind=kind, uuid=UUID if node.begun else NIL, seqno=node.seqno, safe=node.safe,
                    view=node.view, restorable=node.restorable)  # fmt: skip

    def start(self, node: Node) -> None:
        node.agent = "elect"
        self.say(node, self.recover(node, ELECT))

    def tell_data(self, node: Node) -> None:
        """No member is started here, and the node says what it has."""
        self.met["spare"] += 1
        self.say(node, self.recover(node, SPARE))

    def decide(self, node: Node) -> None:
        decision = election.decide(node.name, list(self.nodes), self.words(node))
        if isinstance(decision, Call):
            self.called.add(decision.node)
        if isinstance(decision, Wait | Refuse):
            return
        node.agent = "said"
        phase = CLAIM if isinstance(decision, Bootstrap) else JOIN
        self.say(node, self.words(node)[node.name].said(phase))

    def confirm(self, node: Node) -> None:
        words = self.words(node)
        if not election.confirmed(node.name, list(self.nodes), words):
            self.met["withdrawn"] += 1
            node.agent = "elect"
            self.say(node, words[node.name].said(ELECT))
        elif words[node.name].phase == CLAIM:
            node.agent = "mark"
        else:
            self.launch(node, "joining")

    def advance(self, node: Node) -> None:
        """The steps of a bootstrap, each of which may be the last."""
        if node.agent == "mark":
            node.marker, node.agent = not node.safe, "edit"
        elif node.agent == "edit":
            node.safe, node.agent, node.restorable = True, "launch", False
        else:
            self.launch(node, "booting")

    def launch(self, node: Node, how: str) -> None:
        node.agent, node.process, node.tried = "under way", how, True
        if how == "booting" or not (node.view and node.restorable):
            self.ids += 1
            node.gcomm = f"{self.ids:08x}-e65e-11f1-9d62-83c42b644701"
        else:
            node.gcomm = node.view.me

    def tell(self, node: Node) -> None:
        node.marker = False
        self.called.clear()
        self.say(node, Word(PRIMARY, kind=STATE, uuid=UUID))

    def give_up(self, node: Node) -> None:
        """No primary component came of it, or it died: kill it, and back to the election."""
        node.process, node.agent = "", "elect"
        if self.random.random() < 0.3:
            node.restorable = False
        self.say(node, self.recover(node, ELECT))

    def lose_agent(self, node: Node) -> None:
        node.agent = "dead"

    def stop(self, node: Node) -> None:
        if node.process and node.name in self.component and self.random.random() < 0.7:
            self.leave(node)
        self.end(node)
        node.agent = "off"
        self.say(node, None)

    # What Galera does.

    def become(self, node: Node) -> None:
        """A process that was started reaches a primary component, if there is one for it."""
        if node.process == "booting":
            self.born({node.name}, "bootstrap")
        elif any(self.nodes[name].cut == node.cut for name in self.component):
            self.met["join"] += 1
            self.new_view(self.component | {node.name})
        elif node.view and node.restorable:
            there = {
                other.name
                for other in self.nodes.values()
                if other.process == "joining" and other.cut == node.cut and other.view and other.restorable
                and (other.view.name, other.view.number) == (node.view.name, node.view.number)
            }  # fmt: skip
            if {self.nodes[name].gcomm for name in there} == set(node.view.members):
                self.born(there, "reform")

    def born(self, members: set[str], how: str) -> None:
        self.met[how] += 1
        if self.component:
            raise Violation(f"{how} of {members} beside the primary component {self.component}")
        best = max(self.nodes[name].seqno for name in members)
        if best < self.acknowledged:
            raise Violation(f"{how} of {members} at {best}, behind {self.acknowledged}")
        for name in members:
            self.nodes[name].begun = True
        self.acknowledged = max(self.acknowledged, best, 0)
        self.new_view(members)

    def new_view(self, members: set[str]) -> None:
        """A primary view: who is in it has, or gets by transfer, all that was acknowledged."""
        self.component = set(members)
        self.number += 1
        gcomm = tuple(sorted(self.nodes[name].gcomm for name in members))
        for name in members:
            node = self.nodes[name]
            node.process, node.begun, node.seqno = "member", True, self.acknowledged
            node.safe, node.restorable = len(members) == 1, True
            node.view = View(node.gcomm, gcomm[0], self.number, gcomm)

    def commit(self, node: Node) -> None:
        self.acknowledged += 1
        node.seqno = self.acknowledged

    def apply(self, node: Node) -> None:
        node.seqno = self.acknowledged

    def leave(self, node: Node) -> None:
        """A clean stop: the marker goes, then the view, and the rest stays primary whatever its size."""
        node.marker = False
        node.seqno, node.view, node.process = self.acknowledged, None, ""
        node.safe = len(self.component) == 1
        rest = self.component - {node.name}
        self.component = set()
        if rest:
            self.new_view(rest)

    def end(self, node: Node) -> None:
        """The process is no more; the rest of its component stays primary if it is the majority."""
        node.process = ""
        self.split(self.component - {node.name})

    def split(self, rest: set[str]) -> None:
        if rest == self.component:
            return
        majority = 2 * len(rest) > len(self.component)
        gone = self.component - rest if majority else set(self.component)
        self.component = set()
        for name in gone:
            self.nodes[name].process = self.nodes[name].process and "stranded"
        if majority:
            self.new_view(rest)

    def kill_process(self, node: Node) -> None:
        self.end(node)

    def power_off(self, node: Node) -> None:
        """Sudden death, or fencing; the node's words go with it, and it comes back with what the others know."""
        self.met["power off"] += 1
        self.called.discard(node.name)
        node.agent = "off"
        self.end(node)
        others = [other for other in self.nodes.values() if other is not node and not other.cut]
        if not node.cut:
            for other in others:
                other.queue.append((node.name, ""))
        node.cut, node.queue, node.waiting_for_self = False, [], 0
        node.seen = dict(others[0].seen) if others else {}
        node.queue = list(others[0].queue) if others else []

    def cut_off(self, node: Node) -> None:
        """The node's network goes: each side loses the other's words, and Galera's majority goes on."""
        self.met["cut off"] += 1
        node.cut = True
        for other in self.nodes.values():
            if other is not node:
                other.queue.append((node.name, ""))
                node.queue.append((other.name, ""))
        if node.name in self.component:
            rest = self.component - {node.name}
            self.split(rest if 2 * len(rest) > len(self.component) else {node.name})

"""What the nodes tell each other of their members, and what follows from that for this one.

Invariant: nothing is decided on words that may be old: our own word is among those seen only as it was said last, and
without it the agent decides nothing. A node that is its cluster's only one talks to nobody.
"""

from resource_agents.ocf.agent import Deadline
from resource_agents.ocf.attribute import Attribute
from resource_agents.ocf.called import Calls
from resource_agents.ocf.peers import Decision, Wait
from resource_agents.ocf.system import System
from resource_agents.wsrep.election import Bootstrap, decide
from resource_agents.wsrep.word import CLAIM, JOIN, PRIMARY, Word, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

POLL_S = 0.05
ASK_S = 1.0
"""The longest that the attribute daemon may take to answer, or to show our own word."""


class Council:
    """`node`'s seat among `members`, who speak by the node attribute `name`; each answer comes before `deadline`.

    `note` is told what could not be said.
    """

    def __init__(
        self, system: System, node: str, members: "Sequence[str]", *, resource: str, name: str, deadline: Deadline,
        note: "Callable[[str], object]",
    ) -> None:  # fmt: skip
        self._system, self._node, self._members, self._resource = system, node, list(members), resource
        self._name, self._deadline, self._note = name, deadline, note
        self._attribute = Attribute(system, name, private=True)
        self._choice = Attribute(system, f"{name}-bootstrap", private=True)
        self._calls = Calls(system, name)

    def said(self) -> Word | None:
        """What this node said last; None before the first word and after `leave`."""
        return decode(self._attribute.published() or "")

    def say(self, word: Word) -> None:
        """Publish our word. What the attribute daemon did not take is said again by the next step."""
        if len(self._members) == 1:
            self._attribute.keep(encode(word))
            return
        trouble = self._attribute.publish(encode(word), self._patience())
        if trouble:
            self._note(f"{word.phase} not published: {trouble[0]}")

    def leave(self) -> None:
        """Say nothing any more."""
        for trouble in self._attribute.clear(min(ASK_S, self._deadline.left() / 2)):
            self._note(f"{self._name} may be left behind: {trouble}")

    def seen(self, word: Word) -> dict[str, Word]:
        """What everybody says; without our own word when the attribute daemon does not show it as it is."""
        if len(self._members) == 1:
            return {self._node: word}
        self.say(word)
        try:
            values = self._attribute.seen(self._patience())
        except OSError:
            return {}
        seen = {name: found for name, value in values.items() if (found := decode(value))}
        if values.get(self._node) != encode(word):
            seen.pop(self._node, None)
        return seen

    def heard(self, word: Word) -> dict[str, Word]:
        """What everybody says once the attribute daemon shows our own `word`; nothing when it does not in time."""
        end = self._deadline.sooner(ASK_S)
        while self._node not in (seen := self.seen(word)):
            if not end.left():
                return {}
            self._system.sleep(POLL_S)
        return seen

    def primary(self, word: Word) -> str:
        """A node that says it is in the primary component; empty when none does."""
        return min((name for name, other in self.seen(word).items() if other.phase == PRIMARY), default="")

    def joining(self, word: Word) -> bool:
        """Whether another member is on its way into the cluster, or that is not known."""
        seen = self.seen(word)
        others = {name: other.phase for name, other in seen.items() if name != self._node}
        return self._node not in seen or not {JOIN, CLAIM}.isdisjoint(others.values())

    def decide(self, word: Word, seen: "Mapping[str, Word]") -> tuple[Decision, bool]:
        """What to do, and whether the operator chose it; a wait tells how, if that can be chosen for this node."""
        decision = decide(self._node, self._members, seen)
        choice = decide(self._node, self._members, seen, forced=True)
        if not (isinstance(decision, Wait) and isinstance(choice, Bootstrap)):
            return decision, False
        if self._forced(word):
            return choice, True
        return Wait(f"{decision.reason}; if that never comes: vimha decide {self._resource} {self._node}"), False

    def call(self, node: str) -> None:
        """Have Pacemaker start a member on `node`, if it has one to spare."""
        for trouble in self._calls.call(node, self._patience()):
            self._note(f"{node} not called: {trouble}")

    def settle(self, word: Word | None) -> None:
        """The cluster that this node's `word` was about is there: an operator's choice of it has been used, and nobody
        needs to be called any more.
        """
        if self._forced(word):
            self._choice.clear(ASK_S)
        if len(self._members) > 1:
            for trouble in self._calls.end(self._patience()):
                self._note(f"a call may be left behind: {trouble}")

    def _forced(self, word: Word | None) -> bool:
        """True when the operator chose this node to begin, with the very position that it has."""
        if word is None or word.phase == PRIMARY or len(self._members) == 1:
            return False
        try:
            return self._choice.seen(ASK_S).get(self._node) == word.position
        except OSError:
            return False

    def _patience(self) -> float:
        return min(ASK_S, max(self._deadline.left() / 2, 0.05))

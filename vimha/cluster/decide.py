"""The operator's word in an election: which member of a clustered service begins, when the others cannot come.

Invariant: nothing is decided for a node that does not wait to start, and what it says when the decision is told is
what the operator was shown: a newer position makes the agent ignore the older one (resource_agents/wsrep/council.py).
Whoever is present is still obeyed: the agents refuse a choice against a later member that speaks.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from resource_agents.amqp import word as amqp
from resource_agents.wsrep import word as wsrep
from vimha.cluster.cib import Cib
from vimha.cluster.document import parse_cib
from vimha.cluster.live import ANSWER_S, read_cib
from vimha.errors import UsageError, VimhaError
from vimha.process import Runner, checked


@dataclass(frozen=True)
class Kind:
    """An agent that holds elections: the attribute by which its nodes speak, unless the resource's parameter
    `attribute` says otherwise; what is added to that for the operator's choice, and its value; and a word in words.
    """

    attribute: str
    suffix: str
    decode: Callable[[str], Any]
    value: Callable[[Any], str]
    data: Callable[[Any], str]


KINDS = {
    "ocf:vimha:galera": Kind(
        "vimha-galera", "-bootstrap", wsrep.decode, lambda word: word.position,
        lambda word: f"position {word.position}" if word.kind == wsrep.STATE else word.kind,
    ),
    "ocf:vimha:rabbitmq": Kind(
        "vimha-rabbitmq", "-begin", amqp.decode, lambda _: "1",
        lambda word: f"ran last with {', '.join(sorted(word.ran))}" if word.ran else "no database",
    ),
}  # fmt: skip
WAITS = "elect"
"""The phase of a node that waits to start; both agents call it so."""
NOTHING = 105
"""attrd_updater's exit code when nobody has said anything (CRM_EX_NOSUCH)."""
_SAID = re.compile(r'host="([^"]*)" value="([^"]*)"')


@dataclass(frozen=True)
class Voice:
    """What a member says: its phase, and what its data are, in words; both empty for one that says nothing."""

    node: str
    phase: str = ""
    data: str = ""


@dataclass(frozen=True)
class Election:
    """Where the members of `resource` stand. `choices`: the attribute and its value that let a node begin, for each
    node that waits.
    """

    resource: str
    voices: tuple[Voice, ...]
    choices: Mapping[str, tuple[str, str]]

    @property
    def silent(self) -> tuple[str, ...]:
        """The members that say nothing: what they alone have is lost when another one begins."""
        return tuple(voice.node for voice in self.voices if not voice.phase)

    def as_dict(self) -> dict[str, Any]:
        """The stable JSON shape of `vimha decide --format json`."""
        return {
            "resource": self.resource,
            "members": [asdict(voice) for voice in self.voices],
            "waiting": list(self.choices),
        }


def election(runner: Runner, resource: str) -> Election:
    """How it stands with `resource`; UsageError when the cluster has no such resource that holds elections."""
    cib = Cib(parse_cib(read_cib(runner).encode(), "the live CIB"))
    held = {name: each for name, each in cib.primitives.items() if each.agent in KINDS}
    primitive = held.get(resource)
    if primitive is None:
        known = ", ".join(sorted(held)) or "none"
        raise UsageError(f"{resource} is no clustered service of this cluster", f"It has: {known}.")
    kind = KINDS[primitive.agent]
    attribute = primitive.params.get("attribute", kind.attribute)
    said = _said(runner, attribute)
    members = [entry.partition("=")[0] for entry in primitive.params.get("members", "").split()]
    words = {node: kind.decode(said.get(node, "")) for node in members}
    return Election(
        resource,
        tuple(Voice(node, word.phase, kind.data(word)) if word else Voice(node) for node, word in words.items()),
        {
            node: (attribute + kind.suffix, kind.value(word))
            for node, word in words.items()
            if word and word.phase == WAITS
        },
    )


def begin(runner: Runner, found: Election, node: str) -> None:
    """Let `node` begin; VimhaError when it does not wait for that."""
    choice = found.choices.get(node)
    if choice is None:
        waiting = ", ".join(found.choices) or "none does"
        raise VimhaError(f"{node} does not wait to begin {found.resource}", f"Members that wait: {waiting}.")
    name, value = choice
    argv = ["attrd_updater", "--private", "--name", name, "--update", value, "--node", node]
    checked(runner(argv, timeout_s=ANSWER_S))


def _said(runner: Runner, attribute: str) -> dict[str, str]:
    """Each node's word, as Pacemaker's attribute daemon has it."""
    answer = runner(["attrd_updater", "--name", attribute, "--query", "--all"], timeout_s=ANSWER_S)
    if answer.code == NOTHING:
        return {}
    return dict(_SAID.findall(checked(answer).out))

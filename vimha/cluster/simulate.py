"""The door to Pacemaker's scheduler: what would this cluster do now?

Invariant: nothing here touches a running cluster. A CIB goes in as a file in a private folder that is gone
afterwards, crm_simulate computes one transition from it, and what it plans comes back as data. The program is
Pacemaker's own, of this machine: the same scheduler that a DC runs.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from vimha.cluster import cib
from vimha.errors import ProcessError
from vimha.process import Runner, checked

Element = etree._Element
TIMEOUT_S = 60.0
"""The longest that one computation may take; 1,000 resources take 0.4 s on a slow core."""


@dataclass(frozen=True)
class Action:
    """What the scheduler plans for a resource: `kind` is its word for it (start, stop, move, restart, recover,
    promote, demote, migrate, reload), `node` where the resource is afterwards (for a stop: where it was), `source`
    where it was before. A `blocked` action is wanted and cannot be done, for `reason`.
    """

    kind: str
    resource: str
    node: str
    source: str = ""
    reason: str = ""
    blocked: bool = False

    @property
    def interrupts(self) -> str:
        """The node whose running instance this action stops or restarts, if any."""
        return "" if self.blocked or self.kind in ("start", "promote", "reload") else self.source or self.node


@dataclass(frozen=True)
class Task:
    """One operation of a transition on a node; `interval_ms` is 0 for all that does not recur. `digest` is what
    Pacemaker would keep of its parameters, to see later whether they have changed.
    """

    resource: str
    operation: str
    node: str
    interval_ms: int
    digest: str


@dataclass(frozen=True)
class Transition:
    """What the scheduler makes of a CIB: what runs where before (by resource, without instance numbers), which nodes
    it fences, what it does to resources, and, when asked for, each operation.
    """

    running: dict[str, frozenset[str]]
    fenced: tuple[str, ...]
    actions: tuple[Action, ...]
    tasks: tuple[Task, ...] = ()

    @property
    def placement(self) -> dict[str, frozenset[str]]:
        """What runs where when the transition is done."""
        left = {name: set(nodes) - set(self.fenced) for name, nodes in self.running.items()}
        for action in self.actions:
            if action.interrupts:
                left.setdefault(action.resource, set()).discard(action.interrupts)
        for action in self.actions:
            if not action.blocked and action.kind not in ("stop", "demote"):
                left.setdefault(action.resource, set()).add(action.node)
        for action in self.actions:
            if action.kind == "demote" and not action.blocked:
                left.setdefault(action.resource, set()).add(action.node)
        return {name: frozenset(nodes) for name, nodes in left.items()}


def schedule(root: Element, run: Runner, *, tasks: bool = False) -> Transition:
    """The transition that Pacemaker plans for the CIB at `root`, status included; `tasks`: its operations too.

    ProcessError when crm_simulate is not installed, or refuses the CIB.
    """
    return planned(serialised(root), run, tasks=tasks)


def planned(content: bytes, run: Runner, *, tasks: bool = False) -> Transition:
    """As `schedule`, for a CIB that is `serialised` already; may be called from any thread."""
    with tempfile.TemporaryDirectory(prefix="vimha-simulate-") as folder:
        source, graph = Path(folder, "cib.xml"), Path(folder, "graph.xml")
        source.write_bytes(content)
        argv = ["crm_simulate", "--xml-file", str(source), "--run", "--output-as=xml"]
        done = run([*argv, "--save-graph", str(graph)] if tasks else argv, timeout_s=TIMEOUT_S)
        report = _parse(checked(done).out.encode())
        return Transition(
            _running(report),
            tuple(
                each.get("node", "") for each in report.iterfind("actions/node_action")
                if each.get("task", "").startswith("Fence")
            ),
            tuple(_action(each) for each in report.iterfind("actions/rsc_action")),
            tuple(_tasks(_parse(graph.read_bytes()))) if tasks else (),
        )  # fmt: skip


def serialised(root: Element) -> bytes:
    """The CIB at `root` as crm_simulate gets it: without schema validation, which is most of its time and done
    elsewhere. An older schema is left alone, because Pacemaker converts the CIB on the way in.
    """
    content: bytes = etree.tostring(root)
    schema = root.get("validate-with", "")
    if schema.startswith("pacemaker-3."):
        return content.replace(f'validate-with="{schema}"'.encode(), b'validate-with="none"', 1)
    return content


def _parse(content: bytes) -> Element:
    try:
        return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise ProcessError(f"crm_simulate: its answer is not XML: {error}") from error


def _running(report: Element) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for resource in report.iterfind("cluster_status/resources//resource"):
        nodes = {node.get("name", "") for node in resource.iterfind("node")}
        found.setdefault(_base(resource.get("id", "")), set()).update(nodes)
    return {name: frozenset(nodes) for name, nodes in found.items()}


def _base(name: str) -> str:
    """A resource's id without the instance number (`api:0`) that a clone gives it."""
    return name.partition(":")[0]


def _action(element: Element) -> Action:
    source, dest = element.get("source", ""), element.get("dest", "")
    return Action(
        element.get("action", ""),
        _base(element.get("resource", "")),
        dest or element.get("node", "") or source,
        source,
        element.get("reason", ""),
        element.get("blocked") == "true",
    )


def _tasks(graph: Element) -> Iterator[Task]:
    for op in graph.iterfind("synapse/action_set/rsc_op"):
        primitive = op.find("primitive")
        attributes = op.find("attributes")
        if primitive is not None and attributes is not None:
            yield Task(
                _base(primitive.get("id", "")),
                op.get("operation", ""),
                op.get("on_node", ""),
                int(attributes.get("CRM_meta_interval", "0")),
                _digest(attributes),
            )


def _digest(attributes: Element) -> str:
    """The MD5 sum that Pacemaker keeps of an operation's parameters (lib/common/digest.c, v1): those of the agent,
    in order, and the timeout of what recurs.
    """
    kept = {
        name: value for name, value in sorted(cib.attributes(attributes).items())
        if not name.startswith("CRM_meta_") and name != "crm_feature_set"
    }  # fmt: skip
    if attributes.get("CRM_meta_interval", "0") != "0":
        kept = dict(sorted({**kept, "CRM_meta_timeout": attributes.get("CRM_meta_timeout", "")}.items()))
    text = etree.tostring(etree.Element("parameters", kept))
    return hashlib.md5(b" " + text + b"\n", usedforsecurity=False).hexdigest()

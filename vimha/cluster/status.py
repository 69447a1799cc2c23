"""The state of a running cluster, and what is wrong with it.

Invariant: whatever is not as it should be is a problem, in words, with the object's name; a cluster is healthy when
there is none. Everything is asked of one node in a few calls, with Pacemaker's and corosync's own tools; what may not
be asked (corosync's links, by others than root) is left out, not guessed.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from lxml import etree

from vimha.cluster.cib import Cib, Primitive, score
from vimha.cluster.document import parse_cib
from vimha.cluster.live import ANSWER_S, Totem, read_cib, read_totem
from vimha.errors import ProcessError
from vimha.process import Runner, checked

Element = etree._Element
MON = ("crm_mon", "--one-shot", "--output-as=xml", "--include=all", "--fence-history=3")
LINKS = ("corosync-cfgtool", "-n")
DEGRADED = "190"
"""PCMK_OCF_DEGRADED, as crm_mon and the CIB write it."""
RUNNING = ("Started", "Promoted", "Unpromoted", "Master", "Slave")
"""The roles of an instance that runs; besides Stopped there are only those of one that changes: Starting, Stopping."""
INFINITY = 1_000_000
"""Pacemaker's largest score."""
_PEER = re.compile(r"^nodeid: (\d+)")
_LINK = re.compile(r"^\s+LINK: (\d+) \S+ \(\S+\) (.*?) mtu")


@dataclass(frozen=True)
class Node:
    """A node of the cluster: `state` is online, offline, standby, maintenance, pending or unclean."""

    name: str
    state: str
    dc: bool
    attributes: dict[str, str]


@dataclass(frozen=True)
class Resource:
    """A primitive's instances: where they run, whether Pacemaker may manage them, and what is wrong, if anything."""

    id: str
    agent: str
    nodes: tuple[str, ...]
    role: str
    managed: bool
    trouble: str


@dataclass(frozen=True)
class Failure:
    """The last failure of an operation: the node's, with the agent's own reason."""

    resource: str
    node: str
    operation: str
    result: str
    reason: str
    when: str


@dataclass(frozen=True)
class Fencing:
    """One fencing action in the cluster's history, by the node `by`: `state` is success, failed or pending."""

    target: str
    action: str
    state: str
    by: str
    when: str


@dataclass(frozen=True)
class Link:
    """One of corosync's links from the asked node to `peer`: link 0 is the site's first plane."""

    number: int
    peer: str
    connected: bool


@dataclass(frozen=True)
class Status:
    """A cluster's state. `vips`: resource -> (address, the nodes that hold it). `levels`: node -> its fence devices."""

    dc: str
    quorum: bool
    nodes: tuple[Node, ...]
    resources: tuple[Resource, ...]
    failures: tuple[Failure, ...]
    fencing: tuple[Fencing, ...]
    levels: dict[str, tuple[str, ...]]
    vips: dict[str, tuple[str, tuple[str, ...]]]
    links: tuple[Link, ...]
    totem: Totem | None
    problems: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        return not self.problems

    def node(self, name: str) -> Node | None:
        """The node called `name`, if the cluster knows it."""
        return next((node for node in self.nodes if node.name == name), None)

    def as_dict(self) -> dict[str, Any]:
        """The stable JSON shape of `vimha status --format json`."""
        vips = {name: {"address": address, "holders": list(nodes)} for name, (address, nodes) in self.vips.items()}
        return {"healthy": self.healthy, **asdict(self), "vips": vips}


def status(runner: Runner) -> Status:
    """The cluster of `runner`'s node; VimhaError when Pacemaker does not answer there."""
    cib = Cib(parse_cib(read_cib(runner).encode(), "the live CIB"))
    report = etree.fromstring(checked(runner(MON, timeout_s=ANSWER_S)).out.encode())
    return assess(report, cib, _links(runner), read_totem(runner))


def _links(runner: Runner) -> str:
    try:
        return runner(LINKS, timeout_s=ANSWER_S).out
    except ProcessError:
        return ""


def assess(report: Element, cib: Cib, links: str, totem: Totem | None) -> Status:
    """The status in crm_mon's XML `report`, the live CIB and corosync-cfgtool's `links` (empty: not asked)."""
    dc = report.find("summary/current_dc")
    nodes = tuple(_nodes(report))
    resources = tuple(_resources(report))
    names = {node.get("id", ""): node.get("name", "") for node in report.iterfind("nodes/node")}
    found = Status(
        dc="" if dc is None else dc.get("name", ""),
        quorum=dc is not None and dc.get("with_quorum") == "true",
        nodes=nodes,
        resources=resources,
        failures=tuple(_failures(report, cib)),
        fencing=tuple(_fencing(report)),
        levels=_levels(cib),
        vips=_vips(cib, resources),
        links=tuple(_parse_links(links, names)),
        totem=totem,
        problems=(),
    )
    return Status(**{**vars(found), "problems": tuple(_problems(found, cib))})


def _nodes(report: Element) -> Iterator[Node]:
    attributes = {
        node.get("name", ""): {each.get("name", ""): each.get("value", "") for each in node.iterfind("attribute")}
        for node in report.iterfind("node_attributes/node")
    }
    for node in report.iterfind("nodes/node"):
        name = node.get("name", "")
        yield Node(name, _node_state(node), node.get("is_dc") == "true", attributes.get(name, {}))


def _node_state(node: Element) -> str:
    for state in ("unclean", "pending"):
        if node.get(state) == "true":
            return state
    if node.get("online") != "true":
        return "offline"
    for state in ("maintenance", "standby", "standby_onfail"):
        if node.get(state) == "true":
            return state.removesuffix("_onfail")
    return "online"


def _resources(report: Element) -> Iterator[Resource]:
    """One entry per primitive: the instances of a clone together."""
    instances: dict[str, list[Element]] = {}
    for each in report.iterfind("resources//resource"):
        instances.setdefault(each.get("id", "").partition(":")[0], []).append(each)
    for name, found in instances.items():
        running = [each for each in found if each.get("role") in RUNNING]
        nodes = tuple(sorted({node.get("name", "") for each in running for node in each.iterfind("node")}))
        troubles = [word for each in found if (word := _trouble(each))]
        yield Resource(
            name,
            found[0].get("resource_agent", "").replace("::", ":"),
            nodes,
            running[0].get("role", "") if running else "Stopped",
            all(each.get("managed") == "true" for each in found),
            troubles[0] if troubles else "",
        )


def _trouble(resource: Element) -> str:
    if resource.get("blocked") == "true":
        return "blocked"
    if resource.get("failed") == "true" and resource.get("failure_ignored") != "true":
        return "failed"
    if resource.get("orphaned") == "true":
        return "orphaned" if resource.get("role") in RUNNING else ""  # where an instance of a clone with clone-max was
    return "" if resource.get("role") in (*RUNNING, "Stopped") else resource.get("role", "").lower()


def _failures(report: Element, cib: Cib) -> Iterator[Failure]:
    """The last failures. Pacemaker keeps a degraded result among them when a later monitor found the resource well."""
    for each in report.iterfind("failures/failure"):
        key, task = each.get("op_key", ""), each.get("task", "")
        if each.get("exitcode") == DEGRADED and not _still_degraded(cib, each.get("node", ""), key):
            continue
        result = each.get("exitstatus", "")
        if each.get("status") not in ("complete", None):
            result = f"{result} ({each.get('status')})"
        yield Failure(
            key.rpartition(f"_{task}_")[0] or key,
            each.get("node", ""),
            task,
            result,
            each.get("exitreason", ""),
            each.get("last-rc-change", ""),
        )


def _still_degraded(cib: Cib, node: str, key: str) -> bool:
    """Is the last result of the recurring operation `key` on `node` a degraded one? It is kept as the resource's last
    failure; the operation's own record is written again only when its result is good (Pacemaker 2.1.5). A probe's
    tells nothing: the monitors that follow it do. What was stopped or started since, by the order of calls on the node,
    is not degraded any more.
    """
    if key.endswith("_monitor_0"):
        return False
    resource = key.rpartition("_monitor_")[0]
    records = [
        each
        for state in cib.root.iterfind("status/node_state") if state.get("uname") == node
        for each in state.iter("lrm_rsc_op")
    ]  # fmt: skip

    def newest(field: str, code: str, *keys: str) -> int:
        found = (each for each in records if each.get("operation_key") in keys and each.get("rc-code") == code)
        return max((int(each.get(field, "0")) for each in found), default=0)

    bad = newest("last-rc-change", DEGRADED, key) > newest("last-rc-change", "0", key)
    ended = newest("call-id", "0", f"{resource}_stop_0", f"{resource}_start_0")
    return bad and newest("call-id", DEGRADED, key) >= ended


def _fencing(report: Element) -> Iterator[Fencing]:
    for each in report.iterfind("fence_history/fence_event"):
        yield Fencing(
            each.get("target", ""), each.get("action", ""), each.get("status", ""), each.get("delegate", ""),
            each.get("completed", ""),
        )  # fmt: skip


def _levels(cib: Cib) -> dict[str, tuple[str, ...]]:
    """The devices that may fence each node: by the topology, else by the devices' own host lists."""
    found: dict[str, tuple[str, ...]] = {}
    for level in cib.levels:
        target = level.get("target", "")
        found[target] = (*found.get(target, ()), *level.get("devices", "").replace(" ", "").split(","))
    devices = [each for each in cib.primitives.values() if each.is_fencing]
    for node in cib.nodes:
        if node not in found:
            found[node] = tuple(each.id for each in devices if _may_fence(each, node))
    return found


def _may_fence(device: Primitive, node: str) -> bool:
    hosts = device.params.get("pcmk_host_list", "") + " " + device.params.get("pcmk_host_map", "")
    names = {word.partition(":")[0] for word in re.split(r"[\s;,]+", hosts) if word}
    return not names or node in names


def _vips(cib: Cib, resources: tuple[Resource, ...]) -> dict[str, tuple[str, tuple[str, ...]]]:
    running = {each.id: each.nodes for each in resources}
    return {
        each.id: (each.params.get("ip", each.params.get("ipv6addr", "")), running.get(each.id, ()))
        for each in cib.primitives.values() if each.is_vip
    }  # fmt: skip


def _parse_links(text: str, names: dict[str, str]) -> Iterator[Link]:
    peer = ""
    for line in text.splitlines():
        if match := _PEER.match(line):
            peer = names.get(match[1], match[1])
        elif match := _LINK.match(line):
            yield Link(int(match[1]), peer, match[2] == "enabled connected")


def _problems(found: Status, cib: Cib) -> Iterator[str]:
    """What is wrong, the gravest first."""
    if not found.dc:
        yield "no DC: the cluster decides nothing"
    if not found.quorum:
        yield "no quorum: this partition runs nothing"
    for node in found.nodes:
        if node.state != "online":
            yield f"node {node.name} is {node.state}"
    yield from _fencing_problems(found, cib)
    for name, (address, holders) in found.vips.items():
        if len(holders) != 1:
            yield f"VIP {address} ({name}) is held by {' and '.join(holders) or 'no node'}"
    for each in found.resources:
        yield from _resource_problems(each, found, cib)
    for failure in found.failures:
        why = failure.reason or failure.result
        how = "is degraded" if failure.result == "OCF_DEGRADED" else "failed"
        yield f"{failure.resource}: {failure.operation} {how} on {failure.node}: {why}"
    down = [link for link in found.links if not link.connected]
    for link in down:
        yield f"link {link.number} to {link.peer} is down"


def _fencing_problems(found: Status, cib: Cib) -> Iterator[str]:
    enabled = cib.properties.get("stonith-enabled", "true").lower()
    if enabled not in ("true", "on", "yes", "y", "1"):
        yield "fencing is disabled: a lost node's services start elsewhere while it may still run them"
        return
    started = {each.id for each in found.resources if each.nodes}
    for node, devices in found.levels.items():
        if not devices:
            yield f"no fence device for {node}"
        yield from (f"fence device {device} of {node} is not running" for device in devices if device not in started)
    last = {event.target: event for event in reversed(found.fencing)}
    for event in last.values():
        if event.state != "success":
            yield f"fencing of {event.target}: {event.state} ({event.action})"


def _resource_problems(each: Resource, found: Status, cib: Cib) -> Iterator[str]:
    primitive = cib.primitives.get(each.id)
    wanted = primitive is None or primitive.meta.get("target-role", "Started").lower() != "stopped"
    if each.trouble:
        yield f"resource {each.id} is {each.trouble}"
    elif not each.nodes and wanted and not (primitive and primitive.is_vip):
        yield f"resource {each.id} runs nowhere"
    elif primitive is not None and wanted and len(each.nodes) < (number := _instances(primitive, found, cib)):
        yield f"resource {each.id} runs on {len(each.nodes)} of {number} nodes"
    if not each.managed:
        yield f"resource {each.id} is not managed"


def _instances(primitive: Primitive, found: Status, cib: Cib) -> int:
    """How many instances of `primitive` should run now: a clone's, on the nodes that are online and not forbidden."""
    if primitive.clone is None:
        return 1
    names = {primitive.id, *(parent.get("id", "") for parent in primitive.parents)}
    forbidden = {
        each.get("node", "") for each in cib.constraints
        if each.tag == "rsc_location" and score(each.get("score")) <= -INFINITY
        and names & {each.get("rsc", ""), *(ref.get("id", "") for ref in each.iterfind("resource_set/resource_ref"))}
    }  # fmt: skip
    able = sum(node.state == "online" and node.name not in forbidden for node in found.nodes)
    limit = primitive.meta.get("clone-max", "")
    return min(able, int(limit)) if limit.isdecimal() else able

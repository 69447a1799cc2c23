"""States that a cluster has not been in yet: fabricated status for the scheduler to compute with.

Invariant: each function returns a changed copy; the CIB that it was given stays as it was. What it says has
been done, the scheduler planned before: it is planned, done, and only then disturbed.
"""

from copy import deepcopy

from lxml import etree

from vimha.cluster.simulate import Task, Transition

Element = etree._Element
_KEY = "1:1:0:00000000-0000-0000-0000-000000000000"
"""A transition key of the right shape (lib/pacemaker/pcmk_sched_actions.c reads it back); none of a real DC's."""
_FEATURES = "3.16.1"
"""The feature set of Pacemaker 2.1.5, which decides how history and fail counts are read."""


def formed(root: Element, attributes: dict[str, dict[str, str]]) -> Element:
    """The CIB at `root` as a cluster that has just formed: all its nodes online, quorate, nothing started, and each
    node with its transient `attributes` (node's name -> attribute -> value).
    """
    copy = deepcopy(root)
    for old in copy.findall("status"):
        copy.remove(old)
    status = etree.SubElement(copy, "status")
    copy.attrib.update({"have-quorum": "1", "crm_feature_set": _FEATURES})
    for node in copy.iterfind("configuration/nodes/node"):
        if node.get("type", "member") in ("member", "normal"):
            name, number = node.get("uname", ""), node.get("id", "")
            _join(etree.SubElement(status, "node_state", {"id": number, "uname": name}), attributes.get(name, {}))
            copy.set("dc-uuid", copy.get("dc-uuid") or number)
    return copy


def _join(state: Element, attributes: dict[str, str]) -> None:
    """The state of a node that has just joined: a member without any history."""
    number = state.get("id", "")
    state.attrib.update({"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"})
    lrm = etree.SubElement(state, "lrm", id=number)
    etree.SubElement(lrm, "lrm_resources")
    holder = etree.SubElement(state, "transient_attributes", id=number)
    etree.SubElement(holder, "instance_attributes", id=f"status-{number}")
    for attribute, value in attributes.items():
        _set_attribute(state, attribute, value)


def done(root: Element, transition: Transition, now: int) -> Element:
    """The CIB after every task of `transition` has succeeded (a probe has found nothing); `now` in epoch seconds."""
    copy = deepcopy(root)
    states = {state.get("uname", ""): state for state in copy.iterfind("status/node_state")}
    known: dict[tuple[str, str], Element] = {}
    agents = {each.get("id", ""): each for each in copy.iterfind("configuration/resources//primitive")}
    for task in sorted(transition.tasks, key=_stage):
        state = states.get(task.node)
        if state is not None:
            place = known.get((task.node, task.resource))
            if place is None:
                place = known[task.node, task.resource] = _resource(state, task.resource, agents.get(task.resource))
            _record(place, task, now)
    return copy


def _stage(task: Task) -> int:
    """History in the order that it happens: probes, stops, starts, what follows a start, what recurs."""
    if task.operation == "monitor":
        return 4 if task.interval_ms else 0
    return {"stop": 1, "start": 2}.get(task.operation, 3)


def without_node(root: Element, node: str) -> Element:
    """The CIB when `node` has just vanished from the membership without a word."""
    copy = deepcopy(root)
    for state in copy.iterfind("status/node_state"):
        if state.get("uname") == node:
            state.attrib.update({"in_ccm": "false", "crmd": "offline", "join": "down"})
    return copy


def fenced(root: Element, node: str) -> Element:
    """The CIB when `node`, which had vanished, is known to be off: its history has been erased."""
    copy = without_node(root, node)
    for state in copy.iterfind("status/node_state"):
        if state.get("uname") == node:
            state.set("expected", "down")
            for part in list(state):
                state.remove(part)
    return copy


def returned(root: Element, node: str, attributes: dict[str, str]) -> Element:
    """The CIB when `node`, which had been fenced, has booted and joined, with its transient `attributes`."""
    copy = deepcopy(root)
    for state in copy.iterfind("status/node_state"):
        if state.get("uname") == node:
            _join(state, attributes)
    return copy


def with_attributes(root: Element, node: str, attributes: dict[str, str | None]) -> Element:
    """The CIB with transient `attributes` set on `node`; None: not defined there."""
    copy = deepcopy(root)
    for state in copy.iterfind("status/node_state"):
        if state.get("uname") == node:
            for name, value in attributes.items():
                _set_attribute(state, name, value)
    return copy


def with_failure(root: Element, task: Task, now: int) -> Element:
    """The CIB when the recurring monitor `task` has just failed for the first time; `now` in epoch seconds."""
    copy = deepcopy(root)
    for state in copy.iterfind("status/node_state"):
        if state.get("uname") == task.node:
            suffix = f"{task.resource}#{task.operation}_{task.interval_ms}"
            _set_attribute(state, f"fail-count-{suffix}", "1")
            _set_attribute(state, f"last-failure-{suffix}", str(now))
            for resource in state.iterfind("lrm/lrm_resources/lrm_resource"):
                if resource.get("id") == task.resource:
                    _record(resource, task, now, failed=True)
    return copy


def _set_attribute(state: Element, name: str, value: str | None) -> None:
    holder = state.find("transient_attributes/instance_attributes")
    assert holder is not None  # noqa: S101 (formed() made it)
    for pair in holder.findall("nvpair"):
        if pair.get("name") == name:
            holder.remove(pair)
    if value is not None:
        etree.SubElement(holder, "nvpair", id=f"{holder.get('id')}-{name}".replace("#", "."), name=name, value=value)


def _resource(state: Element, name: str, agent: Element | None) -> Element:
    """Where `name`'s history on this node is kept, made when there is none."""
    resources = state.find("lrm/lrm_resources")
    assert resources is not None  # noqa: S101 (formed() made it)
    for found in resources.iterfind("lrm_resource"):
        if found.get("id") == name:
            return found
    place = etree.SubElement(resources, "lrm_resource", id=name)
    if agent is not None:
        place.attrib.update({key: agent.get(key, "") for key in ("type", "class", "provider") if agent.get(key)})
    return place


def _record(place: Element, task: Task, now: int, *, failed: bool = False) -> None:
    """Write `task`'s result into the history at `place`: one entry for each recurring operation, one for the rest.
    A stop leaves no recurring one.
    """
    recurs = task.operation == "monitor" and task.interval_ms > 0
    suffix = f"monitor_{task.interval_ms}" if recurs else "last_0"
    number = f"{task.resource}_{suffix}"
    for old in place.findall("lrm_rsc_op"):
        if old.get("id") == number or task.operation == "stop":
            place.remove(old)
    code = "1" if failed else "7" if task.operation == "monitor" and not recurs else "0"
    status = "4" if failed else "0"
    etree.SubElement(place, "lrm_rsc_op", {
        "id": number, "operation_key": f"{task.resource}_{task.operation}_{task.interval_ms}",
        "operation": task.operation, "crm_feature_set": _FEATURES, "interval": str(task.interval_ms),
        "transition-key": _KEY, "transition-magic": f"{status}:{code};{_KEY}", "call-id": str(len(place) + 1),
        "rc-code": code, "op-status": status, "last-rc-change": str(now), "exec-time": "0", "queue-time": "0",
        "op-digest": task.digest,
    })  # fmt: skip

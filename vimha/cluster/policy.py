"""What the scheduler would do, judged: everything starts and is watched, every failure is met, nothing else suffers.

Invariant: the verdicts are Pacemaker's own, computed from states that vimha/cluster/whatif.py fabricates; each node
is lost once, each VIP's node loses its ports once, and each kind of monitor fails once. Of very many resources of a
kind only some are computed, so that a check ends in seconds; what was left out is said (P012).
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from vimha.cluster import rules_policy as rules
from vimha.cluster import whatif
from vimha.cluster.attributes import published, satisfying
from vimha.cluster.cib import Cib, Element, Primitive, is_true
from vimha.cluster.sample import instances, representative
from vimha.cluster.simulate import Task, Transition, planned, schedule, serialised
from vimha.cluster.traps_operations import is_recurring, listed
from vimha.cluster.traps_resources import anchors
from vimha.findings import Finding, Severity
from vimha.process import Runner

INSTANCES = 120
"""Of a larger configuration this many instances are simulated: some 50 ms of computing for each thing that happens."""
CASES, FEWEST, EFFORT = 40, 6, 8000
"""How many failures are computed: at most CASES, fewer where resources of many kinds leave a large configuration
(EFFORT is instances times failures, about 3 s on one core), but FEWEST in any case.
"""
LARGEST = 2000
"""More instances than this are not computed at all: crm_simulate's time grows faster than their number."""
ARBITRATOR = "ocf:vimha:garbd"
UNSUPPORTED = ("bundle", "ocf:pacemaker:remote")
"""What runs on nodes that exist only once something runs: their status cannot be fabricated."""


@dataclass(frozen=True)
class Formed:
    """The cluster after it has started: its CIB with that status, the scheduler's last transition, and each node's
    transient attributes.
    """

    root: Element
    transition: Transition
    placement: dict[str, frozenset[str]]
    attributes: dict[str, dict[str, str]]


@dataclass(frozen=True)
class Case:
    """One thing that happens to a formed cluster, and what must be true of the scheduler's answer."""

    kind: str
    make: Callable[[], Element]
    judge: Callable[[Transition], Iterable[Finding]]


@dataclass(frozen=True)
class Expected:
    """What the site says that the CIB alone does not: nodes that only vote, whether VIPs are to be spread, and over how
    many nodes (0: all that can hold them).
    """

    arbiters: frozenset[str] = frozenset()
    spread: bool = False
    over: int = 0


FOREIGN = Expected()
"""Of a cluster that vimha did not render nothing more is known than its CIB."""


def unsupported(cib: Cib) -> str:
    """Why this configuration cannot be simulated here; empty when it can."""
    if not cib.nodes:
        return "the CIB lists no nodes"
    if is_true(cib.properties.get("maintenance-mode")):
        return "the cluster is in maintenance mode"
    if cib.is_fencing and not any(each.is_fencing for each in cib.primitives.values()):
        return "without a fence device Pacemaker starts nothing"
    for each in cib.primitives.values():
        if each.agent in UNSUPPORTED or any(parent.tag in UNSUPPORTED for parent in each.parents):
            return f"{each.id} makes nodes of its own (remote nodes, bundles)"
        if "remote-node" in each.meta:
            return f"{each.id} makes nodes of its own (guest nodes)"
    return ""


def check(cib: Cib, run: Runner, now: int, expected: Expected = Expected()) -> list[Finding]:
    """Every finding about what the scheduler would do with `cib`; `now` in epoch seconds.

    ProcessError when crm_simulate is missing or refuses the configuration.
    """
    reason = unsupported(cib)
    if reason:
        return [rules.NOT_SIMULATED.finding("crm_config", reason, remedy="Test failovers on the cluster itself.")]
    small = representative(cib, INSTANCES)
    if instances(small) > LARGEST:
        reason = f"{instances(small)} instances of too many different kinds"
        return [rules.NOT_SIMULATED.finding("resources", reason, remedy="Test failovers on the cluster itself.")]
    formed = form(small, run, now)
    cases = list(_cases(small, formed, now))
    size = sum(len(nodes) for nodes in formed.placement.values())
    chosen = _sample(cases, max(FEWEST, min(CASES, EFFORT // max(1, size))))
    found = [*_started(small, formed), *_placed(small, formed, expected)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = [pool.submit(planned, serialised(case.make()), run) for case in chosen]
        for case, answer in zip(chosen, answers, strict=True):
            found += case.judge(answer.result())
    if len(small.primitives) < len(cib.primitives) or len(chosen) < len(cases):
        parts = f"{len(small.primitives)} of {len(cib.primitives)} resources, {len(chosen)} of {len(cases)} failures"
        found.append(rules.SAMPLED.finding("resources", parts))
    return found


def form(cib: Cib, run: Runner, now: int) -> Formed:
    """Start the whole cluster: first all that needs no attribute, then, where that runs watchers, what needs theirs."""
    wanted, watchers = satisfying(cib), published(cib)
    free = {name: value for name, value in wanted.items() if name not in watchers}
    attributes = {node: dict(free) for node in cib.nodes}
    root = whatif.formed(cib.root, attributes)
    transition = schedule(root, run, tasks=True)
    root = whatif.done(root, transition, now)
    placement, tasks = transition.placement, transition.tasks
    held = {name: watchers[name] for name in wanted if name in watchers}
    if held:
        for name, agents in held.items():
            for node in set().union(*(placement.get(agent, frozenset()) for agent in agents)):
                attributes[node][name] = wanted[name]
        for node, given in attributes.items():
            root = whatif.with_attributes(root, node, {name: given[name] for name in held if name in given})
        later = schedule(root, run, tasks=True)
        root = whatif.done(root, later, now)
        placement, tasks = {**placement, **later.placement}, (*tasks, *later.tasks)
    return Formed(root, Transition(placement, (), (), tasks), placement, attributes)


def _started(cib: Cib, formed: Formed) -> Iterator[Finding]:
    """Each resource that is switched on runs, and its monitors with it."""
    scheduled = {(task.resource, task.interval_ms) for task in formed.transition.tasks}
    for each in cib.primitives.values():
        if not each.is_on:
            continue
        if not formed.placement.get(each.id):
            yield rules.NOT_STARTED.finding(each.id, f"{each.agent} starts on no node")
            continue
        for operation in each.operations:
            if operation.name != "monitor" or not is_recurring(operation) or operation.role not in ("", "Started"):
                continue
            if (each.id, operation.interval_ms) not in scheduled:
                yield rules.NO_SCHEDULED_MONITOR.finding(
                    operation.id, f"monitor of {each.id} with interval {operation.interval} is not run"
                )


def _vips(cib: Cib) -> list[Primitive]:
    return [each for each in cib.primitives.values() if each.is_vip and each.is_on]


def _placed(cib: Cib, formed: Formed, expected: Expected) -> Iterator[Finding]:
    vips = _vips(cib)
    for vip in vips:
        for node in formed.placement.get(vip.id, frozenset()) & expected.arbiters:
            yield rules.VIP_ON_ARBITER.finding(vip.id, f"it runs on {node}")
    if expected.spread and len(vips) > 1:
        holders = [node for vip in vips for node in formed.placement.get(vip.id, ())]
        able = expected.over or len(cib.nodes) - len(expected.arbiters)
        most = max((holders.count(node) for node in holders), default=0)
        if most > -(-len(vips) // max(1, able)):
            busy = max(holders, key=holders.count)
            yield rules.NOT_SPREAD.finding(vips[0].id, f"{busy} holds {most} of {len(vips)} VIPs, {able} nodes can")


def _settled(formed: Formed) -> Case:
    def judge(transition: Transition) -> Iterator[Finding]:
        names = sorted({each.resource for each in transition.actions})
        if names:
            yield rules.UNSETTLED.finding(names[0], f"more actions on {listed(names)}, without any cause")

    return Case("nothing", lambda: formed.root, judge)


def _cases(cib: Cib, formed: Formed, now: int) -> Iterator[Case]:
    yield _settled(formed)
    for node in cib.nodes:
        yield _node_loss(cib, formed, node)
    yield from _port_losses(cib, formed)
    seen = set()
    for task in formed.transition.tasks:
        primitive = cib.primitives.get(task.resource)
        if task.interval_ms and task.operation == "monitor" and primitive and task.resource not in seen:
            seen.add(task.resource)
            if _on_fail(primitive, task) != "ignore":
                yield _monitor_failure(cib, formed, primitive, task, now)


def _on_fail(primitive: Primitive, task: Task) -> str:
    """What is to be done when `task` fails, as the operation says; empty: the default, restart."""
    return next((each.on_fail for each in primitive.operations if each.interval_ms == task.interval_ms), "")


def _sample(cases: list[Case], limit: int) -> list[Case]:
    """At most `limit` cases: one of each kind first, then the others in their order."""
    if len(cases) <= limit:
        return cases
    first = {case.kind: number for number, case in reversed(list(enumerate(cases)))}
    order = [*sorted(first.values()), *(number for number in range(len(cases)) if number not in first.values())]
    return [cases[number] for number in sorted(order[:limit])]


def _lost(cib: Cib, before: dict[str, frozenset[str]], after: dict[str, frozenset[str]]) -> list[str]:
    """Resources that ran before and run nowhere afterwards. Fence devices are none: they fence without running; nor are
    arbitrators, whose vote is their node's.
    """
    return [
        each.id for each in cib.primitives.values()
        if before.get(each.id) and not after.get(each.id) and not each.is_fencing and each.agent != ARBITRATOR
    ]  # fmt: skip


def _node_loss(cib: Cib, formed: Formed, node: str) -> Case:
    def judge(transition: Transition) -> Iterator[Finding]:
        if cib.is_fencing and node not in transition.fenced:
            yield rules.NOT_FENCED.finding(node, f"after the loss of {node} the scheduler does not fence it")
        lost = _lost(cib, formed.placement, transition.placement)
        if lost:
            yield rules.NOT_RECOVERED.finding(lost[0], f"after the loss of {node} nowhere: {listed(lost)}")
        hurt = sorted({each.resource for each in transition.actions if each.interrupts not in ("", node)})
        if hurt:
            yield rules.DISTURBED.finding(hurt[0], f"the loss of {node} interrupts, on other nodes: {listed(hurt)}")

    return Case("node", lambda: whatif.without_node(formed.root, node), judge)


def _port_losses(cib: Cib, formed: Formed) -> Iterator[Case]:
    """On each node that holds a VIP the watchers say that no port is left, and then are silent."""
    watchers = published(cib)
    for node in cib.nodes:
        names = [name for name in formed.attributes[node] if name in watchers]
        vips = [vip.id for vip in _vips(cib) if node in formed.placement.get(vip.id, ())]
        if names and vips:
            yield _port_loss(formed, node, vips, dict.fromkeys(names, "0"), "no port left")
            yield _port_loss(formed, node, vips, dict.fromkeys(names), "the ports attribute missing")


def _port_loss(formed: Formed, node: str, vips: list[str], values: dict[str, str | None], what: str) -> Case:
    def judge(transition: Transition) -> Iterator[Finding]:
        left = [vip for vip in vips if node in transition.placement.get(vip, ())]
        if left:
            yield rules.PORTLESS.finding(left[0], f"on {node}, with {what}, there stay {listed(left)}")
        lost = [vip for vip in vips if not transition.placement.get(vip)]
        if lost and len(formed.attributes) > 1:
            yield rules.NOT_RECOVERED.finding(lost[0], f"with {what} on {node}, nowhere: {listed(lost)}")

    return Case(f"ports {what}", lambda: whatif.with_attributes(formed.root, node, values), judge)


def _monitor_failure(cib: Cib, formed: Formed, primitive: Primitive, task: Task, now: int) -> Case:
    tied = _tied(cib, primitive)

    def judge(transition: Transition) -> Iterator[Finding]:
        before, after = formed.placement[primitive.id], transition.placement.get(primitive.id, frozenset())
        acted = primitive.id in {each.resource for each in transition.actions if not each.blocked}
        if not acted and task.node not in transition.fenced:
            yield rules.NO_RECOVERY.finding(primitive.id, f"its monitor fails on {task.node} and nothing is done")
        elif len(after) < len(before):
            yield rules.NO_RECOVERY.finding(
                primitive.id,
                f"its monitor fails on {task.node}: it then runs on {len(after)} nodes, not on {len(before)}",
                severity=Severity.WARNING if after else Severity.ERROR,
            )
        hurt = {each.resource for each in transition.actions if each.interrupts}
        others = sorted(name for name in hurt if not tied.intersection(cib.primitives[name].names))
        if others:
            yield rules.STOPS_OTHERS.finding(primitive.id, f"its failure on {task.node} interrupts {listed(others)}")

    kind = (primitive.agent, *(each.tag for each in primitive.parents), *sorted(primitive.meta.items()))
    return Case(str(kind), lambda: whatif.with_failure(formed.root, task, now), judge)


def _tied(cib: Cib, primitive: Primitive) -> set[str]:
    """The ids of all that may share `primitive`'s fate: its group, what both follow, and what follows any of these."""
    group = {
        each.get("id", "") for parent in primitive.parents if parent.tag == "group"
        for each in parent.iterfind("primitive")
    }  # fmt: skip
    found: set[str] = set()
    waiting = {*primitive.names, *group}
    while waiting:
        found |= waiting
        waiting = {name for each in waiting for name in cib.followers.get(each, ())} - found
    return found | anchors(cib, primitive)

"""Bringing a running cluster to a plan's target, and back when it does not get there.

Invariant: nothing is changed on a cluster that could not carry the change (no quorum, fencing that does not work), or
that has changed since the plan was made; and afterwards it has either reached the target, or the former configuration
again, with the reason told. The target is reached when the scheduler has nothing left to do and every resource that
should run does.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from vimha.cluster import patch, simulate
from vimha.cluster.cib import Cib, is_true
from vimha.cluster.diff import compare
from vimha.cluster.document import parse_cib
from vimha.cluster.live import ANSWER_S, read_cib
from vimha.cluster.plan import Plan
from vimha.cluster.status import Failure, Status, status
from vimha.errors import VimhaError
from vimha.findings import Finding, errors
from vimha.process import Runner, run

Element = etree._Element
Progress = Callable[[str], None]

POLL_S = 0.1
"""Between two looks at the cluster while it works."""
QUIET_S = 5.0
"""How long a cluster may have nothing to do and still not be at the target, before that counts as its last word:
longer than a node attribute takes to become known after the resource that publishes it has started.
"""


class NotReachedError(VimhaError):
    """The target was not reached in time, and the former configuration is back (or the message says that it is not)."""


@dataclass(frozen=True)
class Clock:
    """Monotonic seconds, and how to pass some; tests bring their own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Applied:
    """What `apply` did: how many objects it changed, and how long the cluster took to settle, in seconds."""

    changes: int
    settled_s: float


def refusals(found: Status, findings: list[Finding]) -> list[str]:
    """Why nothing may be applied to a cluster in this state, with a site that has these findings; empty: nothing."""
    reasons = [f"{finding.code} at {finding.where}: {finding.message}" for finding in errors(findings)]
    if not found.dc:
        reasons.append("the cluster has no DC")
    if not found.quorum:
        reasons.append("this partition has no quorum")
    reasons += [
        f"node {node.name} is unclean: it waits to be fenced" for node in found.nodes if node.state == "unclean"
    ]
    latest = {event.target: event for event in reversed(found.fencing)}
    reasons += [
        f"the last fencing of {event.target} is {event.state}: repair it, then `stonith_admin --cleanup --history '*'`"
        for event in latest.values() if event.state != "success"
    ]  # fmt: skip
    reasons += [
        f"fence device {each.id} is {each.trouble or 'not running'}: its node cannot be fenced"
        for each in found.resources if each.agent.startswith("stonith:") and (each.trouble or not each.nodes)
    ]  # fmt: skip
    return reasons


def apply(
    plan: Plan,
    runner: Runner,
    findings: list[Finding],
    *,
    within_s: float = 120.0,
    progress: Progress = lambda line: None,
    clock: Clock | None = None,
) -> Applied:
    """Bring the cluster of `runner`'s node to `plan`'s target within `within_s` seconds. An empty plan does nothing.

    VimhaError when the cluster or the site forbids it, or has changed since the plan (nothing was changed then);
    NotReachedError when the target is not reached: the former configuration is back then.
    """
    if plan.empty:
        return Applied(0, 0.0)
    work = _Work(runner, progress, clock or Clock())
    before = status(runner)
    if reasons := refusals(before, findings):
        raise VimhaError("nothing was applied: " + "; ".join(reasons), "Repair that first; `vimha status` shows more.")
    target = parse_cib(plan.target, "the target CIB")
    change = patch.make(plan.live.tree, target, run)
    if change is None:
        return Applied(0, 0.0)
    patch.push(runner, change)
    progress(f"configuration {plan.live.version} changed: {len(plan.changes)} objects")
    started = work.clock.now()
    missing = work.settle(goals(target), within_s)
    if not missing:
        return Applied(len(plan.changes), work.clock.now() - started)
    fresh = [failure for failure in status(runner).failures if failure not in before.failures]
    why = "; ".join([", ".join(missing), *(_told(failure) for failure in fresh)])
    ended = work.put_back(plan, target, fresh, _running(before), within_s)
    raise NotReachedError(f"the cluster did not reach the target: {why}; {ended}")


def goals(target: Element) -> frozenset[str]:
    """The resources that must run somewhere for `target`, a CIB, to be reached: all that are not switched off."""
    return frozenset(
        each.id for each in Cib(target).primitives.values()
        if each.meta.get("target-role", "Started").lower() != "stopped" and is_true(each.meta.get("is-managed", "true"))
    )  # fmt: skip


def _running(found: Status) -> frozenset[str]:
    return frozenset(resource.id for resource in found.resources if resource.nodes)


def _told(failure: Failure) -> str:
    reason = f" ({failure.reason})" if failure.reason else ""
    return f"{failure.resource} {failure.operation} on {failure.node}: {failure.result}{reason}"


@dataclass(frozen=True)
class _Work:
    """A cluster that is being changed, watched through one node."""

    runner: Runner
    progress: Progress
    clock: Clock

    def settle(self, wanted: frozenset[str], within_s: float) -> list[str]:
        """Wait until the scheduler has nothing to do and all of `wanted` runs; what is missing after `within_s`.

        It gives up sooner when the cluster has been idle, and not there, for QUIET_S.
        """
        deadline = self.clock.now() + within_s
        idle_since: float | None = None
        told = ""
        while True:
            transition = self.transition()
            missing = [f"{name} runs nowhere" for name in sorted(wanted) if not transition.running.get(name)]
            pending = _pending(transition)
            if not missing and not pending:
                return []
            now = self.clock.now()
            idle_since = None if pending else now if idle_since is None else idle_since
            if now >= deadline or (idle_since is not None and now - idle_since >= QUIET_S):
                return missing or [f"not done: {each}" for each in pending]
            line = ", ".join((pending or missing)[:4])
            if line != told:
                self.progress(f"waiting for: {line}")
            told = line
            self.clock.sleep(POLL_S)

    def transition(self) -> simulate.Transition:
        """What the scheduler would still do about the cluster as it is."""
        return simulate.schedule(self.cib(), run, tasks=True)

    def cib(self) -> Element:
        return parse_cib(read_cib(self.runner).encode(), "the live CIB")

    def put_back(
        self, plan: Plan, target: Element, failures: list[Failure], wanted: frozenset[str], within_s: float
    ) -> str:
        """Undo `plan`, forget the `failures` that it led to, wait for what was `wanted`; what became of it, in words.

        Refused when the live configuration is no longer the target: somebody else has changed it meanwhile, and going
        back would undo their work too.
        """
        self.progress("putting the former configuration back")
        now = self.cib()
        if compare(now, target):
            return "somebody has changed the configuration meanwhile, so the former one was NOT put back"
        former = patch.merged(now, plan.live.tree)
        change = patch.make(now, former, run)
        if change is not None:
            patch.push(self.runner, change)
        for resource in sorted({failure.resource for failure in failures} & Cib(former).primitives.keys()):
            self.runner(["crm_resource", "--cleanup", "--resource", resource], timeout_s=ANSWER_S)
        missing = self.settle(wanted, within_s)
        return "the former configuration is back" + (f", but {', '.join(missing)}" if missing else " and running")


def _pending(transition: simulate.Transition) -> list[str]:
    """What the scheduler still wants done, in words: its actions, else the operations that are no action."""
    actions = [f"{each.kind} {each.resource} on {each.node}" for each in transition.actions if not each.blocked]
    return actions or [f"{each.operation} {each.resource} on {each.node}" for each in transition.tasks]

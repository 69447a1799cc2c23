"""What applying a site would change: the differences, what the scheduler would do about them, what failovers cost.

Invariant: a plan is made from one reading of the cluster and changes nothing; it carries the version that it was made
from, so that applying it refuses when the cluster has moved on. A plan without changes is empty, however differently
the two configurations are written.
"""

from dataclasses import dataclass, replace
from typing import Any

from lxml import etree

from vimha.cluster import diff, patch, simulate
from vimha.cluster.cib import Cib
from vimha.cluster.diff import Change
from vimha.cluster.document import parse_cib
from vimha.cluster.live import Live, read
from vimha.cluster.simulate import Action
from vimha.errors import VimhaError
from vimha.process import Runner, run
from vimha.render.model import Rendered
from vimha.site.model import Site
from vimha.timing import formulas
from vimha.timing.budget import budget
from vimha.timing.model import Budget, Operations, Timings
from vimha.timing.solve import solve

AGENTS = {"haproxy": "haproxy", "glance-api": "api", "bond": "ports"}
"""An agent's type -> whose operations its monitors stand for in the budget; a VIP's agent is known as such."""


@dataclass(frozen=True)
class Plan:
    """What is (`live`), what is wanted (`target`, a whole CIB), and what lies between.

    `actions`: what the scheduler would start, stop and move; `fenced`: the nodes that it would fence. `before` is None
    where the cluster's timings cannot be read, or nothing of it is known to the budget. `notes`: what differs and is
    not the CIB's to change.
    """

    live: Live
    target: bytes
    changes: tuple[Change, ...]
    actions: tuple[Action, ...]
    fenced: tuple[str, ...]
    before: Budget | None
    after: Budget
    notes: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """True when the cluster has what the site asks for."""
        return not self.changes

    def as_dict(self) -> dict[str, Any]:
        """The stable JSON shape of `vimha plan --format json`."""
        return {
            "version": str(self.live.version),
            "changes": [change.as_dict() for change in self.changes],
            "actions": [
                {
                    "kind": each.kind,
                    "resource": each.resource,
                    "node": each.node,
                    "source": each.source,
                    "reason": each.reason,
                    "blocked": each.blocked,
                }
                for each in self.actions
            ],
            "fenced": list(self.fenced),
            "notes": list(self.notes),
            "budget": {"before": self.before and self.before.as_dict(), "after": self.after.as_dict()},
        }


def make(site: Site, rendered: Rendered, runner: Runner) -> Plan:
    """The plan to bring the cluster of `runner`'s node to `rendered`, the artefacts of `site`.

    VimhaError when no cluster answers, or it has other nodes than the site.
    """
    live = read(runner)
    wanted = parse_cib(rendered.cib.content, "the rendered CIB")
    root = live.tree
    _same_nodes(site, Cib(root))
    target = patch.merged(root, wanted)
    changes = diff.compare(root, target)
    timings = solve(site)
    before = running_timings(Cib(root), live, timings)
    transition = simulate.schedule(target, run) if changes else None
    return Plan(
        live=live,
        target=etree.tostring(target),
        changes=changes,
        actions=transition.actions if transition else (),
        fenced=transition.fenced if transition else (),
        before=budget(site, before) if before else None,
        after=budget(site, timings),
        notes=_notes(site, live, timings),
    )


def _same_nodes(site: Site, cib: Cib) -> None:
    if set(site.nodes) != set(cib.nodes):
        raise VimhaError(
            f"the cluster's nodes are {', '.join(sorted(cib.nodes)) or 'none'}, the site's are {', '.join(site.nodes)}",
            "Is this the site's cluster? A node joins through corosync.conf, not through the CIB.",
        )


def running_timings(cib: Cib, live: Live, like: Timings) -> Timings | None:
    """The timings that the cluster runs with now, as far as they can be read; the rest (haproxy's checks) is `like`.

    None when corosync's timings or every monitor that the budget knows of are out of sight.
    """
    found: dict[str, Operations] = {}
    for primitive in cib.primitives.values():
        part = "vip" if primitive.is_vip else AGENTS.get(primitive.agent.split(":")[-1])
        monitor = primitive.operation("monitor")
        if part and monitor and part not in found:
            usual: Operations = getattr(like, part)
            found[part] = replace(usual, interval=monitor.interval_ms, monitor_timeout=monitor.timeout_ms)
    if live.totem is None or not found:
        return None
    return replace(
        like,
        token=live.totem.token,
        token_coefficient=0,
        consensus=live.totem.consensus,
        vip=found.get("vip", like.vip),
        haproxy=found.get("haproxy", like.haproxy),
        api=found.get("api", like.api),
        ports=found.get("ports", like.ports),
    )


def _notes(site: Site, live: Live, timings: Timings) -> tuple[str, ...]:
    token = formulas.token_effective(timings.token, timings.token_coefficient, len(site.nodes))
    if live.totem is None or (live.totem.token, live.totem.consensus) == (token, timings.consensus):
        return ()
    return (
        f"corosync runs with token {live.totem.token} ms and consensus {live.totem.consensus} ms, the site asks for"
        f" {token} and {timings.consensus} ms: put the rendered corosync.conf on every node, then run"
        " `corosync-cfgtool -R` on one",
    )

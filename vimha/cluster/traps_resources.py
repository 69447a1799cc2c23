"""Traps in resources' placement and in the cluster's properties.

Invariant: what holds through a group, a clone, a tag or a resource set counts like what is written on the resource.
"""

from collections.abc import Iterator
from difflib import get_close_matches

from vimha.cluster import durations, rules
from vimha.cluster.cib import Cib, Element, Primitive, is_true, score
from vimha.cluster.traps_operations import listed
from vimha.findings import Finding

WATCHERS = ("bond", "ethmonitor", "ping", "pingd")
"""Agents that publish whether a node is connected."""
KNOWN_PROPERTIES = frozenset({
    "no-quorum-policy", "symmetric-cluster", "maintenance-mode", "start-failure-is-fatal", "enable-startup-probes",
    "shutdown-lock", "shutdown-lock-limit", "stonith-enabled", "stonith-action", "stonith-timeout", "have-watchdog",
    "concurrent-fencing", "startup-fencing", "priority-fencing-delay", "cluster-delay", "batch-limit",
    "migration-limit", "stop-all-resources", "stop-orphan-resources", "stop-orphan-actions", "remove-after-stop",
    "pe-error-series-max", "pe-warn-series-max", "pe-input-series-max", "node-health-strategy", "node-health-base",
    "node-health-green", "node-health-yellow", "node-health-red", "placement-strategy", "dc-version",
    "cluster-infrastructure", "cluster-name", "dc-deadtime", "cluster-recheck-interval", "load-threshold",
    "node-action-limit", "fence-reaction", "election-timeout", "shutdown-escalation", "join-integration-timeout",
    "join-finalization-timeout", "transition-delay", "stonith-watchdog-timeout", "stonith-max-attempts",
    "enable-acl", "cluster-ipc-limit", "last-lrm-refresh",
})  # fmt: skip
"""What Pacemaker 2.1.5's daemons read, from their own metadata, and what its tools leave there."""
LATER = {
    "node-pending-timeout": (2, 1, 7), "fencing-enabled": (3, 0, 2), "fencing-action": (3, 0, 2),
    "fencing-timeout": (3, 0, 2), "fencing-max-attempts": (3, 0, 2), "fencing-watchdog-timeout": (3, 0, 2),
}  # fmt: skip
"""Properties that only later versions read, with the first that does."""
TRANSITION_DELAY_MS = 100
"""Less than this pays: it lets the DC's own updates of the CIB arrive, for which it would else pause 1 s."""
CLUSTER_DELAY_MS = 60_000


def check(cib: Cib, objective_ms: int) -> Iterator[Finding]:
    """Every trap in properties and placement; `objective_ms` is the longest outage that clients may see."""
    yield from _properties(cib)
    yield from _unmanaged(cib)
    for primitive in cib.primitives.values():
        kind = primitive.agent.rpartition(":")[2]
        if primitive.is_vip and not watched(cib, primitive):
            yield rules.NO_CONNECTIVITY.finding(primitive.id, "no rule keeps it off a node whose ports are dead")
        if kind in ("ping", "ethmonitor"):
            yield from _dampening(primitive, objective_ms)
        if not is_true(cib.properties.get("symmetric-cluster", "true")) and not primitive.is_fencing:
            yield from _opt_in(cib, primitive)


def _properties(cib: Cib) -> Iterator[Finding]:
    given = cib.properties
    if given.get("no-quorum-policy") == "ignore":
        yield rules.QUORUM.finding(cib.property_id("no-quorum-policy"), "no-quorum-policy=ignore")
    delay = durations.interval_ms(given.get("transition-delay"))
    if delay > TRANSITION_DELAY_MS:
        where = cib.property_id("transition-delay")
        yield rules.TRANSITION_DELAY.finding(where, f"every recovery waits {durations.show(delay)} first")
    delay = durations.interval_ms(given.get("cluster-delay"))
    if delay > CLUSTER_DELAY_MS:
        where = cib.property_id("cluster-delay")
        yield rules.CLUSTER_DELAY.finding(where, f"cluster-delay is {durations.show(delay)}")
    for name in given:
        yield from _unknown(cib, name)


def _unknown(cib: Cib, name: str) -> Iterator[Finding]:
    """A property of a later version, or one that is likely misspelt; agents may keep properties of their own."""
    if name in LATER:
        if cib.version < LATER[name]:
            needed = ".".join(str(number) for number in LATER[name])
            running = ".".join(str(number) for number in cib.version)
            yield rules.PROPERTY.finding(cib.property_id(name), f"{name} needs Pacemaker {needed}, this is {running}")
    elif name not in KNOWN_PROPERTIES:
        close = get_close_matches(name, KNOWN_PROPERTIES, n=1, cutoff=0.85)
        if close:
            yield rules.PROPERTY.finding(
                cib.property_id(name), f"{name} is ignored", remedy=f"Did you mean `{close[0]}`?"
            )


def _unmanaged(cib: Cib) -> Iterator[Finding]:
    for name in ("maintenance-mode", "stop-all-resources"):
        if is_true(cib.properties.get(name)):
            yield rules.MAINTENANCE.finding(cib.property_id(name), f"{name} is on", remedy=f"Set {name}=false.")
    for node, attributes in cib.nodes.items():
        if is_true(attributes.get("maintenance")):
            yield rules.MAINTENANCE.finding(node, f"node {node} is in maintenance mode")
    found = [
        each.id for each in cib.primitives.values()
        if not is_true(each.meta.get("is-managed", "true")) or is_true(each.meta.get("maintenance"))
    ]  # fmt: skip
    if found:
        yield rules.MAINTENANCE.finding(found[0], f"not managed: {listed(found)}", remedy="Set is-managed=true.")


def anchors(cib: Cib, primitive: Primitive) -> set[str]:
    """The ids of all whose node `primitive` must be on: what it is colocated with, and these in turn."""
    found: set[str] = set()
    waiting = set(primitive.names)
    while waiting:
        found |= waiting
        waiting = {anchor for name in waiting for anchor in cib.anchors.get(name, ())} - found
    return found


def watched(cib: Cib, vip: Primitive) -> bool:
    """Whether some rule on a node attribute, or a watcher that it follows, keeps `vip` off a node without ports."""
    for name in anchors(cib, vip):
        if any(_on_attribute(location) for location in cib.located.get(name, ())):
            return True
        anchor = cib.primitives.get(name)
        if anchor is not None and anchor.agent.rpartition(":")[2] in WATCHERS:
            return True
    return False


def _on_attribute(location: Element) -> bool:
    """Whether `location` bans, or scores, nodes by an attribute that an agent publishes."""
    for rule in location.iterfind("rule"):
        named = [each.get("attribute", "#") for each in rule.iter("expression")]
        if any(not name.startswith("#") for name in named):
            return rule.get("score-attribute") is not None or score(rule.get("score")) <= score("-INFINITY")
    return False


def _dampening(watcher: Primitive, objective_ms: int) -> Iterator[Finding]:
    """ping publishes dampen after its last attempt; ethmonitor after repeat_count looks at a dead interface."""
    params, monitor = watcher.params, watcher.operation("monitor")
    look = monitor.interval_ms if monitor else 0
    if watcher.agent.endswith(":ping"):
        dampen = durations.interval_ms(params.get("dampen", "5s"))
        tries = _number(params.get("attempts"), 3) * durations.interval_ms(params.get("timeout", "2"))
        worst, parts = dampen + tries + look, f"dampen {durations.show(dampen)}, attempts {durations.show(tries)}"
    else:
        pause = _number(params.get("repeat_interval"), 10) * 1000
        repeats = _number(params.get("repeat_count"), 5) * pause
        worst, parts = repeats + look, f"repeats {durations.show(repeats)}"
    if worst * 2 > objective_ms:
        yield rules.DAMPENING.finding(
            watcher.id,
            f"a dead port is published after up to {durations.show(worst)} ({parts}, interval {durations.show(look)}),"
            f" the objective is {durations.show(objective_ms)}",
        )


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else default


def locations(cib: Cib, primitive: Primitive) -> list[Element]:
    """The location constraints on `primitive`, or on what it is inside of."""
    return [each for name in primitive.names for each in cib.located.get(name, ())]


def _opt_in(cib: Cib, primitive: Primitive) -> Iterator[Finding]:
    allowed = any(
        score(each.get("score", "INFINITY")) >= 0 or each.find("rule") is not None for each in locations(cib, primitive)
    )
    if not allowed:
        yield rules.OPT_IN.finding(primitive.id, "no location constraint allows it on any node")

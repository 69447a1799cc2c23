"""Traps in operations and in how failures are counted.

Invariant: a resource is judged by what Pacemaker reads, not by what is written; the difference is the trap.
"""

from collections.abc import Iterator

from vimha.cluster import durations, rules
from vimha.cluster.cib import Cib, Operation, Primitive, is_true, score
from vimha.findings import Finding, Severity

NAMED = 5
"""How many resources a message lists by name."""


def check(cib: Cib) -> Iterator[Finding]:
    """Every trap in the operations and failure handling of `cib`."""
    for primitive in cib.primitives.values():
        for operation in primitive.operations:
            yield from _interval(operation)
            yield from _timeout(operation)
        yield from _monitors(primitive)
        yield from _expiry(primitive)
        yield from _threshold(primitive)
    yield from _never_forgotten(cib)
    yield from _failed_starts(cib)


def is_recurring(operation: Operation) -> bool:
    """Whether `operation` is meant to recur, whatever Pacemaker makes of its interval."""
    meant = durations.meant_ms(operation.interval)
    return operation.enabled and (operation.interval_ms > 0 or meant is None or meant > 0)


def _interval(operation: Operation) -> Iterator[Finding]:
    meant, read = durations.meant_ms(operation.interval), operation.interval_ms
    if meant is not None and round(meant) == read:
        return
    what = f"{operation.name} dropped" if read == 0 else f"{operation.name} every {durations.show(read)}"
    remedy = f"Write {durations.show(meant)}." if meant else ""
    yield rules.INTERVAL.finding(operation.id, f"interval {_shown(operation.interval)}: {what}", remedy=remedy)


def _timeout(operation: Operation) -> Iterator[Finding]:
    if operation.timeout is None:
        return
    meant, read = durations.meant_ms(operation.timeout), operation.timeout_ms
    if (meant is None and not operation.timeout) or (meant is not None and round(meant) == read):
        return
    remedy = f"Write {durations.show(meant)}." if meant else ""
    yield rules.TIMEOUT.finding(
        operation.id,
        f"timeout {_shown(operation.timeout)} of {operation.name} is read as {durations.show(read)}",
        remedy=remedy,
    )


def _monitors(primitive: Primitive) -> Iterator[Finding]:
    monitors = [each for each in primitive.operations if each.name == "monitor" and is_recurring(each)]
    if not monitors and primitive.is_fencing:
        yield rules.NO_MONITOR.finding(
            primitive.id, "no recurring monitor: a device that does not answer is found out when it is needed",
            severity=Severity.WARNING, remedy='Add `<op name="monitor" interval="60s" timeout="20s"/>`.',
        )  # fmt: skip
    elif not monitors:
        yield rules.NO_MONITOR.finding(primitive.id, f"{primitive.agent} has no recurring monitor")
    seen: dict[int, Operation] = {}
    for each in monitors:
        if each.interval_ms and (other := seen.setdefault(each.interval_ms, each)) is not each:
            yield rules.SAME_INTERVAL.finding(
                each.id, f"same interval as {other.id}, {durations.show(each.interval_ms)}, on {primitive.id}"
            )


def longest(primitive: Primitive) -> tuple[int, str]:
    """The longest timeout of an operation that a recovery may need, in milliseconds, and the operation's name."""
    names = {"start", "stop", *(each.name for each in primitive.operations)}
    return max((primitive.timeout_ms(name), name) for name in names)


def _expiry(primitive: Primitive) -> Iterator[Finding]:
    text = primitive.meta.get("failure-timeout")
    if not text or primitive.is_fencing:
        return
    meant, read = durations.meant_ms(text), durations.seconds_of(text)
    if meant is None or round(meant) != read * 1000:
        yield rules.FAILURE_SECONDS.finding(primitive.id, f"failure-timeout {_shown(text)} is read as {read} s")
    timeout, name = longest(primitive)
    if 0 < read * 1000 <= timeout:
        yield rules.FAILURE_TIMEOUT.finding(
            primitive.id, f"failure-timeout {read}s, but {name} may take {durations.show(timeout)}"
        )


def has_threshold(primitive: Primitive) -> bool:
    """Whether a number of failures bans the resource from a node (0 and INFINITY: none does)."""
    return 0 < score(primitive.meta.get("migration-threshold", "INFINITY")) < score("INFINITY")


def _threshold(primitive: Primitive) -> Iterator[Finding]:
    """What clients connect to must not stay on a bad node."""
    front = primitive.is_vip or primitive.agent.rpartition(":")[2] == "haproxy"
    if front and not has_threshold(primitive):
        yield rules.NO_THRESHOLD.finding(primitive.id, f"{primitive.agent} has no migration-threshold")


def _never_forgotten(cib: Cib) -> Iterator[Finding]:
    found = [
        each.id for each in cib.primitives.values()
        if has_threshold(each) and not each.is_fencing and not durations.seconds_of(each.meta.get("failure-timeout"))
    ]  # fmt: skip
    if found:
        yield rules.NO_EXPIRY.finding(found[0], f"migration-threshold without failure-timeout: {listed(found)}")


def _failed_starts(cib: Cib) -> Iterator[Finding]:
    if is_true(cib.properties.get("start-failure-is-fatal", "true")):
        return
    found = [each.id for each in cib.primitives.values() if not has_threshold(each) and not each.is_fencing]
    if found:
        where = cib.property_id("start-failure-is-fatal")
        yield rules.FAILED_START.finding(where, f"without migration-threshold: {listed(found)}")


def listed(names: list[str]) -> str:
    """The first of `names`, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _shown(text: str) -> str:
    return f"`{text[:40]}`"

"""Traps in fencing: devices, topology, delays, and secrets anywhere in the CIB.

Invariant: no message ever holds a secret's value; a device's coverage is what Pacemaker would take it for without
asking the device.
"""

import re
from collections.abc import Iterator

from lxml import etree

from vimha.cluster import durations
from vimha.cluster import rules_fencing as rules
from vimha.cluster.cib import Cib, Primitive, is_true, score
from vimha.findings import Finding

SLEEPY = {
    "fence_ipmilan": 2, "fence_idrac": 2, "fence_ilo3": 4, "fence_ilo4": 2, "fence_ilo5": 2, "fence_imm": 2,
}  # fmt: skip
"""Agents whose power_wait is not 0 by default, with its seconds (their metadata, fence-agents 4.12)."""
SECRET_NAME = re.compile(r"(.*[_-])?(passwd|password|passphrase|secret|secret_key|auth_key|token)", re.IGNORECASE)
INDIRECT = "lrm://"
"""What Pacemaker leaves in the CIB in place of a secret that it keeps in a file (cibsecret(8))."""
DELAYS = ("pcmk_delay_base", "pcmk_delay_max")


def check(cib: Cib, detection_ms: int | None) -> Iterator[Finding]:
    """Every trap about fencing. `detection_ms`: how long corosync needs to see a node's loss, where that is known."""
    devices = [each for each in cib.primitives.values() if each.is_fencing and each.is_on]
    watchdog = durations.interval_ms(cib.properties.get("stonith-watchdog-timeout"))
    if not cib.is_fencing:
        yield rules.DISABLED.finding(cib.property_id("stonith-enabled"), "stonith-enabled is false")
    elif not watchdog:
        yield from _coverage(cib, devices)
    if cib.is_fencing and not is_true(cib.properties.get("concurrent-fencing", str(cib.version >= (3,)))):
        yield rules.SERIAL.finding(cib.property_id("concurrent-fencing"), "concurrent-fencing is false")
    for device in devices:
        yield from _device(cib, device)
    yield from _delays(cib, devices)
    yield from _levels(cib)
    yield from _watchdog(cib, watchdog, detection_ms)
    yield from secrets(cib)


def targets(cib: Cib, device: Primitive) -> set[str] | None:
    """The nodes that `device` can fence according to its parameters; None when it has to be asked."""
    params = device.params
    kind = params.get("pcmk_host_check", "")
    named = {entry.partition(":")[0] for entry in re.split(r"[;,\s]+", params.get("pcmk_host_map", ""))}
    named |= set(re.split(r"[;,\s]+", params.get("pcmk_host_list", "")))
    named -= {""}
    if kind == "none":
        return set(cib.nodes)
    if kind in ("dynamic-list", "status"):
        return None
    return named if named or kind == "static-list" else None


def _coverage(cib: Cib, devices: list[Primitive]) -> Iterator[Finding]:
    if not devices:
        yield rules.NO_DEVICE.finding(cib.property_id("stonith-enabled"), "fencing is on, and there is no device")
        return
    found = [targets(cib, device) for device in devices]
    for node in cib.nodes:
        if not any(named is None or node in named for named in found):
            yield rules.UNCOVERED.finding(node, f"no device names node {node}")


def _device(cib: Cib, device: Primitive) -> Iterator[Finding]:
    params, agent = device.params, device.agent.partition(":")[2]
    named = targets(cib, device)
    if named is None:
        kind = params.get("pcmk_host_check") or "dynamic-list"
        yield rules.DYNAMIC.finding(device.id, f"pcmk_host_check={kind}: the agent is run to find out what it fences")
    if "action" in params:
        yield rules.ACTION.finding(device.id, f"action={params['action'][:20]}")
    if params.get("method") == "cycle":
        yield rules.CYCLE.finding(device.id, "method=cycle")
    wait = durations.interval_ms(params.get("power_wait", str(SLEEPY.get(agent, 0))))
    if wait:
        how = "set" if "power_wait" in params else "the default"
        yield rules.WAITS.finding(device.id, f"power_wait is {durations.show(wait)} ({how})")
    if durations.interval_ms(params.get("delay")):
        yield rules.WAITS.finding(device.id, f"delay={params['delay'][:20]}")
    yield from _on_target(cib, device, named)


def _on_target(cib: Cib, device: Primitive, named: set[str] | None) -> Iterator[Finding]:
    if named is None or len(named) != 1:
        return
    (node,) = named
    banned = any(
        location.get("node") == node and score(location.get("score")) <= score("-INFINITY")
        for name in device.names for location in cib.located.get(name, ())
    )  # fmt: skip
    if not banned:
        yield rules.ON_TARGET.finding(device.id, f"it fences {node} and may run there")


def _delays(cib: Cib, devices: list[Primitive]) -> Iterator[Finding]:
    for device in devices:
        for name in DELAYS:
            yield from _whole(device.id, name, device.params.get(name))
    priority = "priority-fencing-delay"
    yield from _whole(cib.property_id(priority), priority, cib.properties.get(priority))
    by_priority = durations.seconds_of(cib.properties.get(priority)) > 0
    delayed = [device for device in devices if any(_seconds(device.params.get(name)) for name in DELAYS)]
    if len(cib.nodes) > 2:
        for device in delayed:
            yield rules.NEEDLESS_DELAY.finding(device.id, f"a delay, with {len(cib.nodes)} votes")
        if by_priority:
            yield rules.NEEDLESS_DELAY.finding(cib.property_id(priority), f"{priority}, with {len(cib.nodes)} votes")
    elif len(cib.nodes) == 2 and devices and cib.is_fencing and not by_priority:
        yield from _two_nodes(devices, delayed)


def _two_nodes(devices: list[Primitive], delayed: list[Primitive]) -> Iterator[Finding]:
    if not delayed:
        yield rules.NO_DELAY.finding(devices[0].id, "two nodes, and no device with a delay")
        return
    same = {_seconds(device.params.get("pcmk_delay_base")) for device in devices}
    chance = any(_seconds(device.params.get("pcmk_delay_max")) for device in devices)
    several = any(":" in device.params.get("pcmk_delay_base", "") for device in devices)
    if len(devices) > 1 and len(same) == 1 and not chance and not several:
        yield rules.BOTH_DELAYED.finding(delayed[-1].id, f"every device waits {same.pop()} s")


def _each(text: str | None) -> list[str]:
    """The delays in a pcmk_delay_base: one, or one per node as `node:5s;other:0s`."""
    return [entry.rpartition(":")[2] for entry in re.split(r"[;,\s]+", text or "") if entry]


def _seconds(text: str | None) -> int:
    return max((durations.seconds_of(each) for each in _each(text)), default=0)


def _whole(where: str, name: str, text: str | None) -> Iterator[Finding]:
    for each in _each(text):
        meant = durations.meant_ms(each)
        if meant is None or round(meant) != durations.seconds_of(each) * 1000:
            yield rules.DELAY_UNIT.finding(where, f"{name} `{each[:20]}` is read as {durations.seconds_of(each)} s")


def _levels(cib: Cib) -> Iterator[Finding]:
    for level in cib.levels:
        for name in level.get("devices", "").split(","):
            device = cib.primitives.get(name.strip())
            if device is None or not device.is_fencing:
                yield rules.UNKNOWN_DEVICE.finding(level.get("id", ""), f"`{name.strip()[:40]}` is no fence device")


def _watchdog(cib: Cib, timeout: int, detection_ms: int | None) -> Iterator[Finding]:
    if timeout and detection_ms is not None and timeout <= detection_ms:
        yield rules.WATCHDOG.finding(
            cib.property_id("stonith-watchdog-timeout"),
            f"stonith-watchdog-timeout is {durations.show(timeout)},"
            f" but token and consensus take {durations.show(detection_ms)}",
        )


def secrets(cib: Cib) -> Iterator[Finding]:
    """Every value that is named like a secret and is there in clear text."""
    for pair in cib.configuration.iter(etree.Element):
        value = pair.get("value", "")
        if pair.tag == "nvpair" and value and not value.startswith(INDIRECT):
            name = pair.get("name", "")
            if SECRET_NAME.fullmatch(name):
                yield rules.SECRET.finding(pair.get("id", ""), f"the value of {name} is readable")

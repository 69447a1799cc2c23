"""Rules about the nodes, their votes, their fencing and the durations of a site."""

from collections.abc import Iterator

from vimha.site import rules
from vimha.site.hits import Hit
from vimha.site.model import FenceAgent, Role, Scale, Site
from vimha.site.units import show_ms

NODES = ("nodes",)


def votes(site: Site) -> Iterator[Hit]:
    """Enough nodes, a majority that can exist, and a tie that can be broken (A1; corosync votequorum(5))."""
    full, count = len(site.full_nodes()), len(site.nodes)
    if full < 2:
        yield Hit(rules.ONE_NODE, NODES, f"{full} full control node{'s' if full != 1 else ''}")
        return
    if count == 2:
        delayed = [name for name, node in site.nodes.items() if node.fencing_delay]
        if len(delayed) != 1:
            both = "both have a fencing_delay" if delayed else "no arbiter and no fencing_delay"
            yield Hit(rules.TWO_NODES, NODES, f"two nodes, {both}")
    elif count % 2 == 0:
        yield Hit(
            rules.EVEN_VOTES, NODES, f"{count} votes: a split into {count // 2} and {count // 2} stops both sides"
        )
    if count - full > full:
        yield Hit(rules.ARBITERS, NODES, f"{count - full} arbiters and {full} full nodes")
    if site.scale is Scale.LARGE and full < 3:
        yield Hit(rules.SMALL_LARGE, NODES, f"scale large with {full} full nodes", about=(("scale",),))


def delays(site: Site) -> Iterator[Hit]:
    """Fencing delays that Pacemaker can express, and only where they break a tie."""
    for name, node in site.nodes.items():
        path = ("nodes", name, "fencing_delay")
        if node.fencing_delay % 1000:
            message = f"`{name}`: {show_ms(node.fencing_delay)} is not in whole seconds"
            yield Hit(rules.FENCING_DELAY, path, message)
        elif node.fencing_delay and len(site.nodes) > 2:
            yield Hit(rules.USELESS_DELAY, path, f"`{name}` has a delay among {len(site.nodes)} nodes", about=(NODES,))


def racks(site: Site) -> Iterator[Hit]:
    """Full nodes that do not share a rack, where racks are given at all."""
    named = {name: node.rack for name, node in site.nodes.items() if node.role is Role.FULL}
    known = {rack for rack in named.values() if rack}
    missing = [name for name, rack in named.items() if not rack]
    if known and missing:
        yield Hit(rules.SOME_RACKS, ("nodes", missing[0]), f"no rack is given for {', '.join(missing)}")
    elif len(known) == 1 and len(named) > 1:
        yield Hit(rules.ONE_RACK, NODES, f"all {len(named)} full nodes are in rack {known.pop()}")


def bmcs(site: Site) -> Iterator[Hit]:
    """A way to power every node off that does not fail with what it is needed for."""
    for name, node in site.nodes.items():
        if node.bmc is None:
            yield Hit(rules.NO_BMC, ("nodes", name), f"`{name}` has no BMC")
            continue
        for plane, declared in site.planes.items():
            if node.bmc.address in declared.subnet:
                message = f"`{name}`'s BMC {node.bmc.address} is in plane {plane} ({declared.subnet})"
                yield Hit(rules.BMC_IN_PLANE, ("nodes", name, "bmc", "address"), message, about=(("planes", plane),))
    if site.fencing.agent is not FenceAgent.IPMILAN and not site.fencing.ca_file:
        yield Hit(rules.UNCHECKED_BMC, ("fencing", "ca_file"), "`fencing.ca_file` is empty")


def zeros(site: Site) -> Iterator[Hit]:
    """No duration of zero where time has to pass. corosync takes a token_coefficient of 0 (corosync.conf(5))."""
    durations: dict[tuple[str, ...], int | None] = {("objective",): site.objective}
    durations[("fencing", "off_worst")] = site.fencing.off_worst
    durations |= {("timings", name): value for name, value in site.timings if name != "token_coefficient"}
    for path, value in durations.items():
        if value == 0:
            yield Hit(rules.ZERO, path, f"`{'.'.join(path)}` is zero")


CHECKS = (votes, delays, racks, bmcs, zeros)

"""Rules about N+M redundancy (A5): what a policy of active and spare nodes promises, and what there is."""

from collections.abc import Iterator

from vimha.site import rules
from vimha.site.hits import Hit
from vimha.site.model import Role, Scale, Site, Spares
from vimha.site.yamltext import Path

NODES: Path = ("nodes",)
VIP_POLICY: Path = ("vip_policy",)


def nodes(site: Site) -> Iterator[Hit]:
    """Active and spare nodes add up to the full nodes."""
    full = len(site.full_nodes())
    for key, policy in site.spares().items():
        asked = policy.active + policy.spare
        if asked != full:
            rule = rules.TOO_MANY if asked > full else rules.TOO_FEW
            message = f"`{key}`: {policy.active} active and {policy.spare} spare of {full} full nodes"
            yield Hit(rule, tuple(key.split(".")), message, about=(NODES,))


def services(site: Site) -> Iterator[Hit]:
    """More than one active instance; in a large site an only one is told by another rule (S056)."""
    for name, service in site.services.items():
        if isinstance(service.policy, Spares) and service.policy.active == 1 and site.scale is Scale.SMALL:
            path: Path = ("services", name, "policy", "active")
            yield Hit(rules.ONE_ACTIVE, path, f"`{name}` has one active instance", about=(("scale",),))


def clusters(site: Site) -> Iterator[Hit]:
    """Members that keep a majority when one is lost."""
    arbiters = sum(node.role is Role.ARBITER for node in site.nodes.values())
    for name, service in site.stateful.items():
        if service.policy is None:
            continue
        active = service.policy.active
        path: Path = (name, "policy", "active")
        if active == 1:
            yield Hit(rules.ONE_MEMBER, path, f"`{name}` has one active member")
        elif name == "database" and active % 2 == 0 and not arbiters:
            yield Hit(rules.EVEN_MEMBERS, path, f"`{name}` has {active} active members and no arbiter", about=(NODES,))
        elif name == "messaging" and (active + arbiters) % 2 == 0:
            also = f", {arbiters} of them on an arbiter" if arbiters else ""
            message = f"`{name}` has {active + arbiters} active members{also}"
            yield Hit(rules.EVEN_MEMBERS, path, message, about=(NODES,))


def vips(site: Site) -> Iterator[Hit]:
    """VIPs that can be dealt out over the active nodes."""
    if site.vip_policy is None:
        return
    active = site.vip_policy.active
    if site.scale is Scale.SMALL:
        if active > 1:
            message = f"`vip_policy`: {active} active nodes in a small site"
            yield Hit(rules.SMALL_VIPS, VIP_POLICY, message, about=(("scale",),))
    elif active > len(site.vips):
        message = f"{len(site.vips)} VIP{'' if len(site.vips) == 1 else 's'} for {active} active nodes"
        yield Hit(rules.FEW_VIPS, (*VIP_POLICY, "active"), message, about=(("vips",),))


CHECKS = (nodes, services, clusters, vips)

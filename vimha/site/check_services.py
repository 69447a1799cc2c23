"""Rules about VIPs, services and the names of the resources that they become."""

from collections.abc import Iterator

from vimha.site import rules
from vimha.site.hits import Hit, did_you_mean
from vimha.site.model import Alarms, Database, Messaging, Policy, Scale, Service, Site
from vimha.site.yamltext import Path

PLANES: Path = ("planes",)
VIPS: Path = ("vips",)
SERVICES: Path = ("services",)
HIGHEST_PORT = 65535
CLONES = ("haproxy", "ports", "database", "messaging", "health", "arbitrator", "alarms")
OWN_IDS = ("front", *CLONES, *(f"{name}-clone" for name in CLONES))
"""What vimha calls its own resources."""


def declared(site: Site) -> Iterator[Hit]:
    """At least one plane, VIP and service."""
    for path, entries in ((PLANES, site.planes), (VIPS, site.vips), (SERVICES, site.services or site.fronted)):
        if not entries:
            yield Hit(rules.NOTHING, path, f"`{path[0]}` is empty")


def references(site: Site) -> Iterator[Hit]:
    """Planes and VIPs that are named are declared."""
    for name, vip in site.vips.items():
        if vip.plane and vip.plane not in site.planes:
            message = f"VIP `{name}` is on plane `{vip.plane}`, which is not declared"
            yield Hit(rules.NO_PLANE, ("vips", name, "plane"), message, did_you_mean(vip.plane, site.planes), (PLANES,))
    behind: dict[Path, Service | Database | Messaging | Alarms] = {
        ("services", name): it for name, it in site.services.items()
    }
    behind |= {(name,): it for name, it in site.fronted.items()}
    for path, service in behind.items():
        if service.vip and service.vip not in site.vips:
            message = f"`{path[-1]}` is behind VIP `{service.vip}`, which is not declared"
            yield Hit(rules.NO_VIP, (*path, "vip"), message, did_you_mean(service.vip, site.vips), (VIPS,))


def vips(site: Site) -> Iterator[Hit]:
    """Every VIP is used, and a large site has more than one (A6)."""
    if site.scale is Scale.LARGE and len(site.vips) == 1:
        yield Hit(rules.ONE_VIP_LARGE, VIPS, f"`{next(iter(site.vips))}` is the only VIP", about=(("scale",),))
    used = {*site.fronts().values(), *(site.vip_of(name) for name in site.fronted)} if site.vips else set()
    if not used or not used <= set(site.vips):
        return
    for name in site.vips:
        if name not in used:
            yield Hit(rules.IDLE_VIP, ("vips", name), f"no service is behind VIP `{name}`", about=(SERVICES,))


def ports(site: Site) -> Iterator[Hit]:
    """No two services on one port of a VIP, or of a node."""
    fronts: dict[tuple[str, int], str] = {}
    backs: dict[int, str] = {}
    vip_of = site.fronts() if site.vips else dict.fromkeys(site.services, "")
    for name, service in site.services.items():
        front = (vip_of[name], service.port)
        holder = fronts.setdefault(front, name)
        if holder != name:
            first: Path = ("services", holder)
            message = f"`{name}` has port {service.port} of VIP `{front[0]}`, as has `{holder}`"
            about = (VIPS, (*first, "port"))
            yield Hit(rules.PORT_CLASH, ("services", name, "port"), message, about=about, first=first)
        yield from _backend(site, name, backs)
    yield from _clustered(site, fronts, backs)


def _clustered(site: Site, fronts: dict[tuple[str, int], str], backs: dict[int, str]) -> Iterator[Hit]:
    """The other ports behind a VIP: there, and the first one of each on every node's own address too."""
    for name, service in site.fronted.items():
        vip = site.vip_of(name) if site.vips else ""
        for key in ("port", "reader_port"):
            port: int = getattr(service, key, 0)
            path: Path = (name, key)
            this = f"{name}.{key}"
            holder = fronts.setdefault((vip, port), this) if port else this
            if holder != this:
                message = f"`{name}` has port {port} of VIP `{vip}`, as has `{holder}`"
                yield Hit(rules.PORT_CLASH, path, message, about=(VIPS, SERVICES))
        inside = service.port + 10000 if isinstance(service, Alarms) else service.port
        other = backs.setdefault(inside, name)
        if inside > HIGHEST_PORT or other != name:
            clash = f", as does `{other}`" if other != name else " (its port + 10000)"
            message = f"`{name}`'s members listen on port {inside}{clash}"
            yield Hit(rules.BACKEND_PORT, (name, "port"), message, about=(SERVICES,))


def _backend(site: Site, name: str, backs: dict[int, str]) -> Iterator[Hit]:
    port = site.backend_port_of(name)
    path: Path = ("services", name, "backend_port")
    about: tuple[Path, ...] = (("services", name, "port"),)
    holder = backs.setdefault(port, name)
    if port > HIGHEST_PORT:
        message = f"`{name}`'s instances would listen on port {port} (its port + 10000)"
        yield Hit(rules.BACKEND_PORT, path, message, about=about)
    elif holder != name:
        first: Path = ("services", holder)
        message = f"`{name}`'s instances listen on port {port}, as do those of `{holder}`"
        yield Hit(rules.BACKEND_PORT, path, message, about=(*about, (*first, "port")), first=first)


def policies(site: Site) -> Iterator[Hit]:
    """The scale's kind of redundancy (A4, A6)."""
    for name in site.services:
        if site.scale is Scale.LARGE and site.policy_of(name) is Policy.ACTIVE_STANDBY:
            path: Path = ("services", name, "policy")
            yield Hit(rules.STANDBY_LARGE, path, f"`{name}` is active-standby in a large site", about=(("scale",),))


def ids(site: Site) -> Iterator[Hit]:
    """No two of the names become one id of the CIB (the ids that vimha/render gives)."""
    holders = dict.fromkeys(OWN_IDS, "vimha itself")
    for plane in site.planes:
        holders |= {f"ports-{plane}": f"plane `{plane}`", f"ports-{plane}-clone": f"plane `{plane}`"}
    holders |= {f"vip-{vip}": f"VIP `{vip}`" for vip in site.vips}
    holders |= {f"fence-{node}": f"node `{node}`" for node in site.nodes}
    for name in site.services:
        made = [name, f"{name}-clone"]
        clash = [each for each in made if each in holders]
        if clash:
            message = f"service `{name}` makes the resource {clash[0]}, as does {holders[clash[0]]}"
            yield Hit(rules.ID_CLASH, ("services", name), message)
        holders |= dict.fromkeys(made, f"service `{name}`")


def encryption(site: Site) -> Iterator[Hit]:
    """There is something to encrypt."""
    if site.encryption and not site.stateful:
        message = "`encryption` without `database` or `messaging`"
        yield Hit(rules.IDLE_ENCRYPTION, ("encryption",), message, about=(("database",), ("messaging",)))


CHECKS = (declared, references, vips, ports, policies, ids, encryption)

"""Rules about planes, addresses, ports and bonds."""

from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

from vimha.findings import Rule
from vimha.site import rules
from vimha.site.hits import Hit, did_you_mean
from vimha.site.model import Site
from vimha.site.yamltext import Path

MAX_LINKS = 8
"""Links of corosync's knet transport (corosync.conf(5), linknumber 0-7)."""
PLANES: Path = ("planes",)
BOND: Path = ("bond",)


def planes(site: Site) -> Iterator[Hit]:
    """Enough planes, apart from each other (A1, A7)."""
    if len(site.planes) == 1:
        yield Hit(rules.ONE_PLANE, PLANES, f"{next(iter(site.planes))} is the only plane")
    if len(site.planes) > MAX_LINKS:
        yield Hit(rules.MANY_PLANES, PLANES, f"{len(site.planes)} planes")
        return
    for (first, one), (second, two) in combinations(site.planes.items(), 2):
        if one.subnet.overlaps(two.subnet):
            message = f"plane {second} ({two.subnet}) overlaps plane {first} ({one.subnet})"
            yield Hit(rules.OVERLAP, ("planes", second, "subnet"), message, about=(("planes", first),))
    for name, plane in site.planes.items():
        needed = len(site.nodes) + sum(site.plane_of(vip) == name for vip in site.vips)
        if _hosts(plane.subnet) < needed:
            message = f"plane {name} ({plane.subnet}) has {_hosts(plane.subnet)} host addresses, needed are {needed}"
            yield Hit(rules.TINY_SUBNET, ("planes", name, "subnet"), message, about=(("nodes",), ("vips",)))


def node_addresses(site: Site) -> Iterator[Hit]:
    """Each node has a good address in each plane, and none elsewhere."""
    for name, node in site.nodes.items():
        path: Path = ("nodes", name, "addresses")
        for plane in node.addresses:
            if plane not in site.planes:
                message = f"`{name}` has an address in `{plane}`, which is not a plane"
                yield Hit(rules.NO_PLANE, (*path, plane), message, did_you_mean(plane, site.planes), (PLANES,))
        missing = [plane for plane in site.planes if plane not in node.addresses]
        if missing:
            more = f" and {len(missing) - MAX_LINKS} more" if len(missing) > MAX_LINKS else ""
            message = f"`{name}` has no address in plane {', '.join(missing[:MAX_LINKS])}{more}"
            yield Hit(rules.NO_ADDRESS, path, message, about=(PLANES,))
        for plane, address in node.addresses.items():
            if plane in site.planes:
                yield from _address(site, plane, address, f"`{name}`", (*path, plane), outside=rules.FOREIGN)


def vip_addresses(site: Site) -> Iterator[Hit]:
    """Each VIP is a good address of its plane."""
    for name, vip in site.vips.items():
        plane = vip.plane or next(iter(site.planes), "")
        if plane in site.planes:
            path: Path = ("vips", name, "address")
            yield from _address(site, plane, vip.address, f"VIP `{name}`", path, outside=rules.VIP_OUTSIDE)


def bmc_addresses(site: Site) -> Iterator[Hit]:
    """Each BMC's address can be a host's."""
    for name, node in site.nodes.items():
        if node.bmc and _impossible(node.bmc.address):
            message = f"`{name}`'s BMC has {node.bmc.address}, which {_impossible(node.bmc.address)}"
            yield Hit(rules.NO_HOST, ("nodes", name, "bmc", "address"), message)


def taken(site: Site) -> Iterator[Hit]:
    """No address twice. BMCs of one chassis may share an address when each node names its own port or system."""
    held: dict[object, tuple[str, Path]] = {}
    claims: list[tuple[object, IPv4Address, str, Path]] = []
    for name, node in site.nodes.items():
        for plane, address in node.addresses.items():
            claims.append((address, address, f"`{name}` in plane {plane}", ("nodes", name, "addresses", plane)))
    for name, vip in site.vips.items():
        claims.append((vip.address, vip.address, f"VIP `{name}`", ("vips", name, "address")))
    hosts = {address for _, address, _, _ in claims}
    for name, node in site.nodes.items():
        if node.bmc:
            apart: object = (node.bmc.address, node.bmc.port, node.bmc.system)
            whose: object = node.bmc.address if node.bmc.address in hosts else apart
            claims.append((whose, node.bmc.address, f"the BMC of `{name}`", ("nodes", name, "bmc", "address")))
    for key, address, holder, path in claims:
        if key in held:
            other, first = held[key]
            yield Hit(rules.TAKEN, path, f"{holder} has {address}, as has {other}", about=(first,), first=first)
        else:
            held[key] = (holder, path)


def ports(site: Site) -> Iterator[Hit]:
    """Ports enough for the planes and the bond, each once (A7)."""
    lists: dict[Path, tuple[str, ...]] = {}
    for name, node in site.nodes.items():
        lists[("nodes", name, "ports") if node.ports is not None else ("ports",)] = site.ports_of(name)
    for path, names in lists.items():
        whose = f"`{path[1]}`" if len(path) > 1 else "the site"
        if site.bond is None and len(names) < len(site.planes):
            message = f"{whose} has {len(names)} ports for {len(site.planes)} planes"
            yield Hit(rules.FEW_PORTS, path, message, about=(BOND, PLANES))
        if site.bond and len(names) < 2:
            yield Hit(rules.ONE_PORT, path, f"{whose} has {len(names)} port for {site.bond.name}", about=(BOND,))
        twice = [port for port, times in Counter(names).items() if times > 1]
        if twice:
            yield Hit(rules.SAME_PORT, path, f"{whose} names {', '.join(twice)} more than once")
        if site.bond and site.bond.name in names:
            yield Hit(rules.SAME_PORT, path, f"{whose} has a port with the bond's name {site.bond.name}", about=(BOND,))


def bond(site: Site) -> Iterator[Hit]:
    """A bond that notices a lost port (kernel documentation, networking/bonding)."""
    if site.bond is None:
        yield Hit(rules.NO_BOND, BOND, "`bond` is null")
        return
    declared = site.bond
    arp: Path = (*BOND, "arp_interval")
    if not declared.miimon and not declared.arp_interval:
        yield Hit(
            rules.BLIND_BOND, (*BOND, "miimon"), f"{declared.name} has miimon 0 and no arp_interval", about=(arp,)
        )
    if not declared.arp_interval:
        return
    if not declared.arp_ip_target:
        yield Hit(rules.ARP_TARGET, arp, f"{declared.name} has arp_interval but no arp_ip_target")
    if declared.miimon:
        yield Hit(rules.TWO_MONITORS, arp, f"{declared.name} has both miimon and arp_interval")
    if declared.mode == "802.3ad":
        yield Hit(rules.ARP_LACP, arp, f"{declared.name} has mode 802.3ad and arp_interval")


def _address(site: Site, plane: str, address: IPv4Address, holder: str, path: Path, *, outside: Rule) -> Iterator[Hit]:
    """Whether `address` can be a host's in `plane`; `outside` is the rule that it breaks when it is elsewhere."""
    subnet = site.planes[plane].subnet
    message = f"{holder} has {address}, "
    if problem := _impossible(address):
        yield Hit(rules.NO_HOST, path, message + f"which {problem}")
    elif address not in subnet:
        yield Hit(outside, path, message + f"which is not in plane {plane} ({subnet})", about=(PLANES,))
    elif subnet.prefixlen < 31 and address in (subnet.network_address, subnet.broadcast_address):
        kind = "network" if address == subnet.network_address else "broadcast"
        yield Hit(rules.NO_HOST, path, message + f"the {kind} address of {subnet}", about=(PLANES,))


def _impossible(address: IPv4Address) -> str:
    """Why no host can have `address`, whatever the subnet; empty when one can."""
    if address.is_unspecified:
        return "stands for no address"
    if address.is_loopback:
        return "is a loopback address"
    if address.is_multicast:
        return "is a multicast address"
    return "is reserved" if address.is_reserved else ""


def _hosts(subnet: IPv4Network) -> int:
    return max(subnet.num_addresses - 2, 0)


CHECKS = (planes, node_addresses, vip_addresses, bmc_addresses, taken, ports, bond)

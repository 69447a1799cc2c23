"""What the cluster runs, and where: resources and constraints from a site and its timings.

Invariant: whatever the profile, a VIP is only on a node that has a working port for it and a running haproxy, and
nothing runs on an arbiter but fence devices and what votes for clustered services.

How failures are met. A process that fails is restarted where it is, because that is quicker than moving (the VIP
stays): twice; the third failure within failure-timeout moves it. A failed start moves it at once, and a failed stop
fences the node, Pacemaker's defaults. The ports watcher is apart: its failure is news, published as the attribute
that moves the VIPs, and never a reason to stop or ban the watcher itself.
"""

from collections.abc import Iterator, Sequence

from vimha.render import alarms, clustered, fencing, spares
from vimha.render.cib import Cib, Clone, Colocation, Group, Location, Needs, Nowhere, Order, Primitive
from vimha.render.operations import by_node, ops
from vimha.site.model import Policy, Role, Scale, Site
from vimha.timing.model import Timings

FRONT = "front"
HAPROXY = "haproxy"
HEALTH = "127.0.0.1:8405"
"""Where haproxy tells its own agent that it lives; on every node the same, so the CIB can say it."""
HAPROXY_CONFIG = "/etc/vimha/haproxy.cfg"
ATTRIBUTE = "vimha-ports"
PREFERENCE = "50"
"""Spreads VIPs at first; below STICKINESS, so that no VIP moves back by itself: an outage for nothing."""
STICKINESS = "1000"
THRESHOLD = "3"
TRANSITION_DELAY = "50ms"


def bind_config(service: str) -> str:
    """The file on a node that says where `service`'s instance listens."""
    return f"/etc/vimha/{service}.conf"


def build(site: Site, timings: Timings) -> Cib:
    """The whole configuration of `site`."""
    front, front_rules = _large(site, timings) if site.scale is Scale.LARGE else _small(site, timings)
    watched = alarms.resources(site, timings)
    services = (*_services(site, timings), *clustered.resources(site, timings), *watched)
    ports = tuple(_ports(site, timings))
    resources = (*front, *services, *ports)
    vips = _vip_ids(site)
    return Cib(
        nodes=tuple(enumerate(site.nodes, 1)),
        capacity=spares.capacity(site),
        properties=_properties(site, timings),
        defaults={
            "resource-stickiness": STICKINESS,
            "migration-threshold": THRESHOLD,
            "failure-timeout": f"{timings.failure_timeout}ms",
        },
        fencing=fencing.devices(site, timings),
        resources=resources,
        needs=tuple(rule for rule in front_rules if isinstance(rule, Needs)),
        called=tuple(clustered.called(site)),
        locations=(
            *(rule for rule in front_rules if isinstance(rule, Location)),
            *fencing.locations(site),
        ),
        nowhere=(*_not_on_arbiters(site, resources), *clustered.nowhere(site)),
        colocations=(
            *(rule for rule in front_rules if isinstance(rule, Colocation)),
            *alarms.colocations(site, _anchor(site)),
        ),
        orders=(
            *(rule for rule in front_rules if isinstance(rule, Order)),
            *_orders(front, services, ports, fencing.devices(site, timings)),
            *_spares_last(vips, site, services),
            *alarms.orders(site, vips, watched),
        ),
        levels=fencing.levels(site),
        alerts=(*clustered.alerts(site), *alarms.alerts(site, attributes(site))),
    )  # fmt: skip


def _properties(site: Site, timings: Timings) -> dict[str, str]:
    """Cluster properties, by name.

    no-quorum-policy=stop: a minority gives its VIPs up at once, without waiting for the majority to fence it; nothing
    here has data to lose by stopping. cluster-delay bounds how long a silent peer holds up a transition beyond the
    operation's own timeout (default 60 s). load-threshold: at its default of 80 % Pacemaker starts a busy node's
    resources one at a time; a failover must not wait because the nodes work.

    transition-delay: after a membership change the DC asks for the CIB while its own updates of it are still on their
    way, and then pauses a whole second before it asks again (controld_schedulerd.c). Waiting 50 ms first lets the
    updates arrive: measured, it turns the plan after a lost node from 1.1-1.6 s into 0.1-0.25 s.
    """
    return {
        "cluster-name": site.site,
        "stonith-enabled": "true",
        "stonith-action": "reboot",
        "stonith-timeout": f"{fencing.device_timeout_s(timings)}s",
        "concurrent-fencing": "true",
        "no-quorum-policy": "stop",
        "symmetric-cluster": "true",
        "start-failure-is-fatal": "true",
        "dc-deadtime": f"{timings.dc_deadtime}ms",
        "cluster-delay": "10s",
        "load-threshold": "400%",
        "transition-delay": TRANSITION_DELAY,
        **spares.properties(site),
    }


Resource = Primitive | Group | Clone
Rule = Needs | Location | Colocation | Order


def _not_on_arbiters(site: Site, resources: Sequence[Resource]) -> Iterator[Nowhere]:
    kept_off = tuple(resource.id for resource in resources if resource.id not in clustered.ON_ARBITERS)
    for name, node in site.nodes.items():
        if node.role is Role.ARBITER:
            yield Nowhere(f"nothing-on.{name}", kept_off, name)


def _small(site: Site, timings: Timings) -> tuple[tuple[Clone | Group, ...], list[Rule]]:
    """haproxy on every full node; one group, the VIPs and the services that run nowhere else, follows it.

    A take-over waits for no haproxy to start, and the one that it reaches knows already which servers are well.
    The order is as in `_large`.
    """
    clone = _haproxies(site, timings)
    alone = [_service(site, name, timings) for name in site.services if _is_alone(site, name)]
    members = (*(_vip(site, name, timings) for name in site.vips), *alone)
    needs = {_attribute(site, site.plane_of(vip)): None for vip in site.vips}
    rules: list[Rule] = [
        *(Needs(f"{FRONT}.needs.{each}", FRONT, each) for each in needs),
        Colocation(f"{FRONT}.with.{clone.id}", FRONT, clone.id),
        Order(f"{clone.id}.then.{FRONT}", (clone.id,), (FRONT,)),
    ]
    return (clone, Group(FRONT, members)), rules


def _large(site: Site, timings: Timings) -> tuple[tuple[Primitive | Clone, ...], list[Rule]]:
    """haproxy on every full node; the VIPs, dealt out over the nodes, follow it.

    The order is kept only when both change together (a switchover): a haproxy that restarts must not take its VIP
    down and up with it.
    """
    clone = _haproxies(site, timings)
    vips = tuple(_vip(site, name, timings) for name in site.vips)
    rules: list[Rule] = []
    for number, (name, vip) in enumerate(zip(site.vips, vips, strict=True)):
        attribute, home = _attribute(site, site.plane_of(name)), spares.home(site, number)
        rules += [
            Needs(f"{vip.id}.needs.{attribute}", vip.id, attribute),
            Colocation(f"{vip.id}.with.{clone.id}", vip.id, clone.id),
        ]
        if home:
            rules.append(Location(f"{vip.id}.prefers.{home}", vip.id, home, PREFERENCE))
    rules.append(Order(f"{clone.id}.then.vips", (clone.id,), tuple(vip.id for vip in vips)))
    alone = tuple(_service(site, name, timings) for name in site.services if _is_alone(site, name))
    fronts = site.fronts()
    rules += [
        Colocation(f"{service.id}.with.vip-{fronts[service.id]}", service.id, f"vip-{fronts[service.id]}")
        for service in alone
    ]
    return (clone, *vips, *alone), rules


def _orders(
    front: Sequence[Resource], services: Sequence[Resource], ports: Sequence[Resource], devices: Sequence[Resource]
) -> Iterator[Order]:
    """What must not get in a failover's way.

    A change of a node attribute makes Pacemaker plan anew, and first wait for every action that is under way: so the
    watchers of the ports, which set and remove theirs, start first and stop last. On a node in standby the VIPs
    would otherwise wait for its APIs to stop. Fence devices are found homes after the VIPs: a node can be fenced
    by a device that does not run, and starting one costs CPU.
    """
    last = tuple(each.id for each in ports)
    yield Order("ports.first", last, tuple(each.id for each in (*front, *services)))
    if devices:
        yield Order(
            "devices.last", tuple(each.id for each in front), tuple(each.id for each in devices), both_ways=False
        )


def _vip_ids(site: Site) -> tuple[str, ...]:
    """What holds the VIPs."""
    return (FRONT,) if site.scale is Scale.SMALL else tuple(f"vip-{name}" for name in site.vips)


def _anchor(site: Site) -> str:
    """What holds the alarm service's VIP; empty where there is no such service."""
    return FRONT if site.scale is Scale.SMALL else f"vip-{site.vip_of(alarms.ALARMS)}" if site.alarms else ""


def _spares_last(vips: tuple[str, ...], site: Site, services: Sequence[Resource]) -> Iterator[Order]:
    """An instance that a spare starts in a take-over comes after the VIPs: a busy node starts one resource at a time
    (Pacemaker's throttling), and an API takes seconds.
    """
    full = len(site.full_nodes())
    late = tuple(each.id for each in services if isinstance(each, Clone) and each.instances < full)
    if late:
        yield Order("spares.last", vips, late, both_ways=False)


def _is_alone(site: Site, service: str) -> bool:
    return site.policy_of(service) is Policy.ACTIVE_STANDBY


def _services(site: Site, timings: Timings) -> Iterator[Clone]:
    """The services that run on several full nodes; where those are not all, the others are spares, and any of them
    takes the place of a lost one. No order binds them to haproxy, which checks them itself: an API that takes
    seconds to start on a returning node must hold up no VIP.
    """
    for name in site.services:
        if not _is_alone(site, name):
            yield Clone(f"{name}-clone", _service(site, name, timings), site.instances_of(name))


def _service(site: Site, name: str, timings: Timings) -> Primitive:
    service, port = site.services[name], site.backend_port_of(name)
    common, others = by_node(
        {node: {"url": f"http://{site.address_of(node)}:{port}/healthcheck"} for node in site.full_nodes()}
    )
    params = {
        "config": service.config,
        "bind_config": bind_config(name),
        "pid": f"/run/vimha/{name}.pid",
        **common,
    }
    return Primitive(name, f"ocf:vimha:{service.kind}", params, ops(timings.api), others)


def _haproxies(site: Site, timings: Timings) -> Clone:
    params = {"config": HAPROXY_CONFIG, "health": HEALTH}
    child = Primitive(HAPROXY, "ocf:vimha:haproxy", params, ops(timings.haproxy))
    return Clone(f"{HAPROXY}-clone", child, len(site.full_nodes()))


def _vip(site: Site, name: str, timings: Timings) -> Primitive:
    """An address, on the interface that each node has on its plane."""
    vip, plane = site.vips[name], site.plane_of(name)
    common, others = by_node({node: {"nic": site.interface(node, plane)} for node in site.full_nodes()})
    params = {"ip": str(vip.address), "cidr_netmask": str(site.planes[plane].subnet.prefixlen), **common}
    return Primitive(f"vip-{name}", "ocf:vimha:vip", params, ops(timings.vip), others, spares.utilization(site))


def _attribute(site: Site, plane: str) -> str:
    """The node attribute that says how many legs of `plane` work: with a bond all planes share the legs."""
    return ATTRIBUTE if site.bond else f"{ATTRIBUTE}-{plane}"


def attributes(site: Site) -> tuple[str, ...]:
    """Every node attribute that says how many legs work."""
    return (ATTRIBUTE,) if site.bond else tuple(_attribute(site, plane) for plane in site.planes)


def _ports(site: Site, timings: Timings) -> Iterator[Clone]:
    """The watchers of the ports: one for a bond, one per plane without."""
    full = site.full_nodes()
    if site.bond:
        kernel = "" if site.bond.mode == "external" else site.bond.name
        names = {node: " ".join(site.ports_of(node)) for node in full}
        yield _watcher("ports", ATTRIBUTE, kernel, names, timings)
        return
    for plane in site.planes:
        names = {node: site.interface(node, plane) for node in full}
        yield _watcher(f"ports-{plane}", f"{ATTRIBUTE}-{plane}", "", names, timings)


def _watcher(name: str, attribute: str, bond: str, ports: dict[str, str], timings: Timings) -> Clone:
    common, others = by_node({node: {"ports": names} for node, names in ports.items()})
    least = min(2, len(common["ports"].split()))
    params = {"bond": bond, **common, "attribute": attribute, "min_ports": str(least)}
    child = Primitive(name, "ocf:vimha:bond", params, ops(timings.ports, watch=True), others)
    return Clone(f"{name}-clone", child, len(ports))

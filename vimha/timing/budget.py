"""The failover budget: for each fault class, every part of the outage that a client sees, added up.

Invariant: the worst case of a class is the sum of its terms' worst cases, as if all of them happened in the same
failover; where several components can fail in a class, the class is the slowest of them.
Order of a fenced failover: loss of the token, consensus, new membership, new DC, the DC's CIB, fencing verified,
then the VIP and what answers behind it. Nothing starts before the lost node is verified off.
"""

from dataclasses import dataclass

from vimha.site.model import Policy, Role, Scale, Site
from vimha.timing import figures, formulas, members
from vimha.timing.figures import Figure, asked, monitored
from vimha.timing.model import Budget, FaultClass, Operations, Term, Timings

Terms = tuple[Term, ...]

HAPROXY, API, MASKED_API = "haproxy", "the only API instance", "one of several API instances"
SWITCHOVER_STEPS = 3
"""The plan, and the two actions that follow one another: VIP stop, VIP start. An API that goes with it adds two."""
PARALLEL = 4
"""Starts that Pacemaker runs at once on one node: node-action-limit's default, twice its cores, for two cores."""


@dataclass(frozen=True)
class Shape:
    """What the budget needs to know of a site; made once, however many services there are. Milliseconds."""

    large: bool
    nodes: int
    vip_steps: int
    """VIPs that a take-over starts one after another on one node."""
    active_standby: bool
    """Whether a service's only (or only active) instance starts in a take-over."""
    masked: bool
    """Whether a service has further instances that haproxy turns to."""
    database: bool
    messaging: bool
    miimon: int
    arp_interval: int
    bonded: bool
    external: bool
    off_worst: int
    delays: tuple[int, ...]

    @classmethod
    def of(cls, site: Site) -> "Shape":
        """`site`'s shape."""
        full = [node for node in site.nodes.values() if node.role is Role.FULL]
        large = site.scale is Scale.LARGE
        policies = {site.policy_of(name) for name in site.services}
        bond = site.bond
        return cls(
            large=large,
            nodes=len(site.nodes),
            vip_steps=_rounds(len(site.vips), site.vip_nodes()) if large else len(site.vips),
            active_standby=Policy.ACTIVE_STANDBY in policies,
            masked=bool(policies - {Policy.ACTIVE_STANDBY}),
            database=site.database is not None,
            messaging=site.messaging is not None,
            miimon=bond.miimon if bond else 0,
            arp_interval=bond.arp_interval if bond else 0,
            bonded=bond is not None,
            external=bond is not None and bond.mode == "external",
            off_worst=site.fencing.off_worst,
            delays=tuple(formulas.whole_seconds(node.fencing_delay) for node in full) or (0,),
        )


def _rounds(vips: int, nodes: int) -> int:
    """Rounds of VIP starts on one survivor that takes over all of one node's share."""
    share = -(-vips // max(nodes, 1))
    return max(1, -(-share // PARALLEL))


def budget(site: Site, timings: Timings) -> Budget:
    """What each fault class costs a client of `site` with `timings`."""
    return Budget(site.objective / 1000, classes(Shape.of(site), timings))


def classes(shape: Shape, timings: Timings) -> tuple[FaultClass, ...]:
    """Every fault class of a site of this shape."""
    lost, dc_lost = node_loss(shape, timings, dc=False), node_loss(shape, timings)
    return (
        FaultClass("node-power-loss", "The active node loses power; the DC survives", lost),
        FaultClass("node-power-loss-dc", "The active node loses power, and was the DC", dc_lost),
        FaultClass("node-freeze", "The active node stands still, and was the DC", dc_lost),
        FaultClass("partition", "The active node, the DC, is cut off on every plane", dc_lost),
        _slowest("process-crash", "is killed", crashes(shape, timings)),
        _slowest("process-hang", "stands still", hangs(shape, timings)),
        FaultClass("port-loss", "A port of the active node loses its carrier", port_loss(shape, timings)),
        FaultClass("plane-loss", "A whole network plane fails", _plane_loss(shape, timings)),
        FaultClass("switchover", "The active node is put into standby", _standby(shape)),
    )  # fmt: skip


def membership(shape: Shape, timings: Timings) -> Terms:
    """From the loss of a node to the survivors' new membership (totemsrp; corosync.conf(5))."""
    token_eff = formulas.token_effective(timings.token, timings.token_coefficient, shape.nodes)
    lost = formulas.JOIN + formulas.retransmit(token_eff)
    return (
        Figure(token_eff, token_eff, "corosync.conf(5): token + (nodes - 2) * token_coefficient").term(
            "token lost", knob="timings.token"
        ),
        Figure(timings.consensus, timings.consensus, "corosync.conf(5): the lost node's consent is waited for").term(
            "consensus", knob="timings.consensus" if timings.consensus > 1.2 * token_eff + 1 else "timings.token"
        ),
        figures.estimate(10, lost, "the commit token's two rounds; worst: a lost join (50 ms) and a lost token"
                         " (token / 4.2)").term("membership", knob="timings.token"),
    )  # fmt: skip


def node_loss(shape: Shape, timings: Timings, *, dc: bool = True) -> Terms:
    """The active node is gone: membership, then fencing, then the take-over; with `dc`, an election between."""
    election = (figures.ELECTION.term("DC election"),) if dc else ()
    delay = Figure(
        min(shape.delays), max(shape.delays), "nodes.*.fencing_delay, in the whole seconds of pcmk_delay_base"
    )
    delays = (delay.term("fencing delay", knob="nodes.*.fencing_delay"),) if max(shape.delays) else ()
    return (
        *membership(shape, timings),
        *election,
        figures.CIB_RETRY.term("CIB asked for again"),
        figures.FENCE_QUERY.term("fencing devices asked"),
        *delays,
        figures.fence_off(shape.off_worst).term("fenced, off verified", knob="fencing.off_worst"),
        figures.TRANSITION.term("transition"),
        *_take_over(shape),
        figures.CLIENT.term("client"),
    )


def _take_over(shape: Shape) -> Terms:
    """What starts on the node that takes over; haproxy runs there already."""
    api = (figures.API_START.term("API start", knob="services.*.policy"),) if shape.active_standby else ()
    return (*_vips_start(shape), *api)


def _vips_start(shape: Shape) -> Terms:
    first = (figures.VIP_START.term("VIP start"),)
    more = shape.vip_steps - 1
    return (*first, figures.VIP_NEXT.term("further VIPs start", times=more)) if more else first


def _hand_over(shape: Shape) -> Terms:
    """What stops on the node that gives up the VIPs."""
    api = (figures.API_STOP.term("API stop", knob="services.*.policy"),) if shape.active_standby else ()
    return (*api, figures.VIP_STOP.term("VIP stop", times=shape.vip_steps))


def _switchover(shape: Shape) -> Terms:
    steps = figures.TRANSITION.term("transition", times=SWITCHOVER_STEPS + 2 * shape.active_standby)
    return (steps, *_hand_over(shape), *_take_over(shape), figures.CLIENT.term("client"))


def _standby(shape: Shape) -> Terms:
    """A planned switchover: once the VIP has left, the node's clustered services stop too."""
    return (*_switchover(shape), *members.leaving(database=shape.database, messaging=shape.messaging))


def _haproxy_recovers(shape: Shape, stop: Term) -> Terms:
    """From haproxy's failed monitor to answers: it restarts where it is; at worst, its third failure within
    failure-timeout, it moves and the VIPs with it.
    """
    vips = (figures.VIP_STOP.term("VIP stop", times=shape.vip_steps), *_vips_start(shape))
    moves = Figure(0, 1000 * sum(term.worst_s for term in vips), "nothing; at the third failure VIP stop and start")
    return (
        figures.TRANSITION.term("transition"),
        stop,
        moves.term("VIPs follow"),
        figures.HAPROXY_START.term("haproxy start"),
        figures.CLIENT.term("client"),
    )


def _api_restarts(stop: Term) -> Terms:
    start = figures.API_START.term("API start", knob="services.*.policy")
    return (figures.TRANSITION.term("transition"), stop, start, figures.CLIENT.term("client"))


def crashes(shape: Shape, timings: Timings) -> dict[str, Terms]:
    """What a killed process costs, by component: haproxy, the only API instance, one of several behind haproxy."""
    stop = figures.HAPROXY_STOP.term("haproxy stop")
    found = {HAPROXY: (*_look(timings.haproxy), *_haproxy_recovers(shape, stop))}
    if shape.active_standby:
        found[API] = (*_look(timings.api), *_api_restarts(figures.API_STOP.term("API stop")))
    if shape.masked:
        worst = formulas.checks_crash(timings.checks)
        found[MASKED_API] = _masked(timings, worst, "inter + (fall - 1) * fastinter; a refusal is immediate")
    if shape.database:
        found[members.DATABASE] = members.database_crash(timings)
    if shape.messaging:
        found[members.MESSAGING] = members.messaging_crash(timings)
    return found


def hangs(shape: Shape, timings: Timings) -> dict[str, Terms]:
    """What a process that stands still costs, by component as in `crashes`."""
    found = {
        HAPROXY: (*_cut_off(timings.haproxy), *_haproxy_recovers(shape, figures.HAPROXY_HUNG_STOP.term("haproxy stop")))
    }
    if shape.active_standby:
        found[API] = (*_cut_off(timings.api), *_api_restarts(figures.API_HUNG_STOP.term("API stop")))
    if shape.masked:
        worst = formulas.checks_hang(timings.checks)
        found[MASKED_API] = _masked(timings, worst, "inter + (fall - 1) * fastinter + fall * timeout check")
    if shape.database:
        found[members.DATABASE] = members.database_hang(timings)
    if shape.messaging:
        found[members.MESSAGING] = members.messaging_hang(timings)
    return found


def _masked(timings: Timings, worst: int, formula: str) -> Terms:
    checks = Figure(worst - timings.checks.inter / 2, worst, f"haproxy configuration manual, 5.2: {formula}")
    return (
        checks.term("haproxy's checks", knob="timings.haproxy_inter"),
        figures.CHECK_RUN.term("next instance answers"),
        figures.CLIENT.term("client"),
    )


def _slowest(name: str, what: str, found: dict[str, Terms]) -> FaultClass:
    titled = [FaultClass(name, f"A process {what}; slowest to recover: {who}", terms) for who, terms in found.items()]
    return max(titled, key=lambda entry: entry.worst_s)


def _look(operations: Operations) -> Terms:
    """A monitor finds that the process has ended."""
    return (asked(operations), figures.MONITOR_RUN.term("monitor"))


def _cut_off(operations: Operations) -> Terms:
    """A monitor runs into its timeout."""
    timeout = operations.monitor_timeout
    return (
        *monitored(operations, slack=formulas.VERDICT_SLACK),
        Figure(timeout, timeout, "the monitor's operation timeout").term(
            "monitor timeout", knob="timings.monitor_timeout"
        ),
    )


def port_loss(shape: Shape, timings: Timings) -> Terms:
    """A port loses its carrier: the bond switches, or without one the VIPs leave the node."""
    if shape.bonded:
        return (*bond_switch(shape), figures.CLIENT.term("client"))
    return (
        *monitored(timings.ports),
        figures.MONITOR_RUN.term("ports monitor"),
        figures.ATTRIBUTE.term("ports attribute"),
        *_switchover(shape),
    )


def bond_switch(shape: Shape) -> Terms:
    """A bond notices a dead port and uses another (kernel, bonding.rst)."""
    if shape.arp_interval:
        worst = formulas.arp_detects(shape.arp_interval)
        seen = Figure(worst - shape.arp_interval / 2, worst, "bonding.rst: arp_missed_max + 1 arp_intervals; 268 ms"
                      " in all at 100 ms").term("ARP monitor", knob="bond.arp_interval")  # fmt: skip
    else:
        worst = formulas.miimon_detects(shape.miimon)
        source = "bonding.rst: a miimon period"
        figure = (
            figures.estimate(worst / 2, worst, f"{source}, kept by what joins the ports") if shape.external
            else Figure(worst / 2, worst, source)
        )  # fmt: skip
        seen = figure.term("carrier check", knob="bond.miimon")
    return (seen, figures.PORT_SWITCH.term("next port"))


def _plane_loss(shape: Shape, timings: Timings) -> Terms:
    if shape.bonded:
        return port_loss(shape, timings)
    return (figures.REPAIR.term("plane repaired", knob="bond"),)

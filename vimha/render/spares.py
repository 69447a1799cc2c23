"""Where the VIPs of a large site are when some of its nodes are spares (A5).

Invariant: a VIP that has to find a node goes to one without any, as long as there is one, else to one of those with the
fewest; what runs stays where it is, whatever is lost or returns. (Where a node is dealt several VIPs, each prefers its
node when it has to move, and that is where the first half does not hold.)

Nothing but Pacemaker's utilization keeps this promise. It weighs nodes when their scores are equal, and places first
what stays where it is. Colocations of VIPs with negative scores do not: the scheduler (2.1.5, lib/pacemaker) takes one
back that leaves no node above zero, places VIPs in the order of the colocations, so that one that moves does not see
those behind it, and counts VIPs that hang together in a chain with alternating signs. Capacity never runs out here: all
VIPs may be on the last node.
"""

from vimha.site.model import Role, Scale, Site

CAPACITY = "vimha-vips"
"""The utilization that each VIP takes 1 of, and each full node has one for every VIP of."""


def has_spares(site: Site) -> bool:
    """Whether `site`'s VIPs are dealt out over some of its nodes."""
    return site.scale is Scale.LARGE and site.vip_policy is not None


def properties(site: Site) -> dict[str, str]:
    """balanced: of nodes with equal scores, the one with the most free capacity."""
    return {"placement-strategy": "balanced"} if has_spares(site) else {}


def capacity(site: Site) -> dict[str, dict[str, str]]:
    """How many VIPs each node may hold."""
    full = {CAPACITY: str(len(site.vips))} if has_spares(site) else {}
    return {name: full if node.role is Role.FULL else {} for name, node in site.nodes.items()}


def utilization(site: Site) -> dict[str, str]:
    """What a VIP takes of its node's capacity."""
    return {CAPACITY: "1"} if has_spares(site) else {}


def home(site: Site, number: int) -> str:
    """The node that VIP `number` is dealt to. Empty where any node will do: when each has a node of its own, to prefer
    one would bring two together on it once it has been lost and returned.
    """
    if has_spares(site) and len(site.vips) <= site.vip_nodes():
        return ""
    return site.full_nodes()[number % site.vip_nodes()]

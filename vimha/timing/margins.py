"""How much disturbance each timing takes before it raises a false alarm.

Invariant: a false alarm costs a failover, so every timing that a failover waits for is listed with the longest
disturbance that it lets pass; a larger figure is always the safer one.
"""

from vimha.site.model import Site
from vimha.timing import formulas
from vimha.timing.budget import Shape
from vimha.timing.figures import CHECK_RUN, MONITOR_RUN
from vimha.timing.model import Margin, Timings

THIN = 10
"""A timeout below this many times the usual run time is a thin margin."""
THIN_PAUSE = 150
"""An unscheduled time, in milliseconds, that corosync must tolerate: half of the lowest token that the solver picks."""


def margins(site: Site, timings: Timings) -> tuple[Margin, ...]:
    """The margins of `timings` on `site`, in the order of what they protect: nodes, links, processes."""
    shape = Shape.of(site)
    token_eff = formulas.token_effective(timings.token, timings.token_coefficient, shape.nodes)
    pause = formulas.pause_tolerated(token_eff)
    entries: tuple[Margin, ...] = (
        Margin("corosync not scheduled", pause, "past token / 2 a node distrusts its own view and forms a new one"),
        Margin("node silent", token_eff - formulas.retransmit(token_eff), "past the token timeout, less one"
               " retransmission, its peers fence it"),
        Margin("link silent", timings.link_timeout, "past knet's ping timeout the link counts as down; the other one"
               " has carried every message too"),
        _timeout("haproxy's monitor", timings.haproxy.monitor_timeout, MONITOR_RUN.typical, "haproxy moves"),
        _timeout("VIP's monitor", timings.vip.monitor_timeout, MONITOR_RUN.typical, "the VIP moves"),
    )  # fmt: skip
    if shape.active_standby:
        entries += (_timeout("API's monitor", timings.api.monitor_timeout, MONITOR_RUN.typical, "the API restarts"),)
    if shape.masked:
        worst = timings.checks.timeout * timings.checks.fall
        entries += (_timeout("haproxy's checks", worst, CHECK_RUN.typical, "another instance is asked"),)
    return entries


def _timeout(name: str, timeout: int, run: float, then: str) -> Margin:
    return Margin(name, round(timeout - run), f"{timeout / run:.0f} times the usual {run:g} ms; past it {then}")

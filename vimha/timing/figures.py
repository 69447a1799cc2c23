"""What one step of a failover costs: the figures that the budget adds up, each with its source.

Invariant: a figure's worst case is at least what was measured; what nobody has measured yet says so
(`measured=False`), and its source begins with "estimate".
"""

from dataclasses import dataclass, replace

from vimha.timing import formulas
from vimha.timing.model import Operations, Term


@dataclass(frozen=True)
class Figure:
    """What a step costs, typically and at worst, in milliseconds."""

    typical: float
    worst: float
    source: str
    measured: bool = True

    def term(self, name: str, *, times: int = 1, knob: str = "") -> Term:
        """The budget's term for `times` such steps, one after another."""
        typical, worst = round(self.typical * times / 1000, 3), round(self.worst * times / 1000, 3)
        source = self.source if times == 1 else f"{self.source}; {times} times, one after another"
        return Term(name, typical, worst, source, self.measured, knob)


def estimate(typical: float, worst: float, source: str) -> Figure:
    """A figure that no drill or benchmark has measured yet."""
    return Figure(typical, worst, f"estimate: {source}", measured=False)


ELECTION = Figure(200, 300, "votes, join and CIB sync of a new DC: 0.18-0.2 s in the lab on a loaded host")
CIB_RETRY = Figure(
    50, 1000, "a CIB update is pending as the DC asks for the CIB: it asks again after a fixed 1000 ms (Pacemaker 2.1,"
    " controld_schedulerd.c); transition-delay=50ms lets it finish first: 18 of 18 times on an idle host, 4 of 6 on a"
    " busy one",
)  # fmt: skip
FENCE_QUERY = Figure(10, 50, "pacemaker-fenced asks its peers who can fence; static host lists, so none forks: 6-15 ms")
FENCE_OFF = Figure(160, 2000, "off requested, then read back until verified (typical: the lab's BMC)")
TRANSITION = Figure(20, 50, "1 ms of scheduling, a CIB write and its notification to the executor: 12-35 ms")
ATTRIBUTE = estimate(20, 100, "attrd writes the node attribute to the CIB, undampened, and the scheduler runs")
VIP_START = Figure(
    60, 400, "Pacemaker reads the agent's metadata (a node's first start of it), then ocf:vimha:vip start: 25 ms at"
    " best, 0.06-0.24 s together on two cores with a load of 9-16; drills there, with the transition, 0.05-0.44 s",
)  # fmt: skip
VIP_NEXT = Figure(30, 150, "ocf:vimha:vip start: 13 ms at best in a network namespace, 39-136 ms at a load of 9-16")
VIP_STOP = Figure(30, 200, "ocf:vimha:vip stop: 19 ms at best in a network namespace, 52-200 ms at a load of 9-16")
HAPROXY_START = Figure(80, 250, "agent start, configuration parsed, health page answers: 0.07-0.2 s")
HAPROXY_STOP = estimate(30, 100, "TERM, and the process is gone")
HAPROXY_HUNG_STOP = estimate(50, 400, "the agent kills a stopped process at once, a stuck one 0.3 s after TERM")
API_START = Figure(3200, 5000, "glance-api start: 3.2 s measured on 2 cores; worst: a loaded node, an estimate")
API_STOP = estimate(200, 1100, "TERM; KILL after 1 s when workers linger")
API_HUNG_STOP = estimate(50, 1100, "the agent kills a stopped process at once, a stuck one 1 s after TERM")
NEW_VIEW = Figure(120, 300, "Galera: 0.52-0.73 s without writes in all, at a suspect_timeout of 500 ms")
QUEUE_ELECTION = Figure(
    700, 1100, "RabbitMQ: 0.35-1.05 s without confirms after a broker was killed; clients that came before there was a"
    " new leader are disconnected in it (resource_agents/amqp/stranded.py)",
)  # fmt: skip
QUEUE_HANDOVER = Figure(
    400, 800, "RabbitMQ: 0.3-0.7 s without confirms when a broker stops in order, beside the VIP's move before it"
    " (0.6-1.1 s in all, rolling restarts)",
)  # fmt: skip
FROZEN_KILLED = estimate(50, 300, "SIGKILL, and the kernel resets its connections")
MONITOR_RUN = Figure(15, 50, "an agent's monitor that looks itself: 15 ms of CPU at most; worst: a loaded node")
CHECK_RUN = Figure(5, 11, "GET /healthcheck: 1-11 ms")
PORT_SWITCH = Figure(
    10, 200, "the bond's next port carries, peers' switches relearn: 69-120 ms in all at miimon 100; a drill with two"
    " cores under load 0.21-0.25 s at 50",
)  # fmt: skip
CLIENT = Figure(10, 50, "a client that opens a new connection every 20 ms; a lost SYN is sent again after 1 s")
REPAIR = Figure(3_600_000, 3_600_000, "nothing moves an address to another plane: lasts until repaired, counted as 1 h")


def monitored(operations: Operations, *, least: int = 0, slack: int = 0) -> tuple[Term, Term]:
    """How long a monitor's last good answer counts: the verdict that it came from, then Pacemaker's interval."""
    every = formulas.looks(operations, least)
    verdict = Figure(
        every / 2, every + slack, "resource_agents/ocf/standing.py: a verdict holds until the next look, one that hangs"
        f" {formulas.VERDICT_SLACK} ms longer",
    )  # fmt: skip
    return verdict.term("monitor's verdict", knob="timings.monitor_interval"), asked(operations)


def asked(operations: Operations) -> Term:
    """Until Pacemaker's next monitor. The end of a service's process takes the last verdict back at once: 1 ms."""
    interval = Figure(operations.interval / 2, operations.interval, "Pacemaker counts from the last monitor's end")
    return interval.term("monitor interval", knob="timings.monitor_interval")


def fence_off(worst: int) -> Figure:
    """The fencing figure with the site's own worst case (`fencing.off_worst`), in milliseconds."""
    return replace(FENCE_OFF, typical=min(FENCE_OFF.typical, worst), worst=worst)

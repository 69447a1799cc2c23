"""What the parts of the stack compute from their settings, as pure functions of milliseconds.

Invariant: nothing here knows of a site; each function is one formula of corosync, Pacemaker, haproxy or the kernel,
with its source, and grows (or stays) with each of its arguments.
"""

from vimha.timing.model import Checks, Operations

LOWEST_TOKEN = 126
"""corosync refuses a retransmit timeout below 30 ms, and that is token / 4.2 (totemconfig.c, MINIMUM_TIMEOUT)."""
RETRANSMITS = 4
"""token_retransmits_before_loss_const's default, corosync.conf(5)."""
JOIN = 50
"""corosync's `join` default: how long a node waits for join messages, corosync.conf(5)."""
CONSENSUS_FACTOR = 1.2
"""corosync's default consensus is 1.2 token, and the smallest that corosync.conf(5) allows for three nodes or more."""
KNET_TICK = 200
"""knet looks at its links every 200 ms and no more often, however short their ping interval (libknet,
KNET_THREADS_TIMERES): the last answer is up to a tick old when it is looked at."""
KNET_BACKOFF_S = 9
"""A link that has just come up is judged by ten times its ping timeout, one less every second (libknet,
KNET_LINK_PONG_TIMEOUT_BACKOFF): a timeout that is too short shows only now."""
VERDICT_SLACK = 100
"""How much later than the next look a verdict expires (resource_agents/ocf/standing.py, SLACK_S)."""
ARP_MISSES = 2
"""The bonding driver takes a port down after this many silent arp_intervals (arp_missed_max, bonding.rst)."""


def token_effective(token: int, coefficient: int, nodes: int) -> int:
    """The token timeout that corosync runs with: every node above two adds the coefficient (corosync.conf(5))."""
    return token + max(0, nodes - 2) * coefficient


def consensus_default(token_eff: int) -> int:
    """The consensus timeout that corosync computes by itself, rounded up so that 1.2 token always fits."""
    return -(-token_eff * 12 // 10)


def retransmit(token_eff: int) -> int:
    """How long a node waits before it sends an unanswered token again (totemconfig.c)."""
    return int(token_eff / (RETRANSMITS + 0.2))


def hold(token_eff: int) -> int:
    """How long the ring's representative holds an idle token (totemconfig.c)."""
    return int(retransmit(token_eff) * 0.8 - 10)


def pause_tolerated(token_eff: int) -> int:
    """The longest time that corosync may go unscheduled: past token / 2 it flushes its membership messages
    (totemsrp.c, pause detection).
    """
    return token_eff // 2


def knet_timeout_default(token_eff: int) -> int:
    """The ping timeout that corosync computes by itself, token / pong count (2) (totemconfig.c)."""
    return token_eff // 2


def knet_flaps(ping_interval: int, ping_timeout: int) -> bool:
    """Whether a healthy link goes down again KNET_BACKOFF_S after it has come up: its timeout is over before a second
    answer can be there. All links do so at once, and the token is lost; seen with corosync 3.1.7 and libknet 1.25 at
    a token of 300 ms, whose automatic timeout is 150 ms.
    """
    ticks = -(-ping_interval // KNET_TICK)
    return ping_timeout <= ticks * KNET_TICK


def looks(operations: Operations, least: int = 0) -> int:
    """How often an agent with standing looks looks at its service (resource_agents/ocf/standing.py): as often as
    Pacemaker asks, but every `least` at most.
    """
    return max(operations.interval, least)


def checks_crash(checks: Checks) -> int:
    """From a backend's death to haproxy marking it down, at worst: the connection is refused at once, so only the
    pauses count (haproxy configuration manual, 5.2: fastinter holds from the first failed check on).
    """
    return checks.inter + (checks.fall - 1) * checks.fastinter


def checks_hang(checks: Checks) -> int:
    """From a backend's standstill to haproxy marking it down, at worst: each check runs into its timeout."""
    return checks_crash(checks) + checks.fall * checks.timeout


def miimon_detects(miimon: int) -> int:
    """From the loss of a port's carrier to the bond knowing, at worst: one period (kernel, bonding.rst)."""
    return miimon


def arp_detects(interval: int) -> int:
    """From silence on a port to the bond knowing, at worst: the misses, after the period in which it began."""
    return (ARP_MISSES + 1) * interval


def whole_seconds(milliseconds: int) -> int:
    """The next whole second, in milliseconds: what Pacemaker makes of a fencing delay or timeout."""
    return -(-milliseconds // 1000) * 1000

"""How much room a member's file system must have left, for the member and for who sends it clients.

A member without room stays Synced and ready: it refuses each statement that needs more (error 1114), and the first
write of a peer that it cannot apply takes it out of its cluster, after which it needs a copy of all data (measured).
"""

from resource_agents.ocf.system import System

LEAST = 64 << 20
"""InnoDB's largest step: its system and temporary tablespaces grow by innodb_autoextend_increment, 64 MiB by default,
at once. With less left the next step may be refused, though much of it may have been free for long."""
GRACE_S = 5.0
"""How long a stop waits for a member that is short of room: it takes 1.3 s, or waits for room itself (30 s and more,
measured), and nothing is lost by SIGKILL: the position is recovered."""
ENOUGH = 2 * LEAST
"""What was short has room again only from here on, so that a file that comes and goes does not move clients about."""


def lack(system: System, path: str, least: int = LEAST) -> str:
    """What the file system of `path` lacks; empty when it has `least` bytes left, or cannot be asked."""
    free = system.free(path)
    if free is None or free >= least:
        return ""
    return f"disk full: {free >> 20} MiB free under {path}, {least >> 20} MiB needed"


def degraded(system: System, path: str) -> str:
    """What to tell of a member that serves without enough room; empty when it has enough."""
    short = lack(system, path)
    return short and (
        f"{short}: make room there; until then its clients are sent to other members, and a write that it cannot apply "
        "takes it out of the cluster"
    )

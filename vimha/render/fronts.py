"""The clustered services, the database and the message queue, as one node's haproxy sees them.

Invariant: at any moment at most one member gets the connections of a `single` front-end. haproxy knows of a change
within 500 ms, whichever way it goes and even when the endpoint itself hangs: by its checks' timings (vimha/timing).

Who is fit is asked of the health endpoint on each node (resource_agents/endpoint), not of the service's own port: a
frozen mariadbd accepts connections, and one that lost its quorum even answers. Two failed checks take a member out, so
that one lost packet does not close every client's session; a refused connection counts as the first of the two.

The writer is the VIP holder's own member, and the others are backups. An entry in the stick table keeps it from
failing back: a member that returns gets no connection while the one that took over is fit, for two writers at once
would work, but deadlock each other's transactions (Galera certifies at commit). For the same reason a connection that
fails is retried on the same member (no redispatch) until that is marked down, which closes its sessions: the client
comes again, and all meet at the next member. The table holds one entry, but is larger than `maxconn`: haproxy 2.6 takes
a second one for each connection under way, and in a full table with `nopurge` does not note that the writer changed
(in the often-quoted `size 1` it never does).
"""

from dataclasses import dataclass

from vimha.render.environment import fill
from vimha.site.model import Scale, Site
from vimha.timing.model import Checks

DATABASE, READER, MESSAGING = "database", "database-reader", "messaging"
LAST = "database-any"
"""Where the database's clients go while no member is fit: to one that lacks nothing but room on its disk. The members
hold the same data, so their disks fill up together, and reading must not end with that."""
LAST_INTER = 2000
"""Milliseconds between two looks at those: it only matters once every member has run short."""
ENDPOINT_PORT = 8406
"""Where ocf:vimha:health listens, on each node's own address."""
IDLE = "9h"
"""How long a session may be silent: longer than MariaDB's wait_timeout (8 h by default), so that the server decides.
AMQP sessions are never silent, by their heartbeats. Whose peer is dead is told by keep-alive, in 8 s."""


@dataclass(frozen=True)
class Member:
    """A node's instance behind a front-end; a `backup` gets connections only when none before it is fit."""

    node: str
    address: str
    backup: bool


@dataclass(frozen=True)
class Front:
    """One front-end. `path` is what the endpoints are asked for; empty where the checks of the front-end `follows` tell
    of this one's members too. `single`: one member at a time gets all connections; else they are dealt out. `last`:
    the front-end without an address of its own whose members get the connections while none of these is fit. `local`:
    it listens on the node's loopback too, for what runs there.
    """

    name: str
    address: str
    port: int
    member_port: int
    members: tuple[Member, ...]
    path: str = ""
    follows: str = ""
    single: bool = False
    last: str = ""
    local: bool = False


def fronts(site: Site, node: str) -> tuple[Front, ...]:
    """The front-ends of the clustered services in `node`'s haproxy."""
    own_first = _members(site, node, local_first=True)
    equals = _members(site, node, local_first=False)
    found = []
    if database := site.database:
        address = str(site.vips[site.vip_of("database")].address)
        port = database.port
        found.append(Front(DATABASE, address, port, port, own_first, path="/galera", single=True, last=LAST,
                           local=site.alarms is not None))  # fmt: skip
        if database.reader_port:
            found.append(Front(READER, address, database.reader_port, port, equals, follows=DATABASE, last=LAST))
        found.append(Front(LAST, "", 0, port, own_first, path="/galera/any", single=True))
    if messaging := site.messaging:
        address, port = str(site.vips[site.vip_of("messaging")].address), messaging.port
        single = site.scale is Scale.SMALL
        members = own_first if single else equals
        found.append(Front(MESSAGING, address, port, port, members, path="/rabbitmq", single=single))
    return tuple(found)


def section(site: Site, node: str, checks: Checks, connect_ms: int) -> bytes:
    """The part of `node`'s haproxy.cfg that is about the clustered services; empty when the site has none."""
    found = fronts(site, node)
    if not found:
        return b""
    return fill(
        "haproxy/fronts.cfg.j2", fronts=found, checks=checks, connect=connect_ms, endpoint=ENDPOINT_PORT, idle=IDLE,
        last_inter=LAST_INTER,
    )  # fmt: skip


def _members(site: Site, here: str, *, local_first: bool) -> tuple[Member, ...]:
    """The full nodes in site.yaml's order; `local_first`: `here` before all others, which are its backups."""
    nodes = site.full_nodes()
    ordered = sorted(nodes, key=lambda name: name != here) if local_first else nodes
    return tuple(Member(name, site.address_of(name), local_first and name != here) for name in ordered)

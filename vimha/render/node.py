"""One node's own files, and the few decisions in them.

Invariant: a node's haproxy never sends a request to an instance that its service's policy does not run.

corosync.conf: both planes are knet links in active mode (every message goes over both), so that the loss of a plane
loses no token, however short the token is; two nodes get two_node, which implies wait_for_all: a node that starts
alone must not serve, for its peer may be serving. With three or more votes wait_for_all stays off, so that a site
comes back after a power loss even when one node does not.

haproxy.cfg: a refused connection is retried on another instance; where that is a backup, the refusal also counts as
a failed check and brings the next one forward (`sudden-death`; `mark-down` would cut the very request that is to be
retried). A request is sent twice only when it was never received, or when its method is GET or HEAD.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from vimha.render import alarms, clustered, fronts
from vimha.render.cib import Cib
from vimha.render.environment import fill
from vimha.render.fencing import PASSWORD_SCRIPT
from vimha.render.model import Artefact
from vimha.render.resources import HAPROXY_CONFIG, HEALTH, bind_config
from vimha.site.model import FenceAgent, Policy, Role, Site
from vimha.timing.model import Timings

CONNECT_MS = 250
"""haproxy's limit for a connection to an instance: well above a LAN's round trip, below TCP's first retransmission
(1 s, RFC 6298), so that a lost SYN is retried sooner. It is also the pause before a retry on the same instance."""


@dataclass(frozen=True)
class Server:
    """An instance behind haproxy; a `backup` gets requests only when no other one answers."""

    node: str
    address: str
    port: int
    backup: bool


@dataclass(frozen=True)
class Balanced:
    """A service as one node's haproxy sees it: where clients connect, and the instances."""

    name: str
    address: str
    port: int
    servers: tuple[Server, ...]

    @property
    def observed(self) -> bool:
        """Whether a refused connection alone may count against an instance. It must where the others are backups,
        which haproxy uses only once the first is down; equals need it not, for any of them takes the retry.
        """
        return any(server.backup for server in self.servers)


def balanced(site: Site, node: str) -> tuple[Balanced, ...]:
    """Every service, seen from `node`."""
    return tuple(
        Balanced(name, str(site.vips[vip].address), site.services[name].port, _servers(site, name, node))
        for name, vip in site.fronts().items()
    )


def _servers(site: Site, service: str, here: str) -> tuple[Server, ...]:
    """The instances of `service`, by policy: its only one is where haproxy's VIP is; the warm ones are backups of
    this node's own; all-active ones are equals.
    """
    policy = site.policy_of(service)
    nodes = (here,) if policy is Policy.ACTIVE_STANDBY else site.full_nodes()
    return tuple(
        Server(
            name, site.address_of(name), site.backend_port_of(service),
            policy is Policy.WARM_STANDBY and name != here,
        )
        for name in nodes
    )  # fmt: skip


def artefacts(site: Site, timings: Timings, authkey: bytes, made_by: str, cib: Cib) -> dict[str, tuple[Artefact, ...]]:
    """Every node's files, for a cluster that runs `cib`. An arbiter gets what membership and fencing need, and nothing
    of the services.
    """
    shared = (
        Artefact("/etc/corosync/corosync.conf", _corosync(site, timings, made_by), 0o644, "membership and quorum"),
        Artefact("/etc/corosync/authkey", authkey, 0o400, "the key that encrypts and signs cluster traffic"),
        *_password_script(site, made_by),
    )
    serving = Artefact("/etc/sysctl.d/60-vimha.conf", _sysctl(made_by), 0o644, "kernel settings for VIPs")
    return {
        name: (
            *shared,
            *(() if node.role is Role.ARBITER
              else (serving, _haproxy(site, name, timings, made_by), *_binds(site, name, made_by))),
            *clustered.artefacts(site, name, timings, authkey, made_by),
            *alarms.artefacts(site, name, authkey, made_by, cib),
        )
        for name, node in site.nodes.items()
    }  # fmt: skip


def _corosync(site: Site, timings: Timings, made_by: str) -> bytes:
    nodes: Sequence[tuple[int, str, list[str]]] = [
        (number, name, [str(site.nodes[name].addresses[plane]) for plane in site.planes])
        for number, name in enumerate(site.nodes, 1)
    ]
    return fill(
        "corosync/corosync.conf.j2", made_by=made_by, site=site, timings=timings, nodes=nodes, two_nodes=len(nodes) == 2
    )


def _sysctl(made_by: str) -> bytes:
    return fill("sysctl/60-vimha.conf.j2", made_by=made_by)


def _haproxy(site: Site, node: str, timings: Timings, made_by: str) -> Artefact:
    content = fill(
        "haproxy/haproxy.cfg.j2", made_by=made_by, checks=timings.checks, connect=CONNECT_MS, health=HEALTH,
        services=balanced(site, node),
    )  # fmt: skip
    content += alarms.haproxy(site, node, timings.checks)
    content += fronts.section(site, node, timings.members, CONNECT_MS)
    return Artefact(HAPROXY_CONFIG, content, 0o644, "the load balancer")


def _binds(site: Site, node: str, made_by: str) -> tuple[Artefact, ...]:
    address = site.address_of(node)
    return tuple(
        Artefact(
            bind_config(name),
            fill("glance/bind.conf.j2", made_by=made_by, address=address, port=site.backend_port_of(name)),
            0o644, f"where {name} listens",
        )
        for name in site.services
    )  # fmt: skip


def _password_script(site: Site, made_by: str) -> tuple[Artefact, ...]:
    """What fence-agents' own agents run to get the password; vimha's agent reads the file itself."""
    if site.fencing.agent is FenceAgent.VIMHA_REDFISH:
        return ()
    content = fill("bmc/password.sh.j2", made_by=made_by, password_file=shlex.quote(site.fencing.password_file))
    return (Artefact(PASSWORD_SCRIPT, content, 0o700, "prints the BMCs' password"),)

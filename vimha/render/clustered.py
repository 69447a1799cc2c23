"""The clustered services (A3, A5): what Pacemaker runs for them, and their own files on a node.

Invariant: every member knows every other one by its address in the first plane, in site.yaml's order, and all members
run with the same timings; so any of them can be first, and none is special.

Nothing orders a member before or after anything else: it joins while its node serves already, and haproxy sends clients
to it once its health endpoint says that it is well.
"""

from collections.abc import Iterator

from vimha.render.cib import Clone, Primitive
from vimha.render.environment import fill
from vimha.render.fronts import ENDPOINT_PORT
from vimha.render.model import Artefact
from vimha.render.operations import ops
from vimha.site.model import Database, Site
from vimha.timing.model import Timings, Wsrep

GALERA_CONFIG = "/etc/vimha/galera.cnf"
SOCKET = "/run/mysqld/mysqld.sock"
DATABASE = "database"
PATIENCE_S = "2"
"""How long a start may hold up what else Pacemaker has to do, a fencing even; the monitor sees to the rest."""
GROUP_PORT = 4567
"""Galera's group communication (gmcast.listen_addr's default)."""


def resources(site: Site, timings: Timings) -> Iterator[Clone]:
    """The clones of the clustered services that `site` declares."""
    found = [_galera(site, site.database, timings)] if site.database else []
    if site.stateful:
        found.append(_health(site, timings))
    for child in found:
        members = site.instances_of(child.id) if child.id in site.stateful else len(site.full_nodes())
        yield Clone(f"{child.id}-clone", child, members)


def addresses(site: Site) -> dict[str, str]:
    """Each full node's address in the first plane."""
    plane = next(iter(site.planes))
    return {node: str(site.nodes[node].addresses[plane]) for node in site.full_nodes()}


def _galera(site: Site, database: Database, timings: Timings) -> Primitive:
    params = {
        "config": GALERA_CONFIG,
        "datadir": database.datadir,
        "socket": SOCKET,
        "patience": PATIENCE_S,
        "members": " ".join(f"{node}={address}" for node, address in addresses(site).items()),
    }
    return Primitive(DATABASE, "ocf:vimha:galera", params, ops(timings.database))


def _health(site: Site, timings: Timings) -> Primitive:
    """What haproxy asks about this node's members."""
    listens = {node: f"{address}:{ENDPOINT_PORT}" for node, address in addresses(site).items()}
    common, *_ = listens.values()
    params = {"listen": common, "galera": SOCKET if site.database else "", "donor": "yes"}
    by_node = {node: {"listen": listen} for node, listen in listens.items() if listen != common}
    return Primitive("health", "ocf:vimha:health", params, ops(timings.health), by_node)


def artefacts(site: Site, node: str, timings: Timings, made_by: str) -> tuple[Artefact, ...]:
    """The clustered services' files on the full node `node`."""
    return (_galera_config(site, site.database, node, timings, made_by),) if site.database else ()


def _galera_config(site: Site, database: Database, node: str, timings: Timings, made_by: str) -> Artefact:
    members = addresses(site)
    content = fill(
        "galera/galera.cnf.j2", made_by=made_by, extra=database.config, datadir=database.datadir, socket=SOCKET,
        name=node, address=members[node], port=database.port, cluster=site.site, members=members.values(),
        options=provider_options(timings.wsrep, members[node], database.gcache),
    )  # fmt: skip
    return Artefact(GALERA_CONFIG, content, 0o644, "the database's member")


def provider_options(wsrep: Wsrep, address: str, gcache_mb: int) -> tuple[str, ...]:
    """wsrep_provider_options: group communication as quick as the budget asks, and all that a member needs to come back
    without a copy of the data: the last view (pc.recovery) and the last writes (gcache.recover).
    """
    durations = {
        "evs.keepalive_period": wsrep.keepalive,
        "evs.inactive_check_period": wsrep.check,
        "evs.suspect_timeout": wsrep.suspect,
        "evs.inactive_timeout": wsrep.inactive,
        "evs.install_timeout": wsrep.install,
        "evs.join_retrans_period": wsrep.join_retrans,
    }
    return (
        f"gmcast.listen_addr=tcp://{address}:{GROUP_PORT}",
        f"gcache.size={gcache_mb}M",
        "gcache.recover=yes",
        "pc.recovery=yes",
        *(f"{name}=PT{milliseconds / 1000:g}S" for name, milliseconds in durations.items()),
    )

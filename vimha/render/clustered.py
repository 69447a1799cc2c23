"""The clustered services (A3, A5): what Pacemaker runs for them, and their own files on a node.

Invariant: every member knows every other one by its address in the first plane, in site.yaml's order, and all members
run with the same timings; so any of them can be first, and none is special.

Nothing orders a member before or after anything else: it joins while its node serves already, and haproxy sends clients
to it once its health endpoint says that it is well.
"""

from collections.abc import Iterator

from vimha.render import secrets
from vimha.render.cib import Alert, Called, Clone, Nowhere, Op, Primitive
from vimha.render.environment import fill
from vimha.render.fronts import ENDPOINT_PORT
from vimha.render.model import Artefact
from vimha.render.operations import by_node, ops
from vimha.site.model import Database, Encryption, Messaging, Site
from vimha.timing.model import Timings, Wsrep

GALERA_CONFIG = "/etc/vimha/galera.cnf"
SOCKET = "/run/mysqld/mysqld.sock"
DATABASE, MESSAGING, ARBITRATOR = "database", "messaging", "arbitrator"
ON_ARBITERS = frozenset({f"{MESSAGING}-clone", f"{ARBITRATOR}-clone"})
"""What runs on an arbiter besides fence devices: votes."""
DATABASE_USER = "mysql"
BROKER_FOLDER, BROKER_USER = "/etc/vimha/rabbitmq", "rabbitmq"
DEFINITIONS, MONITOR = f"{BROKER_FOLDER}/definitions.json", "vimha"
COOKIE = "/etc/vimha/erlang.cookie"
DEAD_PEER = "/usr/lib/vimha/alerts/dead_peer"
PATIENCE_S = "2"
"""How long a start may hold up what else Pacemaker has to do, a fencing even; the monitor sees to the rest."""
DEEP_INTERVAL_MS, DEEP_TIMEOUT_MS = 15_000, 10_000
"""How often a broker is asked for alarms, members and queues that are short of replicas; no failover waits for it."""
VOTES = "gcs.vote_policy=1"
"""Where members disagree whether a write could be applied, those that could go on. By default the majority decides:
with two of three disks full it took the writer out, which had acknowledged the row, and the row was lost (measured)."""
TOOLS_CONFIG = "/etc/rabbitmq/rabbitmq-env.conf"
"""What RabbitMQ's tools read when an operator calls them."""
ARBITRATOR_USER = "vimha-garbd"
"""Whom garbd runs as where it has a key to read, instead of Debian's `nobody` (vimha/render/units.py)."""
CALLED = {DATABASE: "vimha-galera-called", MESSAGING: "vimha-rabbitmq-called"}
"""The node attribute by which the members' agents call for one on another node."""
CALLED_SCORE = "10000"
"""Above the stickiness of an instance (1000), so that one moves; below a ban's, which a call does not lift."""
GROUP_PORT = 4567
"""Galera's group communication (gmcast.listen_addr's default)."""


def resources(site: Site, timings: Timings) -> Iterator[Clone]:
    """The clones of the clustered services that `site` declares."""
    found = [_galera(site, site.database, timings)] if site.database else []
    found += [_rabbitmq(site, site.messaging, timings)] if site.messaging else []
    found += [_health(site, timings)] if site.stateful else []
    arbiters = len(site.nodes) - len(site.full_nodes())
    for child in found:
        members = site.instances_of(child.id) if child.id in site.stateful else len(site.full_nodes())
        yield Clone(f"{child.id}-clone", child, members + arbiters * (child.id == MESSAGING))
    if site.database and arbiters:
        yield Clone(f"{ARBITRATOR}-clone", _garbd(site, timings), arbiters)


def called(site: Site) -> Iterator[Called]:
    """Members that have spares run where they are called to (ocf/called.py), rather than where they are."""
    for name in site.stateful:
        if site.instances_of(name) < len(site.full_nodes()):
            yield Called(f"{name}-clone.called", f"{name}-clone", CALLED[name], CALLED_SCORE)


def nowhere(site: Site) -> Iterator[Nowhere]:
    """Galera's arbitrator is for arbiters alone: a member beside it would vote twice."""
    if site.database and len(site.nodes) > len(site.full_nodes()):
        for node in site.full_nodes():
            yield Nowhere(f"{ARBITRATOR}.not-on.{node}", (f"{ARBITRATOR}-clone",), node)


def alerts(site: Site) -> tuple[Alert, ...]:
    """What Pacemaker tells of its nodes: a broker waits for seconds for a peer that nobody told it is dead."""
    return (Alert("dead-peer", DEAD_PEER, ("nodes", "fencing")),) if site.messaging else ()


def addresses(site: Site) -> dict[str, str]:
    """Each full node's address in the first plane."""
    return {node: site.address_of(node) for node in site.full_nodes()}


def brokers(site: Site) -> dict[str, str]:
    """The address of each node that has a broker: arbiters too, whose broker gets no clients but holds replicas and
    votes, for of two brokers alone the survivor is no majority.
    """
    return {node: site.address_of(node) for node in site.nodes}


def _galera(site: Site, database: Database, timings: Timings) -> Primitive:
    params = {
        "config": GALERA_CONFIG,
        "datadir": database.datadir,
        "socket": SOCKET,
        "patience": PATIENCE_S,
        "members": _named(addresses(site)),
        **_tls(site),
    }
    return Primitive(DATABASE, "ocf:vimha:galera", params, ops(timings.database))


def _rabbitmq(site: Site, messaging: Messaging, timings: Timings) -> Primitive:
    params = {
        "config_dir": BROKER_FOLDER,
        "data": messaging.data,
        "cookie": COOKIE,
        "patience": PATIENCE_S,
        "members": _named(brokers(site)),
        **_tls(site),
    }
    own = {node: {"amqp": f"{address}:{messaging.port}"} for node, address in brokers(site).items()}
    common, others = by_node(own)
    deep = Op("monitor", DEEP_TIMEOUT_MS, DEEP_INTERVAL_MS, level=10)
    return Primitive(
        MESSAGING, "ocf:vimha:rabbitmq", {**common, **params}, (*ops(timings.messaging), deep), others
    )  # fmt: skip


def _health(site: Site, timings: Timings) -> Primitive:
    """What haproxy asks about this node's members."""
    params = {"galera": "", "user": BROKER_USER}
    if site.database:
        params = {"galera": SOCKET, "datadir": site.database.datadir, "donor": "yes"}
    own = {node: {"listen": f"{address}:{ENDPOINT_PORT}"} for node, address in addresses(site).items()}
    if site.messaging:
        own = {node: {**own[node], "rabbitmq": f"{address}:{site.messaging.port}"}
               for node, address in addresses(site).items()}  # fmt: skip
    common, others = by_node(own)
    return Primitive("health", "ocf:vimha:health", {**common, **params}, ops(timings.health), others)


def _garbd(site: Site, timings: Timings) -> Primitive:
    """Galera's vote of an arbiter, timed as the members are."""
    params = {
        "address": f"gcomm://{','.join(addresses(site).values())}",
        "group": site.site,
        "options": "; ".join((VOTES, *_group_timing(timings.wsrep), *group_tls(site.encryption))),
        "patience": PATIENCE_S,
        **_tls(site),
        **({"user": ARBITRATOR_USER} if site.encryption else {}),
    }
    return Primitive(ARBITRATOR, "ocf:vimha:garbd", params, ops(timings.database))


def _tls(site: Site) -> dict[str, str]:
    """The agents' parameters for the files that TLS needs (resource_agents/ocf/tls.py)."""
    return site.encryption.model_dump() if site.encryption else {}


def _named(members: dict[str, str]) -> str:
    return " ".join(f"{node}={address}" for node, address in members.items())


def artefacts(site: Site, node: str, timings: Timings, key: bytes, made_by: str) -> tuple[Artefact, ...]:
    """The clustered services' files on `node`."""
    member = site.database if node in site.full_nodes() else None
    database = (_galera_config(site, member, node, timings, made_by),) if member else ()
    return (*database, *(_broker_files(site, site.messaging, node, key, made_by) if site.messaging else ()))


def _galera_config(site: Site, database: Database, node: str, timings: Timings, made_by: str) -> Artefact:
    members = addresses(site)
    content = fill(
        "galera/galera.cnf.j2", made_by=made_by, extra=database.config, datadir=database.datadir, socket=SOCKET,
        user=DATABASE_USER, name=node, address=members[node], port=database.port, cluster=site.site,
        members=members.values(), tls=site.encryption,
        options=(*provider_options(timings.wsrep, members[node], database.gcache), *group_tls(site.encryption)),
    )  # fmt: skip
    return Artefact(GALERA_CONFIG, content, 0o644, "the database's member")


def _broker_files(site: Site, messaging: Messaging, node: str, key: bytes, made_by: str) -> tuple[Artefact, ...]:
    config = fill(
        "rabbitmq/rabbitmq.conf.j2", made_by=made_by, address=brokers(site)[node], port=messaging.port,
        cluster=site.site, definitions=DEFINITIONS,
    )  # fmt: skip
    password = secrets.derived(key, "rabbitmq monitoring")
    definitions = fill(
        "rabbitmq/definitions.json.j2", made_by=made_by, user=MONITOR, password_hash=secrets.rabbitmq_hash(password)
    )
    advanced = fill("rabbitmq/advanced.config.j2", made_by=made_by)
    plugins = fill("rabbitmq/enabled_plugins.j2", made_by=made_by)
    return (
        Artefact(COOKIE, secrets.derived(key, "erlang cookie"), 0o600, "what lets brokers form a cluster"),
        Artefact(f"{BROKER_FOLDER}/rabbitmq.conf", config, 0o644, "the broker"),
        Artefact(f"{BROKER_FOLDER}/advanced.config", advanced, 0o644, "the broker's detector of dead peers"),
        Artefact(DEFINITIONS, definitions, 0o644, "the default queue type, and who may look"),
        Artefact(f"{BROKER_FOLDER}/management.auth", f"{MONITOR}:{password.decode()}".encode(), 0o600, "the same's"),
        Artefact(f"{BROKER_FOLDER}/enabled_plugins", plugins, 0o644, "the broker's plug-ins"),
        *(_broker_tls(site.encryption, made_by) if site.encryption else ()),
    )


def _broker_tls(files: Encryption, made_by: str) -> tuple[Artefact, ...]:
    path = f"{BROKER_FOLDER}/inter_node_tls.config"
    options = fill("rabbitmq/inter_node_tls.config.j2", made_by=made_by, tls=files)
    tools = fill("rabbitmq/rabbitmq-env.conf.j2", made_by=made_by, options=path)
    return (
        Artefact(path, options, 0o644, "TLS between the brokers"),
        Artefact(TOOLS_CONFIG, tools, 0o644, "the same for RabbitMQ's tools"),
    )


def provider_options(wsrep: Wsrep, address: str, gcache_mb: int) -> tuple[str, ...]:
    """wsrep_provider_options: group communication as quick as the budget asks, and all that a member needs to come back
    without a copy of the data: the last view (pc.recovery) and the last writes (gcache.recover).
    """
    return (
        f"gmcast.listen_addr=tcp://{address}:{GROUP_PORT}",
        f"gcache.size={gcache_mb}M",
        "gcache.recover=yes",
        "pc.recovery=yes",
        VOTES,
        *_group_timing(wsrep),
    )


def group_tls(files: Encryption | None) -> tuple[str, ...]:
    """Group communication and incremental transfers over TLS, and only so: Galera has each side show a certificate."""
    if files is None:
        return ()
    return (
        "socket.ssl=yes",
        f"socket.ssl_cert={files.certificate}",
        f"socket.ssl_key={files.key}",
        f"socket.ssl_ca={files.ca_file}",
    )


def _group_timing(wsrep: Wsrep) -> Iterator[str]:
    durations = {
        "evs.keepalive_period": wsrep.keepalive,
        "evs.inactive_check_period": wsrep.check,
        "evs.suspect_timeout": wsrep.suspect,
        "evs.inactive_timeout": wsrep.inactive,
        "evs.install_timeout": wsrep.install,
        "evs.join_retrans_period": wsrep.join_retrans,
    }
    return (f"{name}=PT{milliseconds / 1000:g}S" for name, milliseconds in durations.items())

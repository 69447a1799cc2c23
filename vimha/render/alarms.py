"""The alarm service (B1, B2): what Pacemaker runs for it, its files on a node, the way of Pacemaker's events to it.

Invariant: no failover waits for it, and it moves no VIP: it starts after the VIPs, and what fails of it is restarted
where it is or moved alone.

An instance listens on its node's loopback, where that node's own events reach it whatever the network does; haproxy
gives it its TLS, on the VIP and, where there are several, on the nodes' addresses. Its store is the site's database by
way of the same node's haproxy (127.0.0.1), which takes the node's own member as long as that is well: when a node is
lost, the others' members go on long before the VIP has moved (vimha/timing/members.py), and what they are told of the
loss is kept and delivered at once. While that haproxy itself is away, of which there is an alarm to keep, the service
connects to the member directly.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, TypeGuard

import yaml

from vimha.render import secrets
from vimha.render.cib import Alert, Cib, Clone, Colocation, Group, Order, Primitive
from vimha.render.environment import fill
from vimha.render.model import Artefact
from vimha.render.operations import ops
from vimha.site.model import Alarms, Role, Site
from vimha.timing.model import Checks, Timings

ALARMS = "alarms"
CONFIG, USERS, PASSWORD = "/etc/vimha/alarms.yaml", "/etc/vimha/alarms.users", "/etc/vimha/alarms.password"
GRANTS, OPERATOR_TOKEN, DRAIN = "/etc/vimha/alarms.sql", "/etc/vimha/alarms.token", "/etc/vimha/drain.json"
AGENT = "/usr/lib/vimha/alerts/vimha-alert"
ACCOUNT = "vimha_alarms"
"""The database, and who may use it."""
INSIDE = 10_000
"""What the nodes' own ports lie above the VIP's, as those of the stateless services do."""
OPERATOR, SOURCE = "operator", "source"
"""Whose the two tokens are: an operator's, as root on a node, and the drain's, which brings Pacemaker's events."""


def token(key: bytes, who: str) -> str:
    """The token of OPERATOR or SOURCE, from the site's key."""
    return secrets.derived(key, f"alarms {who}").decode()


def resources(site: Site, timings: Timings) -> tuple[Primitive | Clone, ...]:
    """The service as a resource: on every full node, or in one place."""
    if site.alarms is None:
        return ()
    params = {"config": CONFIG, "private": USERS, "health": f"http://127.0.0.1:{site.alarms.port}"}
    if site.alarms.local:
        params["local"] = site.alarms.local
    if site.database:
        params |= {"private": f"{USERS} {PASSWORD}", "grants": GRANTS}
    child = Primitive(ALARMS, "ocf:vimha:alarms", params, ops(timings.api))
    return (Clone(f"{ALARMS}-clone", child, len(site.full_nodes())),) if site.alarms_everywhere else (child,)


def colocations(site: Site, anchor: str) -> tuple[Colocation, ...]:
    """An only instance is where its VIP is: `anchor` holds that."""
    if site.alarms is None or site.alarms_everywhere:
        return ()
    return (Colocation(f"{ALARMS}.with.{anchor}", ALARMS, anchor, influence=False),)


def orders(site: Site, front: tuple[str, ...], made: tuple[Primitive | Clone, ...]) -> Iterator[Order]:
    """It takes seconds of CPU to start: after the VIPs, in a transition that starts both."""
    if site.alarms:
        yield Order(f"{ALARMS}.last", front, tuple(each.id for each in made), both_ways=False)


def alerts(site: Site, attributes: tuple[str, ...]) -> tuple[Alert, ...]:
    """What Pacemaker tells the service; `attributes`: how many ports of a node work."""
    return (Alert("vimha-alert", AGENT, ("fencing", "nodes", "resources"), attributes),) if site.alarms else ()


def haproxy(site: Site, node: str, checks: Checks) -> bytes:
    """The part of `node`'s haproxy.cfg that is about the service; empty when the site has none."""
    if (alarms := site.alarms) is None:
        return b""
    return fill(
        "haproxy/alarms.cfg.j2", address=str(site.vips[site.vip_of(ALARMS)].address), port=alarms.port,
        inside=alarms.port + INSIDE if site.alarms_everywhere else 0, own=site.address_of(node), checks=checks,
        members={each: site.address_of(each) for each in site.full_nodes()},
        certificate=alarms.certificate, ca_file=alarms.ca_file,
    )  # fmt: skip


def artefacts(site: Site, node: str, key: bytes, made_by: str, cib: Cib) -> Iterator[Artefact]:
    """The service's files on `node` of a cluster that runs `cib`."""
    if (alarms := site.alarms) is None:
        return
    yield Artefact(DRAIN, _yaml("", _drain(site, alarms, node, key)), 0o600, "the way of Pacemaker's events")
    if site.nodes[node].role is Role.ARBITER:
        return
    yield Artefact(CONFIG, _yaml(made_by, _config(site, alarms, node, cib)), 0o600, "the alarm service")
    users = {who: {"role": who, "token": _digest(token(key, who))} for who in (OPERATOR, SOURCE)}
    yield Artefact(USERS, _yaml(made_by, {"tokens": users}), 0o600, "who may ask it")
    yield Artefact(OPERATOR_TOKEN, f"{token(key, OPERATOR)}\n".encode(), 0o600, "an operator's token, for root here")
    if site.database:
        password = secrets.derived(key, "alarms store")
        yield Artefact(PASSWORD, password + b"\n", 0o600, "its password for the database")
        hashed = hashlib.sha1(hashlib.sha1(password).digest()).hexdigest().upper()  # noqa: S324 (MariaDB's own)
        grants = fill(
            "alarms/grants.sql.j2", made_by=made_by, database=ACCOUNT, user=ACCOUNT, password_hash=hashed
        )  # fmt: skip
        yield Artefact(GRANTS, grants, 0o600, "its account in the database")


def url(site: Site) -> str:
    """What clients call it; the site must have one."""
    assert site.alarms is not None  # noqa: S101 (the caller has looked)
    scheme = "https" if site.alarms.certificate else "http"
    return f"{scheme}://{site.vips[site.vip_of(ALARMS)].address}:{site.alarms.port}"


def _drain(site: Site, alarms: Alarms, node: str, key: bytes) -> dict[str, Any]:
    """The node's own instance first: it need not wait until the VIP has moved. (Where that runs elsewhere, the loopback
    refuses at once.)
    """
    own = [] if site.nodes[node].role is Role.ARBITER else [f"http://127.0.0.1:{alarms.port}"]
    found: dict[str, Any] = {"urls": [*own, url(site)], "token": token(key, SOURCE)}
    return {**found, "ca_file": alarms.ca_file} if alarms.certificate else found


def _config(site: Site, alarms: Alarms, node: str, cib: Cib) -> dict[str, Any]:
    store = {"store": "sqlite:////var/lib/vimha/alarms.db"}
    if site.database:
        port = site.database.port
        way = f"127.0.0.1:{port}/{ACCOUNT}?fallback={site.address_of(node)}:{port}"
        store = {"store": f"mysql+pymysql://{ACCOUNT}@{way}", "store_password_file": PASSWORD}
    return {
        "listen": {"address": "127.0.0.1", "port": alarms.port},
        "url": url(site),
        "auth": {"files": [USERS]},
        **store,
        "delivery": {"allow": [str(each) for each in alarms.callbacks], "allow_http": alarms.http_callbacks},
        "cluster": {
            "site": site.site,
            "objective": site.objective / 1000,
            "single": list(_single(cib)),
            "watchers": [each.child.id for each in cib.resources if _watches_ports(each)],
            "nodes": {
                name: {"rack": declared.rack, "ports": len(site.ports_of(name)) if site.bond else 1}
                for name, declared in site.nodes.items()
            },
        },
    }


def _single(cib: Cib) -> Iterator[str]:
    """Every resource that runs in one place at a time."""
    for each in (*cib.fencing, *cib.resources):
        if isinstance(each, Group):
            yield from (member.id for member in each.members)
        elif isinstance(each, Primitive):
            yield each.id


def _watches_ports(resource: Primitive | Group | Clone) -> TypeGuard[Clone]:
    return isinstance(resource, Clone) and resource.child.type == "bond"


def _digest(text: str) -> str:
    """How the service's file of users keeps a token (vimha/alarms/service/users.py)."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _yaml(made_by: str, data: dict[str, Any]) -> bytes:
    """As YAML below a comment, or, without one, as JSON, which the drain reads."""
    if made_by:
        return f"# {made_by}\n{yaml.safe_dump(data, sort_keys=False)}".encode()
    return (json.dumps(data, indent=2) + "\n").encode()

"""The health of nodes, as VNF managers ask for it (row B8): what their active alarms say.

Invariant: a node is as bad as its worst active alarm: CRITICAL is FAILED, MAJOR and MINOR are DEGRADED, any other
leaves it OK; the same per fault domain, so that a dead compute service is told apart from a dead host. Of a node
without active alarms nothing bad is known: it is OK, listed or not.
"""

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from vimha.alarms.service import bodies, links
from vimha.alarms.service.context import Here, ask
from vimha.alarms.store.queries import Key
from vimha.alarms.store.schema import ALARM
from vimha.alarms.store.store import Store, Where
from vimha.alarms.words import FaultDomain, Severity

PAGE = 1000
router = APIRouter(prefix="/nodes", tags=["nodes"])
Host = Annotated[str, Path(min_length=1, max_length=255)]


class Health(StrEnum):
    OK = "OK"
    DEGRADED = "DEGRADED"
    FAILED = "FAILED"


class NodeHealth(BaseModel):
    """One node; `since` is when the worst of its alarms was raised, the oldest of several."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    host: str
    health: Health
    fault_domains: dict[FaultDomain, Health]
    since: str | None = None
    alarms: list[links.Href] = []


@router.get("", responses=bodies.problems(503), response_model_exclude_none=True)
async def nodes(request: Request, here: Here) -> list[NodeHealth]:
    """The nodes that the configuration names, and those with active alarms, by name."""
    found = await ask(_hosts, here.store)
    root = links.base(here, request)
    return [health(host, found.get(host, []), root) for host in sorted({*found, *here.settings.cluster.nodes})]


@router.get("/{host}/health", responses=bodies.problems(503), response_model_exclude_none=True)
async def node_health(host: Host, request: Request, here: Here) -> NodeHealth:
    """One node's health."""
    found = await ask(all_alarms, here.store, [ALARM.c.host == host])
    return health(host, found, links.base(here, request))


def health(host: str, alarms: Iterable[dict[str, Any]], root: str) -> NodeHealth:
    """What the active alarms of a host say."""
    known = list(alarms)
    domains: dict[FaultDomain, Health] = {}
    for each in known:
        domain = FaultDomain(each["faultDomain"])
        domains[domain] = _worse(domains.get(domain, Health.OK), _health(each))
    worst = Health.OK
    for found in domains.values():
        worst = _worse(worst, found)
    since = [each["alarmRaisedTime"] for each in known if _health(each) is worst]
    return NodeHealth(
        host=host, health=worst, fault_domains=domains, since=min(since) if worst is not Health.OK else None,
        alarms=[links.Href(href=f"{root}/alarms/{each['id']}") for each in known],
    )  # fmt: skip


def _health(alarm: dict[str, Any]) -> Health:
    match Severity(alarm["perceivedSeverity"]):
        case Severity.CRITICAL:
            return Health.FAILED
        case Severity.MAJOR | Severity.MINOR:
            return Health.DEGRADED
    return Health.OK


def _worse(one: Health, other: Health) -> Health:
    order = list(Health)
    return max(one, other, key=order.index)


def _hosts(store: Store) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for each in all_alarms(store, [ALARM.c.host != ""]):
        found.setdefault(each["location"]["host"], []).append(each)
    return found


def all_alarms(store: Store, where: Where) -> list[dict[str, Any]]:
    """All active alarms that meet `where`, over all pages."""
    found: list[dict[str, Any]] = []
    after: Key | None = None
    while True:
        page = store.alarms(where, after, PAGE)
        found += [json.loads(kept.body) for kept in page.items]
        after = page.after
        if after is None:
            return found

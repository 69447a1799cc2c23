"""How long services were really away, from Pacemaker's records: longer than the site's objective is an event of its own
(control.service.slow.recovery).

Invariant: an outage begins with the first failure after the resource was last healthy, or with the loss of the node
where it was, and ends with the first healthy result anywhere. A resource that was stopped in order is not away. The
same records again, or late ones, change nothing.

It holds for resources that run in one place at a time (Cluster.single): of the others, some instances failing says
nothing of the service. What is known lives in the store, under one name for each resource and node, so that any service
may be told what happens next. (Two services that learn of one resource in the same instant may lose one of the two
changes; a recovery follows its failure by far more than that.)
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from vimha.alarms.catalogue import definitions
from vimha.alarms.model import Event
from vimha.alarms.sources.event import name
from vimha.alarms.sources.pacemaker import OK, Record, healthy, shows_membership
from vimha.alarms.sources.settings import Cluster
from vimha.alarms.times import SECOND

STARTS = ("start", "promote", "migrate_from")
"""A resource that is started, and was neither stopped nor failed, was lost with its node."""
Tell = Callable[[Event], None]
"""Keeps an event; it is on the disk when this returns."""


@dataclass(frozen=True)
class Memory:
    """Named values that survive a restart: `read(name, default)` and `write(name, value)`."""

    read: Callable[[str, Any], Any]
    write: Callable[[str, Any], None]


@dataclass(frozen=True)
class Place:
    """Where a resource is healthy and since when; `failed_us`: since when it is not."""

    node: str = ""
    since_us: int = 0
    failed_us: int | None = None


@dataclass(frozen=True)
class Presence:
    """When a node was last lost, and when it was last a member again."""

    lost_us: int = 0
    back_us: int = 0


@dataclass(frozen=True)
class Outage:
    """A resource was away; the nodes are where it was before and after."""

    resource: str
    begun_us: int
    ended_us: int
    before: str
    after: str


def learn(record: Record, teller: str, cluster: Cluster, memory: Memory, tell: Tell) -> None:
    """Learn from a record of the node `teller`, and tell of an outage that has ended and was too long. In the order of
    records; what was learnt is written after `tell` has returned, so that a crash in between repeats it.
    """
    if record.kind == "node":
        _learn_node(record, memory)
    if shows_membership(record, teller):
        _learn_node(record.model_copy(update={"node": teller, "desc": "member"}), memory)
    if record.kind == "resource" and record.resource in cluster.single:
        _learn_resource(record, cluster, memory, tell)


def _learn_resource(record: Record, cluster: Cluster, memory: Memory, tell: Tell) -> None:
    key = _key("place", record.resource)
    place = Place(**memory.read(key, {}))
    presence = Presence(**memory.read(_key("node", place.node), {})) if place.node else Presence()
    then, outage = step(place, record, presence)
    if outage and outage.ended_us - outage.begun_us > cluster.objective_us:
        tell(_event(outage, cluster))
    if then != place:
        memory.write(key, asdict(then))


def step(place: Place, record: Record, presence: Presence) -> tuple[Place, Outage | None]:
    """What is known of a resource after one record of it, and the outage that ended; `presence` is of `place.node`."""
    well, at_us = healthy(record), record.at_us
    if at_us <= max(place.since_us, place.failed_us or 0):
        return place, None
    if well is False and place.failed_us is None:
        return replace(place, failed_us=at_us), None
    if well is True:
        begun = place.failed_us
        if begun is None and record.task in STARTS and place.since_us < presence.lost_us < at_us:
            begun = presence.lost_us
        if begun is None:
            return (place if place.node == record.node else Place(record.node, at_us)), None
        return Place(record.node, at_us), Outage(record.resource, begun, at_us, place.node, record.node)
    if record.task == "stop" and record.code == OK and place.failed_us is None and record.node == place.node:
        return Place("", at_us), None
    return place, None


def _learn_node(record: Record, memory: Memory) -> None:
    """All members tell of a loss, each by its own clock: the first one counts."""
    key = _key("node", record.node)
    known = Presence(**memory.read(key, {}))
    then = known
    if record.desc == "member" and record.at_us > known.back_us:
        then = replace(known, back_us=record.at_us)
    elif record.desc == "lost" and record.at_us > known.back_us and known.lost_us <= known.back_us:
        then = replace(known, lost_us=record.at_us)
    if then != known:
        memory.write(key, asdict(then))


def _key(kind: str, text: str) -> str:
    """Under which name it is kept; the store's names have 64 characters."""
    return f"{kind}/{text if len(text) <= 50 else name(text)}"


def _event(outage: Outage, cluster: Cluster) -> Event:
    away = (outage.ended_us - outage.begun_us) / SECOND
    definition = definitions()["control.service.slow.recovery"]
    before = outage.before or outage.after
    where = f"on {before}" if before == outage.after else f"from {before} to {outage.after}"
    return Event(
        id=name("outage", outage.resource, str(outage.begun_us)),
        definition=definition,
        managed_object=f"service/{outage.resource}",
        severity=definition.severities[0],
        event_us=outage.ended_us,
        location=cluster.location(outage.after),
        details=(f"away for {away:.3f} s, {where}; the objective is {cluster.objective:g} s",),
        detector="vimha",
    )

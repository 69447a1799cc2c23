"""What Pacemaker tells its alert agent (`vimha-alert`), as events.

Invariant: each result of an action says all that is known of its resource then: what raises one alarm clears those that
it contradicts. So whatever came before, after a healthy result no alarm of the resource is left, and after a node is a
member again none of the node. What Pacemaker expected (a probe that finds nothing, an action that it cancelled) says
nothing. Every node of the cluster tells of the same loss or fencing; with the same words, so that they are one alarm.

Times are the telling node's clock. The nodes' clocks must agree within the time that a recovery takes (chrony does).
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from vimha.alarms.catalogue import definitions
from vimha.alarms.model import Event
from vimha.alarms.sources.event import Id, Word, line, name, plain
from vimha.alarms.sources.settings import Cluster
from vimha.alarms.words import Severity

MOST = 1000
Text = Annotated[str, Field(max_length=65536)]
Name = Annotated[str, StringConstraints(max_length=100), AfterValidator(plain)]
PORTS = "vimha-ports"
"""The node attribute that ocf:vimha:bond publishes; with a plane's name behind it when there is no bond."""
OFF = ("off", "reboot")
OK, NOT_RUNNING, PROMOTED, DEGRADED, DEGRADED_PROMOTED = 0, 7, 8, 190, 191
NOT_INSTALLED = 5
CANCELLED, PENDING = "1", "-1"
"""Pacemaker's pcmk_exec_status (include/crm/common/results.h): no result of the agent's."""
RUNNING = ("start", "promote", "demote", "monitor", "reload", "reload-agent", "migrate_from")
"""Actions whose success shows a resource that runs."""


class Record(BaseModel):
    """One event: CRM_alert_*, without the prefix. Pacemaker may say more one day; that is passed over."""

    model_config = ConfigDict(frozen=True)

    id: Id
    at_us: Annotated[int, Field(ge=0)]
    """When it was, in microseconds since 1970."""
    kind: Word
    node: Name = ""
    desc: Text = ""
    reason: Text = ""
    """What the agent said; of vimha's own agents alone."""
    task: Text = ""
    rc: Text = ""
    rsc: Name = ""
    interval: Text = ""
    target_rc: Text = ""
    status: Text = ""
    attribute_name: Name = ""
    attribute_value: Text = ""

    @property
    def code(self) -> int:
        return _number(self.rc, OK)

    @property
    def wanted(self) -> int:
        return _number(self.target_rc, OK)

    @property
    def probe(self) -> bool:
        """A look whether the resource runs at all; a recurring monitor has an interval."""
        return self.task == "monitor" and _number(self.interval, 0) == 0

    @property
    def operation(self) -> str:
        """What fencing did. Pacemaker names its own message as the task, and the operation in the description alone:
        "Operation reboot of NODE by ..." (its lib/fencing/st_client.c, stonith__event_description).
        """
        words = self.desc.split(maxsplit=2)
        return words[1] if words[:1] == ["Operation"] and len(words) > 1 else self.task

    @property
    def resource(self) -> str:
        """The resource's name, without the number of a clone's instance."""
        base, _, instance = self.rsc.rpartition(":")
        return base if base and instance.isdecimal() else self.rsc


class Report(BaseModel):
    """Records of one node's spool, in their order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    node: Word
    """Who tells."""
    records: Annotated[list[Record], Field(min_length=1, max_length=MOST)]


def past(report: Report, now_us: int) -> Report:
    """The report with no record in the future: its node's clock is ahead then."""
    records = [each.model_copy(update={"at_us": min(each.at_us, now_us)}) for each in report.records]
    return report.model_copy(update={"records": records})


def events(report: Report, cluster: Cluster) -> list[Event]:
    """The events that a report is, in its order."""
    return [each for record in report.records for each in _events(record, report.node, cluster)]


def healthy(record: Record) -> bool | None:
    """Whether a resource's record shows that it runs; None when it does not say. One that is degraded runs."""
    if record.kind != "resource" or record.status in (CANCELLED, PENDING) or record.task not in (*RUNNING, "stop"):
        return None
    if record.probe:
        return True if record.code in (OK, PROMOTED, DEGRADED, DEGRADED_PROMOTED) else None
    if record.task == "stop":
        return None if record.code == OK else False
    return record.code == record.wanted or _degraded(record)


def shows_membership(record: Record, teller: str) -> bool:
    """Whether only a member of the cluster's majority can tell of this."""
    seen = record.kind == "fencing" or (record.kind == "node" and record.desc == "member")
    return seen and record.node != teller


def _events(record: Record, teller: str, cluster: Cluster) -> Iterator[Event]:
    say = Speech(record, teller, cluster)
    match record.kind:
        case "node":
            yield from _node(record, say)
        case "fencing":
            yield from _fencing(record, say)
        case "resource":
            yield from _resource(record, say, cluster)
        case "attribute":
            yield from _attribute(record, say, cluster)
        case "lost":
            yield say.raised("alarms.spool.overflow", f"spool/{teller}", host=teller)
    if shows_membership(record, teller):
        yield say.cleared("control.node.lost", f"host/{teller}")


class Speech:
    """Makes events of one record."""

    def __init__(self, record: Record, teller: str, cluster: Cluster) -> None:
        self._record = record
        self._teller = teller
        self._cluster = cluster

    def raised(
        self, known: str, about: str, *details: str, severity: Severity | None = None, host: str = "", problem: str = ""
    ) -> Event:
        """An event that raises the alarm `known`; at its usual severity unless another is given."""
        definition = definitions()[known]
        return Event(
            id=name("pacemaker", self._teller, self._record.id, known, about, problem),
            definition=definition,
            managed_object=about,
            severity=severity or definition.severities[0],
            event_us=self._record.at_us,
            specific_problem=problem,
            location=self._cluster.location(host or self._record.node),
            details=tuple(text for text in map(line, details) if text),
            detector=f"pacemaker@{self._teller}",
        )

    def cleared(self, known: str, about: str, problem: str = "") -> Event:
        """An event that ends the alarm `known`."""
        return self.raised(known, about, severity=Severity.CLEARED, problem=problem)


def _node(record: Record, say: Speech) -> Iterator[Event]:
    host = f"host/{record.node}"
    if record.desc == "lost":
        yield say.raised("control.node.lost", host)
    elif record.desc == "member":
        yield say.cleared("control.node.lost", host)
        yield say.cleared("control.node.fenced", host)
        yield say.cleared("control.fencing.failed", host)


def _fencing(record: Record, say: Speech) -> Iterator[Event]:
    host = f"host/{record.node}"
    if record.operation not in OFF:
        return
    if record.code != OK:
        yield say.raised("control.fencing.failed", host, record.desc)
        return
    yield say.raised("control.node.fenced", host, record.desc)
    yield say.cleared("control.fencing.failed", host)


def _resource(record: Record, say: Speech, cluster: Cluster) -> Iterator[Event]:
    """`probe` is a problem of its own: it says nothing of the service where that runs; any success there ends it."""
    resource = record.resource
    about = f"service/{resource}" if resource in cluster.single else f"service/{resource}/{record.node}"
    here = f"service/{resource}/{record.node}"
    how = f"it exited {record.code}, {record.wanted} was expected"
    what = (f"{record.task} on {record.node}: {record.desc}", how, record.reason)
    watched = resource in cluster.watchers and record.task == "monitor"
    found = healthy(record)
    if found:
        yield say.cleared("control.service.failed", about)
        yield say.cleared("control.service.failed", here, "probe")
        yield say.cleared("control.service.stop.failed", about)
        if not _degraded(record):
            yield say.cleared("control.service.degraded", about)
        elif not watched:
            yield say.raised("control.service.degraded", about, *what)
    elif record.task == "stop" and found is None and record.status not in (CANCELLED, PENDING):
        yield say.cleared("control.service.failed", here, "probe")
        yield say.cleared("control.service.stop.failed", about)
        yield say.cleared("control.service.degraded", about)
    elif record.task == "stop" and found is False:
        yield say.raised("control.service.stop.failed", about, *what)
    elif found is False and not watched:
        worse = Severity.CRITICAL if record.task in ("start", "promote") else None
        yield say.raised("control.service.failed", about, *what, severity=worse)
        yield say.cleared("control.service.degraded", about)
    elif _failed_probe(record):
        yield say.raised("control.service.failed", here, *what, problem="probe")


def _attribute(record: Record, say: Speech, cluster: Cluster) -> Iterator[Event]:
    attribute, value = record.attribute_name, record.attribute_value
    work, of = _number(value, -1), cluster.ports(record.node)
    if not (attribute == PORTS or attribute.startswith(f"{PORTS}-")) or work < 0:
        return
    bond = f"bond/{record.node}"
    what = f"{work} of {of} ports work"
    if work == 0:
        yield say.raised("control.ports.lost", bond, what, problem=attribute)
    else:
        yield say.cleared("control.ports.lost", bond, attribute)
    if 0 < work < of:
        yield say.raised("control.ports.degraded", bond, what, problem=attribute)
    else:
        yield say.cleared("control.ports.degraded", bond, attribute)


def _degraded(record: Record) -> bool:
    return record.code in (DEGRADED, DEGRADED_PROMOTED) and record.task in RUNNING


def _failed_probe(record: Record) -> bool:
    """Not installed is what a probe says of a node that is not for the resource."""
    expected = (OK, NOT_RUNNING, PROMOTED, DEGRADED, DEGRADED_PROMOTED, NOT_INSTALLED)
    return record.probe and record.status not in (CANCELLED, PENDING) and record.code not in expected


def _number(text: str, otherwise: int) -> int:
    try:
        return int(text)
    except ValueError:
        return otherwise

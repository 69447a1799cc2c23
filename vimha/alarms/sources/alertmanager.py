"""Prometheus Alertmanager's webhook (its data version 4), as events.

Invariant: an alert is known by its fingerprint, and each of its states by when that began: Alertmanager repeats what it
has sent as long as an alert lasts, and every peer of its cluster may send it, but each state is taken in once.

An alert that is named as an entry of the catalogue is of that entry; any other is `external.reported`, with the alert's
name and fingerprint as its specific problem.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from vimha.alarms.catalogue import definitions
from vimha.alarms.model import Definition, Event
from vimha.alarms.sources.event import EXTERNAL, Id, Word, fitting, line, matches, name, when
from vimha.alarms.sources.settings import Cluster
from vimha.alarms.sources.severities import severity
from vimha.alarms.words import Severity

MOST = 1000
Text = Annotated[str, Field(max_length=8192)]
ABOUT = ("description", "summary", "message")
"""Annotations that say what is wrong, by Prometheus' custom."""


class Alert(BaseModel):
    """One alert of a notification; what else it says is passed over."""

    model_config = ConfigDict(frozen=True)

    status: Literal["firing", "resolved"]
    labels: dict[Text, Text]
    annotations: dict[Text, Text] = {}
    starts_at: Annotated[Word, Field(alias="startsAt")]
    ends_at: Annotated[str, Field(alias="endsAt", max_length=64)] = ""
    fingerprint: Id


class Webhook(BaseModel):
    """What Alertmanager posts."""

    model_config = ConfigDict(frozen=True)

    version: Literal["4"]
    alerts: Annotated[list[Alert], Field(max_length=MOST)]


def event(alert: Alert, cluster: Cluster, now_us: int) -> Event:
    """The event that an alert's state is; SourceError for a time that is none."""
    labels = alert.labels
    alertname = line(labels.get("alertname", ""), 128) or "alert"
    host = line(labels.get("instance", ""), 200).rpartition(":")[0] or line(labels.get("instance", ""), 200)
    known, managed_object = _about(alertname, host)
    over = alert.status == "resolved"
    said = Severity.CLEARED if over else severity(labels.get("severity", ""))
    began = alert.ends_at if over else alert.starts_at
    external = known.id == EXTERNAL
    return Event(
        id=name("alertmanager", alert.fingerprint, alert.status, began),
        definition=known,
        managed_object=managed_object,
        severity=fitting(known, said),
        event_us=when(began, now_us),
        specific_problem=f"{alertname} {alert.fingerprint}" if external else alert.fingerprint,
        location=cluster.location(host),
        details=tuple(text for each in ABOUT if (text := line(alert.annotations.get(each, "")))),
        detector="alertmanager",
    )


def _about(alertname: str, host: str) -> tuple[Definition, str]:
    """The definition, and the managed object: the host, or for what has none the alert itself."""
    managed_object = f"host/{host}" if host else f"alert/{alertname}"
    known = definitions().get(alertname)
    if known and matches(known, managed_object):
        return known, managed_object
    return definitions()[EXTERNAL], managed_object

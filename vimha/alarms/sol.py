"""Alarms in their outside shape: the Alarm of ETSI NFV-SOL 003 (7.5.2.4) with vimha's own attributes beside it.

Invariant: `alarm(body(a)) == a`: the store keeps this shape too, so what is delivered is what was kept. Links are added
where an alarm is shown, for they depend on who asks.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from vimha.alarms import times
from vimha.alarms.catalogue import definitions
from vimha.alarms.model import Alarm, Definition, Location
from vimha.alarms.words import AckState, Severity

PLACES = tuple(each.name for each in fields(Location))


def body(alarm: Alarm) -> dict[str, Any]:
    """The alarm as JSON can hold it; attributes that are not known are absent."""
    known = alarm.definition
    found = {
        "id": alarm.id,
        "managedObjectId": alarm.managed_object,
        "rootCauseFaultyResource": {
            "faultyResource": {
                "resourceId": alarm.managed_object,
                "vimLevelResourceType": alarm.managed_object.partition("/")[0],
            },
            "faultyResourceType": known.resource_type.value,
        },
        "alarmRaisedTime": times.text(alarm.raised_us),
        "alarmChangedTime": _time(alarm.changed_us),
        "alarmClearedTime": _time(alarm.cleared_us),
        "alarmAcknowledgedTime": _time(alarm.acknowledged_us),
        "ackState": alarm.ack.value,
        "perceivedSeverity": alarm.severity.value,
        "lastPerceivedSeverity": alarm.cleared_from.value if alarm.cleared_from else None,
        "eventTime": times.text(alarm.event_us),
        "isRootCause": alarm.root_cause,
        "correlatedAlarmIds": list(alarm.correlated) or None,
        "faultDetails": list(alarm.details) or None,
        "specificProblem": alarm.specific_problem or None,
        "location": {name: value for name in PLACES if (value := getattr(alarm.location, name))} or None,
        "detector": alarm.detector or None,
        "acknowledgedBy": alarm.acknowledged_by or None,
        "eventCount": alarm.events,
        "flapping": alarm.flapping,
    }  # fmt: skip
    return {**{name: value for name, value in found.items() if value is not None}, **_constants(known)}


@cache
def _constants(known: Definition) -> Mapping[str, Any]:
    """What all alarms of a definition have in common."""
    return {
        "eventType": known.event_type.value,
        "faultType": known.fault_type,
        "probableCause": known.probable_cause.value,
        "alarmDefinitionId": known.id,
        "proposedRepairAction": known.repair,
        "serviceAffecting": known.service_affecting,
        "clearingType": known.clearing.value,
        "faultDomain": known.fault_domain.value,
    }


def alarm(body: Mapping[str, Any]) -> Alarm:
    """The alarm that `body` shows; KeyError for one of a definition that this version does not know."""
    return Alarm(
        id=body["id"],
        definition=definitions()[body["alarmDefinitionId"]],
        managed_object=body["managedObjectId"],
        severity=Severity(body["perceivedSeverity"]),
        event_us=times.micros(body["eventTime"]),
        raised_us=times.micros(body["alarmRaisedTime"]),
        specific_problem=body.get("specificProblem", ""),
        location=Location(**body.get("location", {})),
        details=tuple(body.get("faultDetails", ())),
        detector=body.get("detector", ""),
        correlated=tuple(body.get("correlatedAlarmIds", ())),
        root_cause=body["isRootCause"],
        changed_us=_micros(body.get("alarmChangedTime")),
        cleared_us=_micros(body.get("alarmClearedTime")),
        acknowledged_us=_micros(body.get("alarmAcknowledgedTime")),
        ack=AckState(body["ackState"]),
        acknowledged_by=body.get("acknowledgedBy", ""),
        events=body["eventCount"],
        flapping=body["flapping"],
        cleared_from=Severity(body["lastPerceivedSeverity"]) if "lastPerceivedSeverity" in body else None,
    )


def _time(micros: int | None) -> str | None:
    return None if micros is None else times.text(micros)


def _micros(text: str | None) -> int | None:
    return None if text is None else times.micros(text)

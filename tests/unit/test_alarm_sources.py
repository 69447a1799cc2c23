"""Events in the shapes of others, and in our own: what they become, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from vimha.alarms import times
from vimha.alarms.model import Event, Location
from vimha.alarms.sources import alertmanager, doctor, native
from vimha.alarms.sources.alertmanager import Webhook
from vimha.alarms.sources.doctor import DoctorEvent
from vimha.alarms.sources.event import SourceError
from vimha.alarms.sources.native import NativeEvent
from vimha.alarms.sources.settings import Cluster, Node
from vimha.alarms.sources.severities import TABLE, severity
from vimha.alarms.words import Severity

NOW_US = times.micros("2026-11-22T18:00:00.000000Z")
CLUSTER = Cluster(site="north", nodes={"c1": Node(rack="r1", zone="z1", slot="4")})
OWN = {
    "id": "a-1", "alarmDefinitionId": "compute.host.nic.error", "managedObjectId": "host/n7",
    "perceivedSeverity": "MINOR", "eventTime": "2026-11-22T17:59:59.123456Z",
}  # fmt: skip
DOCTOR = {"time": "2026-11-22T17:59:59.123456", "type": "compute.host.down", "details": {"hostname": "n7"}}
ALERT = {
    "status": "firing", "labels": {"alertname": "DiskFull", "severity": "critical", "instance": "n7:9100"},
    "annotations": {"summary": "root file system\nis full"}, "startsAt": "2026-11-22T17:59:59.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "2b1a", "generatorURL": "http://prometheus/graph",
}  # fmt: skip


def own(**changed: Any) -> Event:
    said = TypeAdapter(NativeEvent).validate_json(json.dumps({**OWN, **changed}))
    return native.event(said, CLUSTER, NOW_US)


def doctors(details: dict[str, Any] | None = None, **changed: Any) -> Event:
    body = {**DOCTOR, **changed, "details": {"hostname": "n7", **(details or {})}}
    return doctor.event(TypeAdapter(DoctorEvent).validate_json(json.dumps(body)), CLUSTER, NOW_US)


def alert(labels: dict[str, str] | None = None, **changed: Any) -> Event:
    body = {"version": "4", "alerts": [{**ALERT, **changed, **({"labels": labels} if labels is not None else {})}]}
    return alertmanager.event(TypeAdapter(Webhook).validate_json(json.dumps(body)).alerts[0], CLUSTER, NOW_US)


def test_our_own_shape() -> None:
    event = own(
        specificProblem="eth0", faultDetails=["link down"], detector="nicmon", correlatedAlarmIds=["x"],
        isRootCause=True, location={"rack": "r9"},
    )  # fmt: skip
    assert event == Event(
        id="a-1", definition=event.definition, managed_object="host/n7", severity=Severity.MINOR,
        event_us=NOW_US - 876_544, specific_problem="eth0", location=Location(host="n7", rack="r9"),
        details=("link down",), detector="nicmon", correlated=("x",), root_cause=True,
    )  # fmt: skip
    assert event.definition.id == "compute.host.nic.error"


def test_a_known_host_is_located() -> None:
    north = Location(site="north", zone="z1", rack="r1", host="c1", slot="4")
    assert own(managedObjectId="host/c1").location == north
    assert own(managedObjectId="host/c1", location={"slot": "5"}).location.slot == "5"
    assert doctors({"hostname": "c1"}).location == north
    assert alert({"alertname": "a", "instance": "c1:9100"}).location == north


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"alarmDefinitionId": "compute.host.gone"}, "not in the catalogue"),
     ({"managedObjectId": "vm/7"}, "host/<name>"), ({"perceivedSeverity": "WARNING"}, "severity may be"),
     ({"eventTime": "yesterday"}, "RFC 3339"), ({"eventTime": "2026-11-22T17:59:59"}, "RFC 3339"),
     ({"eventTime": "2026-11-22T19:59:59Z"}, "future"), ({"eventTime": "9999-12-31T23:59:59Z"}, "future"),
     ({"eventTime": "1969-12-31T23:59:59Z"}, "before 1970"), ({"eventTime": "2026-02-30T00:00:00Z"}, "day")],
)  # fmt: skip
def test_what_no_alarm_can_be_is_refused(changed: dict[str, str], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        own(**changed)


@pytest.mark.parametrize(
    "changed",
    [{"perceivedSeverity": "BAD"}, {"id": ""}, {"id": "x" * 129}, {"unknown": 1}, {"faultDetails": ["x"] * 65},
     {"faultDetails": ["x" * 1025]}, {"managedObjectId": "host/\0"}, {"detector": "a\r\nSet-Cookie: b"},
     {"isRootCause": "yes"}, {"eventTime": 5}, {"location": {"planet": "x"}}, {"correlatedAlarmIds": [7]},
     {"managedObjectId": "host/\ud800"}],
)  # fmt: skip
def test_what_does_not_fit_the_shape_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        own(**changed)


def test_a_clock_that_is_a_little_ahead_counts_as_now() -> None:
    assert own(eventTime="2026-11-22T18:30:00Z").event_us == NOW_US


def test_doctors_shape() -> None:
    event = doctors({"source": "zabbix", "cause": "link-down", "severity": "disaster", "monitor_id": "m"})
    assert (event.definition.id, event.managed_object) == ("compute.host.down", "host/n7")
    assert event.severity is Severity.CRITICAL
    assert event.event_us == NOW_US - 876_544, "a time without a zone is UTC"
    assert (event.details, event.detector) == (("link-down",), "zabbix")


@pytest.mark.parametrize("status", ["up", "OK", "Resolved"])
def test_doctors_status_ends_the_alarm(status: str) -> None:
    down, up = doctors(), doctors({"status": status}, time="2026-11-22T18:00:00+00:00")
    assert up.severity is Severity.CLEARED
    assert up.key == down.key
    assert up.id != down.id


def test_a_type_of_doctors_that_nobody_knows_is_external() -> None:
    event = doctors({"severity": "average"}, type="compute.fan.failed")
    assert (event.definition.id, event.specific_problem) == ("external.reported", "compute.fan.failed")
    assert event.severity is Severity.MINOR
    assert event.key != doctors(type="compute.psu.failed").key


def test_a_severity_that_the_alarm_cannot_have_is_its_usual_one() -> None:
    assert doctors({"severity": "info"}).severity is Severity.CRITICAL
    assert doctors({"severity": "purple"}).severity is Severity.CRITICAL


def test_a_report_that_is_sent_again_is_the_same_event() -> None:
    assert doctors().id == doctors().id
    assert doctors({"monitor_event_id": "7"}).id == doctors({"monitor_event_id": "7"}, time="2026-11-22T17:00:00Z").id
    assert doctors().id != doctors(time="2026-11-22T17:00:00Z").id
    assert doctors().id != doctors(type="compute.host.nic.error").id


def test_alertmanagers_shape() -> None:
    event = alert()
    assert (event.definition.id, event.managed_object) == ("external.reported", "host/n7")
    assert event.specific_problem == "DiskFull 2b1a"
    assert event.severity is Severity.CRITICAL
    assert event.event_us == NOW_US - 876_544
    assert event.details == ("root file system is full",)


def test_an_alert_that_is_resolved_is_cleared() -> None:
    over = alert(status="resolved", endsAt="2026-11-22T17:59:59.5Z")
    assert over.severity is Severity.CLEARED
    assert (over.key, over.event_us) == (alert().key, NOW_US - 500_000)


def test_alertmanagers_repetition_is_the_same_event() -> None:
    assert alert().id == alert(annotations={"summary": "still full"}).id
    assert alert().id != alert(startsAt="2026-11-22T17:00:00Z").id
    assert alert().id != alert(fingerprint="2b1b").id
    assert alert().key != alert(fingerprint="2b1b").key


@pytest.mark.parametrize(
    ("labels", "about"),
    [({"alertname": "a"}, "alert/a"), ({}, "alert/alert"), ({"instance": "n1"}, "host/n1"),
     ({"instance": "[fd00::1]:9100"}, "host/[fd00::1]")],
)  # fmt: skip
def test_what_an_alert_is_about(labels: dict[str, str], about: str) -> None:
    assert alert(labels).managed_object == about


def test_an_alert_that_is_named_as_an_entry_is_of_it() -> None:
    assert alert({"alertname": "compute.host.down", "instance": "n7:1"}).definition.id == "compute.host.down"
    assert alert({"alertname": "compute.host.down"}).definition.id == "external.reported", "it names no host"


@pytest.mark.parametrize(
    "body",
    [{"version": "3", "alerts": []}, {"version": "4"}, {"version": "4", "alerts": [{**ALERT, "status": "pending"}]},
     {"version": "4", "alerts": [ALERT] * 1001}, {"version": "4", "alerts": [{**ALERT, "labels": {"a": 1}}]}],
)  # fmt: skip
def test_what_is_no_webhook_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Webhook).validate_json(json.dumps(body))


TEXT = st.text(max_size=40)


@given(st.dictionaries(TEXT, TEXT, max_size=4), st.dictionaries(st.sampled_from(alertmanager.ABOUT), TEXT))
def test_whatever_an_alert_says_can_be_kept(labels: dict[str, str], annotations: dict[str, str]) -> None:
    event = alert(labels, annotations=annotations)
    texts = (event.managed_object, event.specific_problem, *event.details)
    assert all(text.isprintable() and len(text) <= 1024 for text in texts)
    assert len(event.managed_object) <= 255


def test_a_word_means_the_same_in_all_systems() -> None:
    for system in TABLE.values():
        for found, words in system.items():
            assert {severity(word) for word in words} <= {found}


@pytest.mark.parametrize(("word", "found"), [(" Critical ", Severity.CRITICAL), ("", Severity.INDETERMINATE)])
def test_how_a_word_is_spelt_does_not_count(word: str, found: Severity) -> None:
    assert severity(word) is found

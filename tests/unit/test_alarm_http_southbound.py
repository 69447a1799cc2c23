"""What Alertmanager and the nodes post: taken in once, or refused with what is wrong and where."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alarm_service import service, settings
from starlette.testclient import TestClient

ALERT = {
    "status": "firing", "labels": {"alertname": "DiskFull", "severity": "high", "instance": "n7:9100"},
    "startsAt": "2026-11-22T10:00:00.123456789Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "2b1a",
}  # fmt: skip
RECORD = {"id": "1-1-1", "at_us": 1_700_000_000_000_000, "kind": "node", "node": "c2", "desc": "lost"}


def webhook(*alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": "4", "receiver": "vimha", "groupKey": "{}", "truncatedAlerts": 0, "alerts": [*alerts], **more}


def report(*records: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"node": "c1", "records": [*records], **more}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder: Path = tmp_path_factory.mktemp("service")
    with service(settings(folder, cluster={"single": ["vip"]})) as made:
        yield made


def active(client: TestClient, about: str) -> list[tuple[str, str, int]]:
    found = client.get("/vimfm/v1/alarms", params={"filter": f"(eq,managedObjectId,{about})"}).json()
    return [(each["alarmDefinitionId"], each["perceivedSeverity"], each["eventCount"]) for each in found]


def test_alerts_are_raised_repeated_and_resolved(client: TestClient) -> None:
    assert client.post("/alertmanager", json=webhook(ALERT)).json() == {"events": 1, "notifications": 1}
    assert client.post("/alertmanager", json=webhook(ALERT)).json() == {"events": 1, "notifications": 0}
    assert active(client, "host/n7") == [("external.reported", "MAJOR", 1)]
    over = {**ALERT, "status": "resolved", "endsAt": "2026-11-22T10:05:00Z"}
    assert client.post("/alertmanager", json=webhook(over)).json()["notifications"] == 1
    assert active(client, "host/n7") == []


def test_a_notification_without_alerts_is_none(client: TestClient) -> None:
    assert client.post("/alertmanager", json=webhook()).json() == {"events": 0, "notifications": 0}


def test_records_are_taken_in_once(client: TestClient) -> None:
    assert client.post("/pacemaker", json=report(RECORD)).json()["notifications"] == 1
    assert client.post("/pacemaker", json=report(RECORD)).json()["notifications"] == 0
    assert active(client, "host/c2") == [("control.node.lost", "CRITICAL", 1)]


@pytest.mark.parametrize(
    "record",
    [{"kind": "novelty"}, {"kind": "resource", "rc": "nonsense", "target_rc": "", "task": "monitor", "rsc": "vip"},
     {"kind": "attribute", "attribute_name": "vimha-ports", "attribute_value": "\u0662"}, {"unknown": [1, {}]},
     {"at_us": 9_000_000_000_000_000}, {"desc": "two\nlines\0"}, {"kind": "lost"},
     {"kind": "resource", "task": "stop", "rsc": "x" * 100, "node": "y" * 100, "rc": "1"}],
)  # fmt: skip
def test_a_record_of_pacemakers_is_never_a_reason_to_keep_it_in_the_spool(
    client: TestClient, record: dict[str, Any]
) -> None:
    odd = {**RECORD, "id": f"odd {record}"[:128], "node": "c7", **record}
    assert client.post("/pacemaker", json=report(odd)).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [("/alertmanager", webhook({**ALERT, "startsAt": "soon"}), "alerts.0: 'soon'"),
     ("/alertmanager", webhook(ALERT, {**ALERT, "status": "burning"}), "alerts.1.status"),
     ("/alertmanager", webhook(ALERT, version="3"), "version"),
     ("/alertmanager", webhook({**ALERT, "startsAt": "2999-01-01T00:00:00Z"}), "future"),
     ("/alertmanager", webhook(*([ALERT] * 1001)), "alerts"),
     ("/pacemaker", report({**RECORD, "at_us": -1}), "records.0.at_us"),
     ("/pacemaker", report({**RECORD, "id": ""}), "records.0.id"),
     ("/pacemaker", report({**RECORD, "node": "a\nb"}), "records.0.node"),
     ("/pacemaker", report(), "records"), ("/pacemaker", report(*([RECORD] * 1001)), "records"),
     ("/pacemaker", report(RECORD, node=""), "node"), ("/pacemaker", report(RECORD, extra=1), "extra"),
     ("/pacemaker", [], "body")],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(client: TestClient, path: str, body: Any, said: str) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/alertmanager", "/pacemaker"])
def test_other_methods_and_contents_are_refused(client: TestClient, path: str) -> None:
    assert client.put(path, json={}).status_code == 405
    assert client.post(path, content="a=b", headers={"Content-Type": "text/plain"}).status_code == 415
    assert client.post(path, content=b"{" * 2_000_000, headers={"Content-Type": "application/json"}).status_code == 413
    deep = b"[" * 500_000
    assert client.post(path, content=deep, headers={"Content-Type": "application/json"}).status_code == 400
    bad = b'{"node": "\xff"}'
    assert client.post(path, content=bad, headers={"Content-Type": "application/json"}).status_code == 400


def test_one_bad_alert_leaves_nothing_of_its_notification(client: TestClient) -> None:
    other = {**ALERT, "labels": {"instance": "n8:1"}, "fingerprint": "2b1c"}
    assert client.post("/alertmanager", json=webhook(other, {**ALERT, "startsAt": "?"})).status_code == 400
    assert active(client, "host/n8") == []

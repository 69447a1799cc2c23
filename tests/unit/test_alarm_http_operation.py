"""What operators and consoles ask beside alarms: versions, retention, nodes, the stream, metrics, health, OpenAPI."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from alarm_service import (
    MERGE,
    OPERATOR,
    READER,
    answers,
    bearer,
    event,
    free_port,
    raised,
    served,
    service,
    settings,
    until,
)
from starlette.testclient import TestClient

from vimha.alarms.config import Settings
from vimha.alarms.service import stream
from vimha.alarms.store.retention import Retention
from vimha.alarms.store.store import Store
from vimha.alarms.words import Severity

CONFIGURATION = "/O2ims_infrastructureMonitoring/v1/alarmServiceConfiguration"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with service(settings(tmp_path, url="https://vip:8780/")) as made:
        yield made


def test_versions_in_both_places(client: TestClient) -> None:
    for place in ("/vnffm/api_versions", "/vnffm/v1/api_versions"):
        answer = client.get(place)
        assert answer.json() == {
            "uriPrefix": "https://vip:8780/vnffm/v1/",
            "apiVersions": [{"version": "1.3.0", "isDeprecated": False}],
        }
        assert answer.headers["version"] == "1.3.0"


def test_links_are_made_of_the_url_that_is_set(client: TestClient) -> None:
    raised(client)
    link = client.get("/nsfm/v1/alarms", headers={"Host": "evil.example"}).json()[0]["_links"]["self"]["href"]
    assert link.startswith("https://vip:8780/nsfm/v1/alarms/")


def test_retention_is_shown_set_and_changed(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    store = Store.open(chosen.store)
    with service(chosen, store) as client:
        assert client.get(CONFIGURATION).json() == {"retentionPeriod": 14, "retentionCounts": {}}
        wanted = {"retentionPeriod": 30, "retentionCounts": {"MINOR": 1000, "WARNING": 10}}
        assert client.put(CONFIGURATION, json=wanted).json() == wanted
        changed = client.patch(CONFIGURATION, json={"retentionCounts": {"WARNING": None, "MAJOR": 5}}, headers=MERGE)
        assert changed.json() == {"retentionPeriod": 30, "retentionCounts": {"MINOR": 1000, "MAJOR": 5}}
        assert client.patch(CONFIGURATION, json={"retentionPeriod": 7}, headers=MERGE).json()["retentionPeriod"] == 7
        assert store.retention() == Retention(days=7, most={Severity.MINOR: 1000, Severity.MAJOR: 5})
    store.close()


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("PUT", {}, 400), ("PUT", {"retentionPeriod": 0}, 400), ("PUT", {"retentionPeriod": "14"}, 400),
        ("PUT", {"retentionPeriod": 14.5}, 400), ("PUT", {"retentionPeriod": 1, "other": 1}, 400),
        ("PUT", {"retentionPeriod": 1, "retentionCounts": {"BAD": 1}}, 400),
        ("PUT", {"retentionPeriod": 1, "retentionCounts": {"MAJOR": -1}}, 400),
        ("PUT", {"retentionPeriod": 10**30}, 400), ("PATCH", {"retentionPeriod": None}, 400), ("POST", {}, 405),
        ("DELETE", {}, 405),
    ],
)  # fmt: skip
def test_retention_that_cannot_be(client: TestClient, method: str, body: Any, status: int) -> None:
    headers = MERGE if method == "PATCH" else {}
    assert client.request(method, CONFIGURATION, json=body, headers=headers).status_code == status
    assert client.get(CONFIGURATION).json()["retentionPeriod"] == 14


def test_the_health_of_nodes(tmp_path: Path) -> None:
    with service(settings(tmp_path, cluster={"nodes": {"n1": {"rack": "r1"}}})) as client:
        raised(client, "c1")
        raised(client, "c2", alarmDefinitionId="compute.host.nic.error", perceivedSeverity="MINOR")
        found = {each["host"]: each for each in client.get("/vimfm/v1/nodes").json()}
        assert {host: each["health"] for host, each in found.items()} == {"c1": "FAILED", "c2": "DEGRADED", "n1": "OK"}
        c1 = client.get("/vimfm/v1/nodes/c1/health").json()
        assert c1 == found["c1"]
        assert (c1["faultDomains"], len(c1["alarms"]), c1["since"]) == (
            {"HOST_HW": "FAILED"}, 1, client.get(c1["alarms"][0]["href"]).json()["alarmRaisedTime"],
        )  # fmt: skip
        nobody = client.get("/vimfm/v1/nodes/no-such/health").json()
        assert nobody == {"host": "no-such", "health": "OK", "faultDomains": {}, "alarms": []}


def test_metrics(client: TestClient) -> None:
    raised(client)
    client.get("/nothing/x/y")
    text = client.get("/metrics", headers=bearer(READER)).text
    assert "vimha_alarms_events_total 1.0" in text
    assert 'vimha_alarms_http_requests_total{method="POST",resource="events",status="200"} 1.0' in text
    assert 'resource="other",status="404"' in text
    assert 'vimha_alarms_active{ack="UNACKNOWLEDGED",severity="CRITICAL"} 1.0' in text
    assert "vimha_alarms_delivery_delivered_total 0.0" in text and "vimha_alarms_streams 0.0" in text


def test_openapi_has_every_route_and_its_body(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert "/vimfm/v1/alarms/{alarm_id}/escalate" in document["paths"] and "/vnffm/v1/alarms" not in document["paths"]
    references = set(json.dumps(document).split('"#/components/schemas/')[1:])
    named = {each.partition('"')[0] for each in references}
    assert named <= set(document["components"]["schemas"]) and "FmSubscriptionRequest" in named
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert document["paths"]["/events"]["post"]["security"]


@contextmanager
def events_of(port: int, **headers: str) -> Iterator[Iterator[tuple[str, str, Any]]]:
    """The stream's events: id, name and data."""
    url = f"http://127.0.0.1:{port}/vimfm/v1/stream"
    with httpx.stream("GET", url, headers={**bearer(READER), **headers}, timeout=10) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")

        def read() -> Iterator[tuple[str, str, Any]]:
            found: dict[str, str] = {}
            for line in answer.iter_lines():
                if line.startswith(":"):
                    continue
                if not line and "event" in found:
                    yield found["id"], found["event"], json.loads(found["data"])
                    found = {}
                name, colon, value = line.partition(": ")
                if colon:
                    found[name] = value

        yield read()


def post(port: int, *events: dict[str, Any]) -> None:
    url = f"http://127.0.0.1:{port}/events"
    assert httpx.post(url, json={"events": events}, headers=bearer(OPERATOR), timeout=10).status_code == 200


def test_the_stream_tells_what_happens_and_what_was_missed(tmp_path: Path) -> None:
    with served(settings(tmp_path)) as port:
        with events_of(port) as live:
            post(port, event("1"))
            first = next(live)
            assert (first[1], first[2]["managedObjectId"]) == ("AlarmNotification", "host/c1")
        post(port, event("2", severity="CLEARED"), event("3", "c2"))
        with events_of(port, **{"Last-Event-ID": first[0]}) as missed:
            assert [next(missed)[1] for _ in range(2)] == ["AlarmClearedNotification", "AlarmNotification"]
        with events_of(port, **{"Last-Event-ID": "999"}) as ahead:
            assert next(ahead)[1] == "AlarmListRebuiltNotification"
        bad = httpx.get(
            f"http://127.0.0.1:{port}/vimfm/v1/stream", headers={**bearer(READER), "Last-Event-ID": "x"}, timeout=10
        )
        assert bad.status_code == 400


def test_streams_are_bounded_and_end_with_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST", 1)
    with served(settings(tmp_path)) as port:
        url, headers = f"http://127.0.0.1:{port}/vimfm/v1/stream", bearer(READER)
        with httpx.stream("GET", url, headers=headers, timeout=10) as first:
            assert first.status_code == 200
            assert httpx.get(url, headers=headers, timeout=10).status_code == 503
        until(lambda: "vimha_alarms_streams 0.0" in httpx.get(f"http://127.0.0.1:{port}/metrics", headers=headers).text)


def test_the_process_serves_and_ends(tmp_path: Path) -> None:
    chosen: Settings = settings(tmp_path)
    config = tmp_path / "alarms.yaml"
    config.write_text(
        f"auth: {{files: [{chosen.auth.files[0]}]}}\nstore: {chosen.store}\nlisten: {{port: {free_port()}}}\n"
    )
    port = int(config.read_text().rpartition("port: ")[2].strip("}\n"))
    command = [sys.executable, "-m", "vimha_cli.main", "alarms", "serve", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: answers(port) or process.poll() is not None, 60)
        with httpx.stream("GET", f"http://127.0.0.1:{port}/vimfm/v1/stream", headers=bearer(READER), timeout=10):
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in said

"""Bad input over HTTP: each is a ProblemDetails with the right status, and the service goes on."""

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from alarm_service import OPERATOR, bearer, event, served, service, settings, until
from starlette.testclient import TestClient

from vimha.alarms import times
from vimha.alarms.service.limits import MOST_BYTES
from vimha.alarms.store.errors import FullError, StoreError
from vimha.alarms.store.store import Store
from vimha.alarms.times import SECOND

JSON = {"Content-Type": "application/json"}
MANY = {"events": [event(str(number)) for number in range(1001)]}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with service(settings(tmp_path)) as made:
        yield made
        assert made.get("/healthz").status_code == 200


def problem(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status and body["title"] and "Traceback" not in answer.text
    return str(body["detail"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Invalid JSON"),
        (b"{", "Invalid JSON"),
        (b'{"events": [1,]}', "Invalid JSON"),
        (b"nonsense", "Invalid JSON"),
        (b'{"id": "\xff\xfe"}', "Invalid JSON"),
        (b'{"id": "\\ud800"}', "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (b'{"a":' * 100_000, "Invalid JSON"),
        (b"null", "the body"),
        (b"[]", "the body"),
        (b'"text"', "the body"),
        (b"{}", "id"),
        (b'{"events": []}', "at least 1"),
        (b'{"events": {}}', "events: Input should be a valid array"),
        (b'{"event": {}}', "event.time"),
        (b'{"event": 1, "events": 2}', "event"),
        (json.dumps(MANY).encode(), "at most 1000"),
    ],
)
def test_bodies_that_are_no_events(client: TestClient, content: bytes, says: str) -> None:
    assert says in problem(client.post("/events", content=content, headers=JSON), 400)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"unknown": 1}, "unknown"),
        ({"id": 7}, "valid string"),
        ({"id": ""}, "at least 1"),
        ({"id": "x" * 129}, "at most 128"),
        ({"id": "a\r\nSet-Cookie: b"}, "printable"),
        ({"alarmDefinitionId": "no.such"}, "not in the catalogue"),
        ({"managedObjectId": "vm/1"}, "its managed object is host/<name>"),
        ({"managedObjectId": "host/" + "x" * 300}, "at most 255"),
        ({"managedObjectId": "host/\x00"}, "printable"),
        ({"perceivedSeverity": "MINOR"}, "its severity may be CRITICAL"),
        ({"perceivedSeverity": "BAD"}, "CRITICAL"),
        ({"perceivedSeverity": None}, "perceivedSeverity"),
        ({"eventTime": "yesterday"}, "no RFC 3339 time"),
        ({"eventTime": "2026-01-01T00:00:00.000"}, "no time zone"),
        ({"eventTime": "1969-12-31T23:59:59Z"}, "before 1970"),
        ({"eventTime": "9999-12-31T23:59:59Z"}, "in the future"),
        ({"eventTime": 1}, "valid string"),
        ({"faultDetails": ["x" * 2000]}, "at most 1024"),
        ({"faultDetails": ["x"] * 65}, "at most 64"),
        ({"faultDetails": "x"}, "faultDetails: Input should be a valid array"),
        ({"location": {"host": "c1", "floor": "3"}}, "floor"),
        ({"isRootCause": "yes"}, "boolean"),
        ({"detector": {"name": "x"}}, "valid string"),
    ],
)
def test_events_that_do_not_fit(client: TestClient, changes: dict[str, Any], says: str) -> None:
    good, bad = event("good"), {**event("bad"), **changes}
    assert says in problem(client.post("/events", json=bad), 400)
    detail = problem(client.post("/events", json={"events": [good, bad]}), 400)
    assert "events.1" in detail and says in detail
    assert client.get("/vimfm/v1/alarms").json() == []


def test_a_clock_that_is_a_little_ahead_loses_no_alarm(client: TestClient) -> None:
    ahead = times.text(times.now() + 600 * SECOND)
    assert client.post("/events", json=event("1", eventTime=ahead)).status_code == 200
    assert client.get("/vimfm/v1/alarms").json()[0]["eventTime"] < ahead
    assert client.post("/events", json=event("2", perceivedSeverity="CLEARED")).status_code == 200
    assert client.get("/vimfm/v1/alarms").json() == []


def test_texts_are_kept_as_they_are(client: TestClient) -> None:
    nasty = ["<script>alert(1)</script>", "'; DROP TABLE alarm; --", "{{7*7}} ${x} %s", "\u202etxt.exe"[1:], "ä 漢 😀"]
    client.post("/events", json=event("1", faultDetails=nasty))
    assert client.get("/vimfm/v1/alarms").json()[0]["faultDetails"] == nasty


@pytest.mark.parametrize("given", ["text/plain", "application/xml", "application/merge-patch+json", ""])
def test_other_content_types(client: TestClient, given: str) -> None:
    assert "application/json" in problem(client.post("/events", content=b"{}", headers={"Content-Type": given}), 415)


def test_a_long_body_is_refused_unread(client: TestClient) -> None:
    problem(client.post("/events", content=b" " * (MOST_BYTES + 1), headers=JSON), 413)
    problem(client.post("/events", content=iter([b" " * 65536] * 20), headers=JSON), 413)
    padded = b" " * 500_000 + json.dumps(event("1")).encode()
    assert client.post("/events", content=padded, headers=JSON).status_code == 200


def test_ten_megabytes_over_a_real_connection(tmp_path: Path) -> None:
    with served(settings(tmp_path)) as port:
        for headers in ({"Content-Length": str(10 << 20)}, {"Transfer-Encoding": "chunked"}):
            asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            asked.putrequest("POST", "/events")
            for name, value in {**bearer(OPERATOR), **JSON, **headers}.items():
                asked.putheader(name, value)
            asked.endheaders()
            for _ in range(17 if "Transfer-Encoding" in headers else 0):
                asked.send(b"10000\r\n" + b" " * 65536 + b"\r\n")
            answer = asked.getresponse()
            assert (answer.status, json.loads(answer.read())["status"]) == (413, 413)
            asked.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /healthz HTTP/9.9\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000, 431),
        (b"GET /" + b"x" * 200_000, 431),
    ],
)
def test_what_is_no_http(tmp_path: Path, sent: bytes, status: int) -> None:
    with served(settings(tmp_path)) as port:
        asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        asked.connect()
        asked.sock.sendall(sent)
        answer = http.client.HTTPResponse(asked.sock)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["status"]) == (status, status)
        asked.close()


def test_unknown_places(client: TestClient) -> None:
    for path in ("", "/v2/alarms", "/v1/alarms/", "/v1/alarms/%2e%2e/%2e%2e/etc", "/v1/%ff", "/v1/alarms/%ff%00"):
        problem(client.get(f"/vimfm{path}"), 404)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Version": "2.0.0"}, 406),
        ({"Version": "one"}, 400),
        ({"Accept": "text/html"}, 406),
        ({"Version": "1.3.0-impl:example.com:vimha:1"}, 200),
        ({"Accept": "text/html, application/json;q=0.5"}, 200),
    ],
)
def test_versions_and_types_that_are_not_served(client: TestClient, headers: dict[str, str], status: int) -> None:
    answer = client.get("/vimfm/v1/alarms", headers=headers)
    assert (answer.status_code, answer.headers["version"]) == (status, "1.3.0")
    assert client.get("/vimfm/v1/api_versions", headers={"Version": "2.0.0"}).status_code == 200


def test_who_goes_away_in_the_middle_of_a_body_is_no_defect(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with served(settings(tmp_path)) as port:
        head = f"POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer(OPERATOR)['Authorization']}\r\n"
        with socket.create_connection(("127.0.0.1", port)) as gone:
            gone.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
        url = f"http://127.0.0.1:{port}/metrics"
        counted = 'vimha_alarms_http_requests_total{method="POST",resource="events",status="400"} 1.0'
        until(lambda: counted in httpx.get(url, headers=bearer(OPERATOR), timeout=10).text)
    assert "Traceback" not in caplog.text
    assert "exception" not in caplog.text.lower()


class FakeBrokenStore(Store):
    """Raises what its `trouble` is, whatever is asked."""

    trouble: Exception = StoreError("the store does not take a write", "Is it up?")

    def submit(self, events: Any) -> Any:
        raise self.trouble

    def alarms(self, *_: Any, **__: Any) -> Any:
        raise self.trouble

    def health(self) -> str:
        return str(self.trouble)


@pytest.mark.parametrize(
    ("trouble", "status"),
    [(StoreError("gone"), 503), (FullError("full"), 503), (RuntimeError("a defect with a secret"), 500)],
)
def test_a_store_in_trouble(tmp_path: Path, trouble: Exception, status: int) -> None:
    chosen = settings(tmp_path)
    store = FakeBrokenStore.open(chosen.store)
    store.trouble = trouble  # type: ignore[attr-defined]
    try:
        with service(chosen, store) as client:
            for answer in (client.get("/vimfm/v1/alarms"), client.post("/events", json=event("1"))):
                assert "secret" not in problem(answer, status)
                assert ("retry-after" in answer.headers) is (status == 503)
            if status == 503:
                problem(client.get("/healthz"), 503)
    finally:
        store.close()

"""Alarms over HTTP: listed, filtered, paged, acknowledged, escalated, cleared, in the history."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alarm_service import MERGE, OPERATOR, READER, bearer, event, raised, service, settings
from starlette.testclient import TestClient

from vimha.alarms.service import listing

ALARMS = "/vimfm/v1/alarms"
ACK = {"ackState": "ACKNOWLEDGED"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with service(settings(tmp_path)) as made:
        yield made


def test_an_event_becomes_an_alarm_in_every_tree(client: TestClient) -> None:
    alarm_id = raised(client)
    for tree in ("vimfm", "vnffm", "nsfm"):
        found = client.get(f"/{tree}/v1/alarms").json()
        assert [each["id"] for each in found] == [alarm_id]
        assert found[0]["_links"]["self"]["href"] == f"http://testserver/{tree}/v1/alarms/{alarm_id}"
    alarm = client.get(f"{ALARMS}/{alarm_id}").json()
    assert alarm == client.get(ALARMS).json()[0]
    assert (alarm["managedObjectId"], alarm["perceivedSeverity"], alarm["ackState"]) == (
        "host/c1", "CRITICAL", "UNACKNOWLEDGED",
    )  # fmt: skip


def test_the_same_event_again_changes_nothing(client: TestClient) -> None:
    said = event("once")
    first, second = (client.post("/events", json={"events": [said, said]}).json() for _ in range(2))
    assert (first["notifications"], second["notifications"]) == (1, 0)
    assert client.get(ALARMS).json()[0]["eventCount"] == 1


def test_doctor_s_shape_raises_and_clears(client: TestClient) -> None:
    def report(status: str, number: str) -> dict[str, object]:
        details = {"hostname": "c9", "status": status, "monitor": "m", "monitor_id": "m1", "monitor_event_id": number}
        return {"event": {"time": event("x")["eventTime"], "type": "compute.host.down", "details": details}}

    assert client.put("/events", json=report("down", "1")).status_code == 200
    assert client.get(ALARMS).json()[0]["managedObjectId"] == "host/c9"
    assert client.put("/events", json=report("up", "2")).status_code == 200
    assert client.get(ALARMS).json() == []
    assert client.get("/vimfm/v1/history").json()[0]["managedObjectId"] == "host/c9"


def test_pages_link_to_each_other_and_miss_none(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 3)
    client.post("/events", json={"events": [event(str(number), f"h{number}") for number in range(8)]})
    url, seen, pages = f"{ALARMS}?filter=(cont,managedObjectId,host/)&exclude_default", [], 0
    while url:
        answer = client.get(url)
        seen += [each["managedObjectId"] for each in answer.json()]
        url = answer.links.get("next", {}).get("url", "")
        pages += 1
    assert sorted(seen) == [f"host/h{number}" for number in range(8)]
    assert pages == 3


@pytest.mark.parametrize("marker", ["", "x", "bm8", "WzEsMl0", "WzEuNSwiYSJd", "a" * 300, "[[[["])
def test_a_marker_of_nobody_s_is_refused(client: TestClient, marker: str) -> None:
    answer = client.get(ALARMS, params={"nextpage_opaque_marker": marker})
    assert answer.status_code == 400


def test_filters_and_selectors(client: TestClient) -> None:
    raised(client, "c1", faultDetails=["fan"])
    raised(client, "c2")
    found = client.get(ALARMS, params={"filter": "(eq,location/host,c1);(gte,perceivedSeverity,MAJOR)"}).json()
    assert [each["location"]["host"] for each in found] == ["c1"]
    short = client.get(f"{ALARMS}?exclude_default").json()[0]
    assert "location" not in short and short["faultType"] == "compute.host.down"
    few = client.get(f"{ALARMS}?fields=faultDetails&filter=(eq,location/host,c1)").json()[0]
    assert few["faultDetails"] == ["fan"] and "location" not in few and few["id"]
    assert "faultDomain" not in client.get(f"{ALARMS}?exclude_fields=faultDomain").json()[0]


@pytest.mark.parametrize(
    "query",
    [
        "filter=(eq,nonsense,1)", "filter=", "fields=nonsense", "exclude_fields=id",
        "exclude_fields=detector&exclude_default", "all_fields&exclude_default", "fitler=(eq,id,1)",
        "filter=(eq,id,%00)", "filter=(eq,id,';DROP TABLE alarm;--)",
    ],
)  # fmt: skip
def test_what_a_list_cannot_be_asked_for(client: TestClient, query: str) -> None:
    answer = client.get(f"{ALARMS}?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_sql_in_a_filter_is_a_text(client: TestClient) -> None:
    raised(client)
    found = client.get(ALARMS, params={"filter": "(eq,managedObjectId,'x'' OR 1=1 --')"})
    assert (found.status_code, found.json()) == (200, [])


def test_the_etag_is_the_version(client: TestClient) -> None:
    url = f"{ALARMS}/{raised(client)}"
    etag = client.get(url).headers["etag"]
    assert client.get(url, headers={"If-None-Match": f'"0", {etag}'}).status_code == 304
    assert client.get(url, headers={"If-None-Match": '"0"'}).status_code == 200
    assert client.patch(url, json=ACK, headers={**MERGE, "If-Match": '"999"'}).status_code == 412
    assert client.patch(url, json=ACK, headers={**MERGE, "If-Match": "mine"}).status_code == 412
    done = client.patch(url, json=ACK, headers={**MERGE, "If-Match": etag})
    assert (done.status_code, done.json()) == (200, ACK)
    assert done.headers["etag"] == client.get(url).headers["etag"] != etag


def test_acknowledged_once_and_by_whom(client: TestClient) -> None:
    url = f"{ALARMS}/{raised(client)}"
    assert client.patch(url, json=ACK, headers=MERGE).status_code == 200
    again = client.patch(url, json=ACK, headers=MERGE)
    assert again.status_code == 409 and "ACKNOWLEDGED already" in again.json()["detail"]
    assert client.get(url).json()["acknowledgedBy"] == "operator"
    assert client.patch(url, json={"ackState": "UNACKNOWLEDGED"}, headers=MERGE).status_code == 200
    assert "acknowledgedBy" not in client.get(url).json()


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"ackState": "ACKNOWLEDGED"}', {"Content-Type": "application/json"}, 415),
        (b'{"ackState": "SEEN"}', MERGE, 400),
        (b'{"ackState": 1}', MERGE, 400),
        (b'{"ackState": "ACKNOWLEDGED", "perceivedSeverity": "MINOR"}', MERGE, 400),
        (b"{}", MERGE, 400),
        (b"[]", MERGE, 400),
        (b"", MERGE, 400),
    ],
)
def test_only_the_acknowledgement_can_be_changed(
    client: TestClient, body: bytes, headers: dict[str, str], status: int
) -> None:
    url = f"{ALARMS}/{raised(client)}"
    assert client.patch(url, content=body, headers=headers).status_code == status
    assert client.get(url).json()["ackState"] == "UNACKNOWLEDGED"


def test_escalated_and_cleared(client: TestClient) -> None:
    url = f"{ALARMS}/{raised(client, 'c1', alarmDefinitionId='compute.host.nic.error', perceivedSeverity='MAJOR')}"
    proposal = {"proposedPerceivedSeverity": "CRITICAL"}
    assert client.post(f"{url}/escalate", json=proposal).status_code == 204
    assert client.get(url).json()["perceivedSeverity"] == "CRITICAL"
    assert client.post(f"{url}/escalate", json=proposal).status_code == 409
    assert client.post(f"{url}/escalate", json={"proposedPerceivedSeverity": "CLEARED"}).status_code == 400
    assert client.post(f"{url}/clear").status_code == 204
    assert client.post(f"{url}/clear").status_code == 409
    assert client.get(ALARMS).json() == []
    assert client.get(url).json()["perceivedSeverity"] == "CLEARED"


def test_the_history_by_its_range_and_last_severity(client: TestClient) -> None:
    for host in ("c1", "c2"):
        client.post(f"{ALARMS}/{raised(client, host)}/clear")
    second, first = client.get("/vimfm/v1/history").json()
    middle = second["alarmRaisedTime"]

    def hosts(**query: str) -> list[str]:
        return [each["location"]["host"] for each in client.get("/vimfm/v1/history", params=query).json()]

    assert hosts(to=middle) == ["c1"]
    assert hosts(**{"from": middle}) == ["c2"]
    assert hosts(**{"from": middle.replace("Z", "+00:00")}) == ["c2"]
    assert hosts(filter="(eq,perceivedSeverity,CRITICAL)", to=middle) == ["c1"]
    assert hosts(filter=f"(gte,alarmClearedTime,{second['alarmClearedTime']})") == ["c2"]
    for query in ({"from": "yesterday"}, {"from": middle, "to": first["alarmRaisedTime"]}, {"since": middle}):
        assert client.get("/vimfm/v1/history", params=query).status_code == 400


def test_nobody_s_alarm(client: TestClient) -> None:
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/clear")):
        answer = client.request(method, f"{ALARMS}/no-such{path}", json=ACK, headers=MERGE)
        assert (answer.status_code, answer.json()["status"]) == (404, 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/alarms", "GET"), ("DELETE", "/alarms", "GET"), ("POST", "/alarms", "GET"),
        ("PUT", "/alarms/x", "GET, PATCH"), ("POST", "/alarms/x", "GET, PATCH"), ("GET", "/alarms/x/escalate", "POST"),
        ("PUT", "/subscriptions", "GET, POST"), ("PATCH", "/subscriptions/x", "DELETE, GET"),
        ("POST", "/subscriptions/x", "DELETE, GET"), ("POST", "/api_versions", "GET"),
    ],
)  # fmt: skip
def test_methods_that_sol_does_not_know(client: TestClient, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, f"/vnffm/v1{path}", headers={**bearer(OPERATOR)})
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["title"] == "Method Not Allowed"


def test_a_reader_reads_only(client: TestClient) -> None:
    url = f"{ALARMS}/{raised(client)}"
    assert client.get(url, headers=bearer(READER)).status_code == 200
    assert client.patch(url, json=ACK, headers={**MERGE, **bearer(READER)}).status_code == 403
    assert client.post("/events", json=event("x"), headers=bearer(READER)).status_code == 403

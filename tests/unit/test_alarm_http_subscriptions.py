"""Subscriptions over HTTP: tested, shown without secrets, told; and what a filter means."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alarm_service import Receiver, event, raised, receiver, service, settings, until
from starlette.testclient import TestClient

from vimha.alarms import sol
from vimha.alarms.catalogue import definitions
from vimha.alarms.model import Alarm, Location
from vimha.alarms.service import subscriptions
from vimha.alarms.store.store import Store
from vimha.alarms.subscriptions import Filter, FmSubscriptionRequest, digest, wants
from vimha.alarms.words import NotificationType, Severity

URL = "/vimfm/v1/subscriptions"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with service(settings(tmp_path)) as made:
        yield made


@pytest.fixture
def subscriber() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def test_subscribed_told_and_unsubscribed(client: TestClient, subscriber: Receiver) -> None:
    made = client.post(URL, json={"callbackUri": subscriber.url, "filter": {"minSeverity": "MAJOR"}})
    assert made.status_code == 201
    place = made.headers["location"]
    assert made.json() == client.get(place).json() == client.get(URL).json()[0]
    alarm_id = raised(client)
    until(lambda: subscriber.got)
    told = subscriber.got[0]
    assert (told["notificationType"], told["alarm"]["id"]) == ("AlarmNotification", alarm_id)
    assert told["_links"]["subscription"]["href"].endswith(f"/vimfm/v1/subscriptions/{made.json()['id']}")
    assert client.delete(place).status_code == 204
    assert client.delete(place).status_code == client.get(place).status_code == 404


def test_credentials_are_never_shown(client: TestClient, subscriber: Receiver) -> None:
    secret = {"authType": ["BASIC"], "paramsBasic": {"userName": "u-secret", "password": "p-secret"}}
    made = client.post(URL, json={"callbackUri": subscriber.url, "authentication": secret})
    assert made.status_code == 201
    shown = made.text + client.get(URL).text + client.get(made.headers["location"]).text
    assert "secret" not in shown and "authentication" not in shown


def test_a_duplicate_is_shown_the_first(client: TestClient, subscriber: Receiver) -> None:
    first, second = (
        client.post(URL, json={"callbackUri": subscriber.url, "filter": {"hosts": hosts}})
        for hosts in (["a", "b"], ["b", "a"])
    )
    assert (second.status_code, second.headers["location"]) == (303, first.headers["location"])
    other = client.post(URL, json={"callbackUri": subscriber.url, "filter": {"hosts": ["a"]}})
    assert other.status_code == 201


@pytest.mark.parametrize("answer", [200, 302, 404, 500])
def test_a_callback_must_pass_its_test(client: TestClient, subscriber: Receiver, answer: int) -> None:
    subscriber.test = answer
    made = client.post(URL, json={"callbackUri": subscriber.url})
    assert made.status_code == (201 if answer == 200 else 422)
    assert len(client.get(URL).json()) == (1 if answer == 200 else 0)


def test_private_callbacks_are_refused_unless_allowed(tmp_path: Path, subscriber: Receiver) -> None:
    with service(settings(tmp_path, delivery={"allow_http": True})) as client:
        for url in (subscriber.url, "http://169.254.169.254/x", "http://[::1]/", "http://[::ffff:127.0.0.1]:1/x"):
            answer = client.post(URL, json={"callbackUri": url})
            assert answer.status_code == 422, url
        assert client.get(URL).json() == []


def test_a_thousand_and_one(tmp_path: Path, subscriber: Receiver) -> None:
    chosen = settings(tmp_path)
    store = Store.open(chosen.store)
    for number in range(1000):
        store.subscribe(f"{number:032}", {"callbackUri": subscriber.url, "filter": {"hosts": [f"h{number}"]}})
    with service(chosen, store) as client:
        assert client.post(URL, json={"callbackUri": subscriber.url}).status_code == 503
        assert len(client.get(URL).json()) == 1000
        raised(client, "h777")
        until(lambda: subscriber.got, 30)
        assert subscriber.got[0]["alarm"]["location"]["host"] == "h777"
    store.close()


def test_at_most_so_many(client: TestClient, subscriber: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MOST", 3)
    answers = [
        client.post(URL, json={"callbackUri": subscriber.url, "filter": {"hosts": [str(number)]}}).status_code
        for number in (1, 2, 3, 4, 1)
    ]
    assert answers == [201, 201, 201, 503, 303]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "callbackUri"),
        ({"callbackUri": "ftp://x/y"}, "http or https"),
        ({"callbackUri": "https://user:pw@x/"}, "no user"),
        ({"callbackUri": "https://x/\r\nHost: y"}, "printable ASCII"),
        ({"callbackUri": "https://x:99999/"}, "Port out of range"),
        ({"callbackUri": "https://x/" + "a" * 3000}, "at most 2048"),
        ({"callbackUri": 7}, "valid string"),
        ({"callbackUri": "https://x/", "filter": {"severity": ["MAJOR"]}}, "filter.severity"),
        ({"callbackUri": "https://x/", "filter": {"perceivedSeverities": ["BAD"]}}, "perceivedSeverities.0"),
        ({"callbackUri": "https://x/", "filter": {"hosts": ["h"] * 1001}}, "at most 1000"),
        ({"callbackUri": "https://x/", "authentication": {"authType": ["BASIC"]}}, "parameters of BASIC are missing"),
        ({"callbackUri": "https://x/", "verbosity": "LOUD"}, "verbosity"),
    ],
)
def test_requests_that_do_not_fit(client: TestClient, body: dict[str, Any], says: str) -> None:
    answer = client.post(URL, json=body)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]
    assert "pw" not in answer.json()["detail"]


def alarm(severity: Severity = Severity.MAJOR, **more: Any) -> dict[str, Any]:
    known = definitions()["compute.host.nic.error"]
    made = Alarm("i", known, "host/c1", severity, 1, 1, location=Location(host="c1"), **more)

    return json.loads(json.dumps(sol.body(made)))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({}, True),
        ({"perceivedSeverities": ["CRITICAL", "MAJOR"]}, True),
        ({"perceivedSeverities": ["CRITICAL"]}, False),
        ({"minSeverity": "MINOR"}, True),
        ({"minSeverity": "CRITICAL"}, False),
        ({"notificationTypes": ["AlarmClearedNotification"]}, False),
        ({"notificationTypes": []}, False),
        ({"faultyResourceTypes": ["STORAGE"]}, False),
        ({"eventTypes": ["COMMUNICATIONS_ALARM"], "faultDomains": ["HOST_HW"]}, True),
        ({"hosts": ["c2"]}, False),
        ({"faultTypes": ["compute.host.*"]}, True),
        ({"faultTypes": ["compute.host"]}, False),
        ({"managedObjects": ["host/c1"]}, True),
        ({"probableCauses": ["fileError"]}, False),
        ({"vnfInstanceSubscriptionFilter": {"vnfInstanceIds": ["c1"]}}, True),
        ({"vnfInstanceSubscriptionFilter": {"vnfInstanceIds": ["c1"], "vnfdIds": ["d"]}}, False),
        ({"vnfInstanceSubscriptionFilter": {}}, True),
    ],
)
def test_what_a_filter_lets_through(wanted: dict[str, Any], told: bool) -> None:
    assert wants(Filter.model_validate(wanted), NotificationType.ALARM, alarm()) is told


def test_a_clearing_is_told_whatever_the_severity_was() -> None:
    wanted = Filter.model_validate({"perceivedSeverities": ["CRITICAL"], "minSeverity": "MAJOR", "hosts": ["c1"]})
    assert wants(wanted, NotificationType.CLEARED, alarm(Severity.CLEARED))
    assert wants(wanted, NotificationType.REBUILT, {})


def test_the_health_of_nodes_is_for_who_names_it() -> None:
    body = {"host": "c1", "health": "FAILED"}
    assert not wants(None, NotificationType.NODE_HEALTH, body)
    wanted = {"notificationTypes": ["NodeHealthNotification"], "hosts": ["c1"]}
    assert wants(Filter.model_validate(wanted), NotificationType.NODE_HEALTH, body)
    assert not wants(Filter.model_validate({**wanted, "hosts": ["c2"]}), NotificationType.NODE_HEALTH, body)


def test_what_makes_two_subscriptions_one() -> None:
    def of(**more: Any) -> str:
        return digest(FmSubscriptionRequest.model_validate({"callbackUri": "https://x/", **more}))

    assert of() == of(filter={}) == of(verbosity="FULL")
    assert of(filter={"hosts": ["a", "b"]}) == of(filter={"hosts": ["b", "a"]}) != of()


def test_a_node_s_health_is_told_when_it_changes(client: TestClient, subscriber: Receiver) -> None:
    wanted = {"notificationTypes": ["NodeHealthNotification"]}
    client.post(URL, json={"callbackUri": subscriber.url, "filter": wanted})
    first = raised(client, "c1")
    until(lambda: len(subscriber.got) == 1)
    second = raised(client, "c1", alarmDefinitionId="compute.host.nic.error", perceivedSeverity="MINOR")
    client.post(f"/vimfm/v1/alarms/{first}/clear")
    until(lambda: len(subscriber.got) == 2)
    client.post(f"/vimfm/v1/alarms/{second}/clear")
    until(lambda: len(subscriber.got) == 3)
    told = [(each["notificationType"], each["host"], each["health"]) for each in subscriber.got]
    assert told == [("NodeHealthNotification", "c1", health) for health in ("FAILED", "DEGRADED", "OK")]
    assert subscriber.got[0]["faultDomains"] == {"HOST_HW": "FAILED"}


def test_what_changed_while_nobody_watched_is_told(tmp_path: Path, subscriber: Receiver) -> None:
    chosen = settings(tmp_path)
    store = Store.open(chosen.store)
    wanted = {"callbackUri": subscriber.url, "filter": {"notificationTypes": ["NodeHealthNotification"]}}
    with service(chosen, store) as client:
        client.post(URL, json=wanted)
        first = raised(client, "c1")
        until(lambda: len(subscriber.got) == 1)
    store.clear(first, "somebody")
    with service(chosen, store):
        until(lambda: len(subscriber.got) == 2)
    store.close()
    assert [each["health"] for each in subscriber.got] == ["FAILED", "OK"]


def test_an_alarm_that_nobody_wants_is_told_nobody(client: TestClient, subscriber: Receiver) -> None:
    client.post(URL, json={"callbackUri": subscriber.url, "filter": {"hosts": ["c2"]}})
    client.post("/events", json={"events": [event("1", "c1"), event("2", "c2"), event("3", "c3")]})
    until(lambda: subscriber.got)
    assert [each["alarm"]["location"]["host"] for each in subscriber.got] == ["c2"]

"""The web page as a browser without JavaScript has it: what it shows, to whom, and what it refuses."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from alarm_service import READER, bearer, event, raised, service, settings
from starlette.testclient import TestClient

from vimha.alarms.service.pages import routes
from vimha.alarms.service.pages.timeline import chart
from vimha.alarms.store.overview import Span
from vimha.alarms.times import SECOND
from vimha.alarms.words import Severity

EVIL = """<script>alert(1)</script>"'><img src=x onerror=alert(2)>{{7*7}}&lt;"""
HOUR = 3600 * SECOND


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with service(settings(tmp_path)) as made:
        yield made


class Elements(HTMLParser):
    """All elements of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


def objects(page: str) -> list[str]:
    """The managed objects in a list of alarms, from above to below."""
    return re.findall(r'class="open" id="[^"]*" href="[^"]*">([^<]*)</a>', page)


def fields(client: TestClient, alarm_id: str, do: str, path: str = "/") -> dict[str, str]:
    """What the form of a page would send."""
    page = client.get(path).text
    form = page[page.index(f'action="/alarms/{alarm_id}"') :]
    sent = dict(re.findall(r'name="(version|token|back)" value="([^"]*)"', form[: form.index("</form>")]))
    return {**sent, "do": do}


def state(client: TestClient, alarm_id: str) -> str:
    return str(client.get(f"/vimfm/v1/alarms/{alarm_id}").json()["ackState"])


def test_all_is_well_is_said_only_when_it_is(client: TestClient) -> None:
    assert "All is well" in client.get("/").text
    raised(client)
    assert "All is well" not in client.get("/").text
    filtered = client.get("/", params={"host": "elsewhere"}).text
    assert "All is well" not in filtered and "No active alarm is like that" in filtered


def test_the_worst_come_first_and_the_newest_among_them(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for host, severity in [("a", "MAJOR"), ("b", "CRITICAL"), ("c", "WARNING"), ("d", "CRITICAL"), ("e", "MAJOR")]:
        raised(client, host, severity=severity, alarmDefinitionId="external.reported")
    wanted = ["host/d", "host/b", "host/e", "host/a", "host/c"]
    assert objects(client.get("/").text) == wanted
    for size in (1, 2, 3):
        monkeypatch.setattr(routes, "PAGE", size)
        found, path = [], "/"
        while path:
            page = client.get(path).text
            found += objects(page)
            more = re.search(r'rel="next" href="([^"]*)"', page)
            path = "/" + more[1].replace("&amp;", "&") if more else ""
        assert found == wanted, size


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"severity": "CRITICAL"}, ["host/b"]),
    ({"severity": ["CRITICAL", "MINOR"]}, ["host/b", "host/c"]),
    ({"host": "a"}, ["host/a"]),
    ({"type": "compute.host.nic.error"}, ["host/c"]),
    ({"type": "EQUIPMENT_ALARM", "host": "b"}, ["host/b"]),
    ({"type": "QOS_ALARM"}, []),
    ({"domain": "VM"}, []),
    ({"ack": "ACKNOWLEDGED"}, ["host/a"]),
    ({"text": "HOST/A"}, ["host/a"]),
    ({"text": "Fan Tray"}, ["host/b"]),
    ({"text": "100%"}, ["host/c"]),
    ({"text": "' OR 1=1 --"}, []),
    ({"text": "", "host": "", "type": "", "domain": "", "ack": ""}, ["host/b", "host/a", "host/c"]),
]


def test_filters(client: TestClient) -> None:
    first = raised(client, "a", severity="MAJOR", alarmDefinitionId="external.reported")
    raised(client, "b", faultDetails=["the fan tray is out"])
    raised(client, "c", severity="MINOR", alarmDefinitionId="compute.host.nic.error", specificProblem="load 100%")
    client.post(f"/alarms/{first}", data=fields(client, first, "acknowledged"))
    for query, wanted in FILTERS:
        assert objects(client.get("/", params=query).text) == wanted, query


def test_a_wrong_address_is_told_as_a_page(client: TestClient) -> None:
    for query in ("severity=WORST", "domain=x", "unknown=1", "after=x", "after=MAJOR.x", "host=" + "x" * 300):
        answer = client.get(f"/?{query}")
        assert answer.status_code == 400, query
        assert answer.headers["content-type"].startswith("text/html") and 'id="problem"' in answer.text


def test_texts_of_alarms_are_never_markup(client: TestClient) -> None:
    texts = {"specificProblem": EVIL, "faultDetails": [EVIL], "detector": EVIL, "managedObjectId": f"host/{EVIL}"}
    alarm_id = raised(
        client, **texts, alarmDefinitionId="external.reported", location={"host": "c1", "site": EVIL, "rack": EVIL}
    )
    paths = ["/", f"/alarms/{alarm_id}", "/history", f"/?text={EVIL}", f"/?host={EVIL}", f"/history?text={EVIL}"]
    client.post(f"/vimfm/v1/alarms/{alarm_id}/clear")
    paths += ["/history", f"/alarms/{alarm_id}", "/alarms/" + EVIL.replace("/", "")[:60]]
    for path in paths:
        page = client.get(path).text
        elements = Elements(page)
        assert not elements.all("img") and len(elements.all("script")) == 1, path
        assert not [name for _, each in elements.found for name in each if name.startswith("on")], path
        assert "<script>alert" not in page and "49&amp;lt;" not in page, path


def test_nothing_runs_inline(client: TestClient) -> None:
    alarm_id = raised(client)
    for path in ("/", f"/alarms/{alarm_id}", "/history", "/alarms/none"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
        elements = Elements(answer.text)
        assert not elements.all("style") and not [each for _, each in elements.found if "style" in each]
        for each in (*elements.all("script"), *elements.all("link")):
            assert client.get(each.get("src") or each["href"]).status_code == 200


def test_who_asks_without_a_proof_is_asked_for_a_password(client: TestClient) -> None:
    for path in ("/", "/history", "/pages/alarms.js"):
        answer = client.get(path, headers={"Authorization": ""})
        assert answer.status_code == 401 and "Basic" in answer.headers["www-authenticate"]


def test_a_reader_sees_and_cannot_act(client: TestClient) -> None:
    alarm_id = raised(client)
    sent = fields(client, alarm_id, "acknowledged")
    page = client.get("/", headers=bearer(READER)).text
    assert objects(page) == ["host/c1"] and "<button>Filter" in page and 'class="act"' not in page
    assert client.post(f"/alarms/{alarm_id}", data=sent, headers=bearer(READER)).status_code == 403
    assert state(client, alarm_id) == "UNACKNOWLEDGED"


def test_acknowledge_take_back_and_clear(client: TestClient) -> None:
    alarm_id = raised(client)
    answer = client.post(f"/alarms/{alarm_id}", data=fields(client, alarm_id, "acknowledged", "/?host=c1"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/?host=c1&done=acknowledged")
    page = client.get(answer.headers["location"]).text
    assert "Acknowledged." in page and "by operator" in page
    client.post(f"/alarms/{alarm_id}", data=fields(client, alarm_id, "unacknowledged"))
    assert state(client, alarm_id) == "UNACKNOWLEDGED"
    answer = client.post(f"/alarms/{alarm_id}", data=fields(client, alarm_id, "cleared", f"/alarms/{alarm_id}"))
    page = client.get(answer.headers["location"]).text
    told = [
        "Alarm raised",
        "Acknowledged by operator",
        "Acknowledgement taken back",
        "Cleared; it was CRITICAL",
    ]
    assert [each for each in told if each not in page] == []
    assert objects(client.get("/history").text) == ["host/c1"] and "All is well" in client.get("/").text


def test_an_alarm_that_changed_since_it_was_shown_is_not_acknowledged(client: TestClient) -> None:
    alarm_id = raised(client, severity="MAJOR", alarmDefinitionId="external.reported")
    sent = fields(client, alarm_id, "acknowledged")
    client.post("/events", json=event("worse", "c1", "CRITICAL", alarmDefinitionId="external.reported"))
    answer = client.post(f"/alarms/{alarm_id}", data=sent)
    assert answer.status_code == 412 and 'id="problem"' in answer.text
    assert state(client, alarm_id) == "UNACKNOWLEDGED"


def test_a_form_that_is_none_of_ours_does_nothing(client: TestClient) -> None:
    alarm_id = raised(client)
    sent = fields(client, alarm_id, "acknowledged")
    for wrong in ({"token": ""}, {"token": "x"}, {"do": "x"}, {"version": "x"}, {"more": "x"}):
        answer = client.post(f"/alarms/{alarm_id}", data={**sent, **wrong})
        assert answer.status_code == (403 if "token" in wrong else 400), wrong
    assert client.post(f"/alarms/{alarm_id}", json=sent).status_code == 415
    assert state(client, alarm_id) == "UNACKNOWLEDGED"


def test_a_form_without_the_cookie_does_nothing(client: TestClient) -> None:
    alarm_id = raised(client)
    sent = fields(client, alarm_id, "acknowledged")
    client.cookies.clear()
    assert client.post(f"/alarms/{alarm_id}", data={**sent, "token": ""}).status_code == 403
    assert client.post(f"/alarms/{alarm_id}", data=sent).status_code == 403
    assert state(client, alarm_id) == "UNACKNOWLEDGED"


def test_what_a_foreign_page_has_a_browser_send_does_nothing(client: TestClient) -> None:
    alarm_id = raised(client)
    sent = fields(client, alarm_id, "acknowledged")
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"},
    ):
        assert client.post(f"/alarms/{alarm_id}", data=sent, headers=headers).status_code == 403, headers
        assert client.post(f"/vimfm/v1/alarms/{alarm_id}/clear", headers=headers).status_code == 403, headers
    assert state(client, alarm_id) == "UNACKNOWLEDGED" and objects(client.get("/").text)


def test_our_own_page_and_clients_that_are_no_browsers_may_act(client: TestClient) -> None:
    alarm_id = raised(client)
    ours: list[dict[str, str]] = [{}, {"Origin": "http://testserver"}, {"Sec-Fetch-Site": "same-origin"}]
    for headers in ours:
        for do in ("acknowledged", "unacknowledged"):
            sent = fields(client, alarm_id, do)
            assert client.post(f"/alarms/{alarm_id}", data=sent, headers=headers).status_code == 303, headers
    client.cookies.clear()
    assert client.post(f"/vimfm/v1/alarms/{alarm_id}/clear").status_code == 204


def test_the_way_back_leads_nowhere_else(client: TestClient) -> None:
    alarm_id = raised(client)
    sent = fields(client, alarm_id, "acknowledged")
    for back in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/x\r\nSet-Cookie: a=b",
        "/\n",
        "/metrics",
    ):
        assert client.post(f"/alarms/{alarm_id}", data={**sent, "back": back}).status_code == 400, back


def test_the_history_of_a_time(client: TestClient) -> None:
    alarm_id = raised(client)
    client.post(f"/vimfm/v1/alarms/{alarm_id}/clear")
    page = client.get("/history", params={"last": "1h"}).text
    assert (
        objects(page) == ["host/c1"] and 'class="badge critical"' in page and f'href="/alarms/{alarm_id}"><rect' in page
    )
    assert objects(client.get("/history", params={"from": "2020-01-01T00:00", "to": "2020-01-02T00:00"}).text) == []
    assert objects(client.get("/history", params={"severity": "MINOR"}).text) == []
    for wrong in ({"from": "x"}, {"from": "2020-01-02T00:00", "to": "2020-01-01T00:00"}, {"last": "2h"}):
        assert client.get("/history", params=wrong).status_code == 400


def span(begin: int, end: int | None, severity: Severity = Severity.MAJOR) -> Span:
    return Span(f"{begin} {end}", severity, "host/c1", "compute.host.down", begin, end)


def test_no_bar_of_the_timeline_hides_another_or_leaves_it() -> None:
    spans = [span(number * HOUR // 4, number * HOUR // 4 + (HOUR if number % 2 else HOUR // 9)) for number in range(30)]
    drawn = chart([*spans, span(-HOUR, None), span(HOUR, None, Severity.CRITICAL)], 0, 8 * HOUR)
    assert [lane.severity for lane in drawn.lanes] == [Severity.CRITICAL, Severity.MAJOR] and not drawn.bucketed
    marks = [mark for lane in drawn.lanes for mark in lane.marks]
    assert len(marks) == 32 and all(mark.x >= 0 and mark.x + mark.width <= 100.001 for mark in marks)
    for one in marks:
        for other in marks:
            apart = one.x + one.width <= other.x + 0.001 or other.x + other.width <= one.x + 0.001
            assert one is other or one.y != other.y or apart


def test_a_thousand_alarms_are_columns_whose_height_counts_them() -> None:
    spans = [span(number * HOUR // 500, number * HOUR // 500 + HOUR // 4) for number in range(1000)]
    drawn = chart(spans, 0, 2 * HOUR)
    (lane,) = drawn.lanes
    assert drawn.bucketed and len(lane.marks) <= 72 and "1000 alarms" in lane.title
    first, middle = lane.marks[0], lane.marks[36]
    active = sum(each.raised_us < middle.to_us and (each.cleared_us or 0) >= middle.from_us for each in spans)
    assert abs(int(middle.title.rsplit(": ")[1].split()[0]) - active) <= 1 and first.height < middle.height

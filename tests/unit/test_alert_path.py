"""From Pacemaker's alert to the alarm list: agent, spool, drain and service together."""

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from alarm_service import OPERATOR, READER, bearer, served, service, settings

from resource_agents.alert import agent
from resource_agents.alert.drain import RETRY_S, Config, Drain, Service
from vimha.alarms.service import users

FIRST_US = 1_700_000_000_000_000
CLUSTER = {"site": "north", "single": ["vip"], "objective": 5, "nodes": {"c2": {"rack": "r2"}}}


def alert(spool: Path, second: float, kind: str, **said: str) -> None:
    seconds, micros = divmod(FIRST_US + round(second * 1_000_000), 1_000_000)
    env = {f"CRM_alert_{name}": value for name, value in {"kind": kind, **said}.items()}
    env |= {"CRM_alert_timestamp_epoch": str(seconds), "CRM_alert_timestamp_usec": f"{micros:06d}"}
    assert agent.run({**env, "CRM_alert_recipient": str(spool)}) == 0


def drain(spool: Path, port: int, token: str = OPERATOR) -> Drain:
    return Drain(spool, Service(Config((f"http://127.0.0.1:{port}",), token), "c1").post)


def asked(port: int, path: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Alarms by definition and object."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/vimfm/v1/{path}", headers={"Authorization": f"Bearer {OPERATOR}"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        return {(each["alarmDefinitionId"], each["managedObjectId"]): each for each in json.load(answer)}


def vip(spool: Path, second: float, node: str, task: str, rc: str = "0") -> None:
    interval = "1000" if task == "monitor" else "0"
    alert(spool, second, "resource", node=node, rsc="vip", task=task, rc=rc, target_rc="0", interval=interval)


def test_a_failover_is_told_as_it_was(tmp_path: Path) -> None:
    """The VIP's node is lost; the service is away meanwhile, and comes twice."""
    spool = tmp_path / "spool"
    chosen = settings(tmp_path, cluster=CLUSTER)
    vip(spool, 0, "c2", "start")
    with served(chosen) as port:
        drain(spool, port).work()
        assert asked(port, "alarms") == {}
    alert(spool, 10.25, "node", node="c2", desc="lost")
    alert(spool, 11, "fencing", node="c2", task="off", rc="0", desc="Operation off of c2 by c1: OK")
    away = drain(spool, port)
    assert away.work() == RETRY_S[0]
    vip(spool, 17.5, "c1", "start")
    with served(chosen) as port:
        drain(spool, port).work()
        found = asked(port, "alarms")
        assert set(found) == {
            ("control.node.lost", "host/c2"), ("control.node.fenced", "host/c2"),
            ("control.service.slow.recovery", "service/vip"),
        }  # fmt: skip
        lost = found["control.node.lost", "host/c2"]
        assert lost["eventTime"] == "2023-11-14T22:13:30.250000Z"
        assert lost["location"] == {"site": "north", "rack": "r2", "host": "c2"}
        (away_for,) = found["control.service.slow.recovery", "service/vip"]["faultDetails"]
        assert away_for.startswith("away for 7.250 s, from c2 to c1")
        alert(spool, 60, "node", node="c2", desc="member")
        drain(spool, port).work()
        assert set(asked(port, "alarms")) == {("control.service.slow.recovery", "service/vip")}


def test_a_spool_that_is_sent_twice_counts_once(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    for second in range(5):
        vip(spool, second, "c1", "monitor", rc="7")
    before = {path: path.read_bytes() for path in spool.iterdir() if path.name[0].isdigit()}
    with served(settings(tmp_path, cluster=CLUSTER)) as port:
        drain(spool, port).work()
        for path, content in before.items():
            path.write_bytes(content)
        drain(spool, port).work()
        (alarm,) = asked(port, "alarms").values()
        assert alarm["eventCount"] == 5
    assert [path.name for path in spool.iterdir()] == [agent.LOST]


def test_over_tls_the_service_must_be_who_it_says(tmp_path: Path) -> None:
    """A service whose certificate the drain's authority did not sign gets no token, and no event."""
    certificate, key, others = (str(tmp_path / name) for name in ("s.pem", "s.key", "o.pem"))
    for made in ((certificate, key), (others, str(tmp_path / "o.key"))):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
             "2", "-subj", "/CN=alarms", "-addext", "subjectAltName=IP:127.0.0.1", "-out", made[0], "-keyout", made[1]],
            check=True, capture_output=True,
        )  # fmt: skip
    spool = tmp_path / "spool"
    vip(spool, 1, "c1", "monitor", rc="7")
    chosen = settings(tmp_path, listen={"certificate": certificate, "key": key})
    with served(chosen) as port:
        urls = (f"https://127.0.0.1:{port}",)
        assert Drain(spool, Service(Config(urls, OPERATOR, others), "c1").post).work() == RETRY_S[0]
        assert Drain(spool, Service(Config(urls, OPERATOR), "c1").post).work() == RETRY_S[0]
        assert len(list(spool.iterdir())) == 2
        Drain(spool, Service(Config(urls, OPERATOR, certificate), "c1").post).work()
    assert [path.name for path in spool.iterdir()] == [agent.LOST]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/pacemaker", 400), ("/alertmanager", 400), ("/events", 400), ("/vimfm/v1/subscriptions", 403),
     ("/vimfm/v1/alarms/x/escalate", 403)],
)  # fmt: skip
def test_a_source_may_send_events_and_no_more(tmp_path: Path, path: str, status: int) -> None:
    entries = tmp_path / "sources.yaml"
    entries.write_text(json.dumps({"tokens": {"c1": {"role": "source", "token": users.digest("a source")}}}))
    entries.chmod(0o600)
    with service(settings(tmp_path, auth={"files": [str(entries)]})) as client:
        client.headers.update(bearer("a source"))
        assert client.post(path, json={}).status_code == status
        assert client.get("/vimfm/v1/alarms").status_code == 200


def test_a_token_that_may_only_read_leaves_the_spool_as_it_is(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    vip(spool, 1, "c1", "monitor", rc="7")
    with served(settings(tmp_path)) as port:
        assert drain(spool, port, READER).work() == RETRY_S[0]
        assert drain(spool, port, "wrong").work() == RETRY_S[0]
    assert len(list(spool.iterdir())) == 2

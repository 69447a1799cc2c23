"""`openstack vim alarm ...`: the real client with the plug-in, against the real service on loopback, over TLS."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from alarm_service import EXPIRED, OPERATOR, event, receiver, served, settings
from keystoneauth1.session import Session

from vimha.alarms.client.access import Access
from vimha.alarms.client.client import Client
from vimha.lab.bmc.tls import KeyPair, make_ca, make_certificate
from vimha_cli.osc.plugin import SessionToken, trust

Openstack = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, KeyPair]]:
    folder = tmp_path_factory.mktemp("service")
    ca = make_ca(folder)
    pair = make_certificate(folder, ca, ["127.0.0.1"])
    listen = {"certificate": str(pair.certificate), "key": str(pair.key)}
    with served(settings(folder, listen=listen)) as port:
        yield f"https://127.0.0.1:{port}", ca


@pytest.fixture
def client(place: tuple[str, KeyPair], tmp_path: Path) -> Iterator[Client]:
    (tmp_path / "token").write_text(OPERATOR)
    (tmp_path / "token").chmod(0o600)
    with Client.open(Access(url=place[0], ca=place[1].certificate, token_file=tmp_path / "token")) as made:
        yield made
        for each in list(made.alarms()):
            made.clear(each["id"])


@pytest.fixture
def openstack(place: tuple[str, KeyPair]) -> Openstack:
    """Run `openstack` with a token and an endpoint: its exit code, output, and standard error."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    usual = {
        "OS_AUTH_TYPE": "admin_token", "OS_ENDPOINT": place[0], "OS_TOKEN": OPERATOR,
        "OS_CACERT": str(place[1].certificate),
    }  # fmt: skip

    def run(*words: str, **changed: str) -> tuple[int, str, str]:
        argv = [Path(sys.executable).with_name("openstack"), *words]
        done = subprocess.run(argv, env={**others, **usual, **changed}, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


def raised(client: Client, host: str, **more: Any) -> str:
    client.report([event(os.urandom(8).hex(), host, **more)])
    return next(each["id"] for each in client.alarms() if each["managedObjectId"] == f"host/{host}")


def test_alarms_are_listed_shown_acknowledged_and_cleared(openstack: Openstack, client: Client) -> None:
    one, other = raised(client, "c1", faultDetails=["power off"]), raised(client, "c2")
    code, shown, _ = openstack("vim", "alarm", "list", "--host", "c1", "-f", "json")
    assert code == 0
    (row,) = json.loads(shown)
    assert (row["ID"], row["Severity"], row["Details"]) == (one, "CRITICAL", "power off")
    found = json.loads(openstack("vim", "alarm", "show", one[:10], "-f", "json")[1])
    assert found["location"] == {"host": "c1"} and found["serviceAffecting"] is True
    code, shown, said = openstack("vim", "alarm", "acknowledge", one, other, "0" * 20)
    assert (code, shown, said) == (1, "", f"{'0' * 20}: there is no alarm {'0' * 20}, and none whose id begins so\n")
    assert client.alarm(other)["ackState"] == "ACKNOWLEDGED"
    assert openstack("vim", "alarm", "clear", one) == (0, "", "")
    code, shown, _ = openstack("vim", "alarm", "history", "--from", "1h", "--host", "c1", "-f", "value", "-c", "ID")
    assert (code, shown) == (0, f"{one}\n")


def test_subscriptions_are_created_listed_and_deleted(openstack: Openstack, client: Client) -> None:
    with receiver() as subscriber:
        words = ["subscription", "create", subscriber.url, "--min-severity", "major", "-f", "value", "-c", "id"]
        code, made, _ = openstack("vim", "alarm", *words)
        assert code == 0
        (row,) = json.loads(openstack("vim", "alarm", "subscription", "list", "-f", "json")[1])
        assert row == {"ID": made.strip(), "Callback": subscriber.url, "Is told of": "minSeverity: MAJOR"}
        assert openstack("vim", "alarm", "subscription", "delete", made[:8]) == (0, "", "")
    assert client.subscriptions() == []


def test_retention_is_set(openstack: Openstack, client: Client) -> None:
    code, shown, _ = openstack("vim", "alarm", "retention", "set", "--days", "30", "--most", "minor=7", "-f", "json")
    assert (code, json.loads(shown)) == (0, client.retention())
    assert json.loads(shown) == {"retentionPeriod": 30, "retentionCounts": {"MINOR": 7}}


def test_who_asks_and_whom_to_trust_is_what_openstack_was_told(openstack: Openstack) -> None:
    code, _, said = openstack("vim", "alarm", "list", OS_TOKEN="wrong")
    assert (code, said) == (1, "a valid token, password or client certificate is needed\n")
    code, _, said = openstack("vim", "alarm", "list", OS_CACERT="")
    assert code == 1 and "cannot be trusted" in said


class FakeSession(Session):
    """Has a token that has expired, and another one once it is told so."""

    tokens: ClassVar = [OPERATOR, EXPIRED]

    def get_token(self, auth: Any = None) -> str:
        return self.tokens[-1]

    def invalidate(self, auth: Any = None) -> bool:
        return bool(self.tokens.pop())


def test_a_token_that_expired_is_replaced(place: tuple[str, KeyPair]) -> None:
    session = FakeSession(verify=str(place[1].certificate))
    with Client(place[0], SessionToken(session), trust(session)) as client:
        assert list(client.alarms()) == []
    assert session.tokens == [OPERATOR]


def test_an_endpoint_is_named_when_there_is_no_catalogue(openstack: Openstack, place: tuple[str, KeyPair]) -> None:
    elsewhere = {"OS_ENDPOINT": "http://127.0.0.1:1"}
    assert openstack("--os-vim-endpoint", f"{place[0]}/vimfm/v1", "vim", "alarm", "list", **elsewhere)[0] == 0

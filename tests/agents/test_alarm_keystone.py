"""Tokens of a real Keystone let in who has a role here: confirmed, cached for a while, revoked, and when it is away."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alarm_service import event, raised, served, service, settings, until
from keystone_alone import PASSWORD, Keystone
from starlette.testclient import TestClient

from vimha.alarms.config import Settings
from vimha.alarms.service import keystone as validation

ALARMS = "/vimfm/v1/alarms"
pytestmark = pytest.mark.agents


@pytest.fixture(scope="module")
def keystone(root_user: None) -> Iterator[Keystone]:
    with Keystone() as made:
        made.user("watcher", "reader")
        made.user("tenant", "admin", "tenants")
        yield made


@pytest.fixture
def chosen(tmp_path: Path, keystone: Keystone) -> Settings:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    ours = {"auth_url": keystone.url, "username": "admin", "project_name": "admin", "password_file": str(secret)}
    return settings(tmp_path, auth={"keystone": ours})


@pytest.fixture
def client(chosen: Settings) -> Iterator[TestClient]:
    with service(chosen) as made:
        del made.headers["Authorization"]
        yield made


def test_roles_in_the_operator_s_project_decide(client: TestClient, keystone: Keystone) -> None:
    operator, reader = (keystone.token(name, "admin") for name in ("admin", "watcher"))
    other = keystone.token("tenant", "tenants")
    assert client.post("/events", json=event("1"), headers={"X-Auth-Token": operator}).status_code == 200
    assert client.get(ALARMS, headers={"X-Auth-Token": reader}).status_code == 200
    assert client.get(ALARMS, headers={"Authorization": f"Bearer {reader}"}).status_code == 200
    assert client.post("/events", json=event("2"), headers={"X-Auth-Token": reader}).status_code == 403
    for nobody in (other, "gAAAAnonsense", "", "x" * 10_000):
        answer = client.get(ALARMS, headers={"X-Auth-Token": nobody})
        assert answer.status_code == 401, answer.text
        assert answer.headers["www-authenticate"] == "Keystone"


def test_a_revoked_token_is_refused_when_the_cache_ends(
    client: TestClient, keystone: Keystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "KEPT_S", 2.0)
    token = {"X-Auth-Token": keystone.token("watcher", "admin")}
    assert client.get(ALARMS, headers=token).status_code == 200
    keystone.revoke(token["X-Auth-Token"])
    until(lambda: client.get(ALARMS, headers=token).status_code == 401)


def test_a_keystone_that_is_away_is_a_503_for_who_is_not_known(client: TestClient, keystone: Keystone) -> None:
    known, other = (keystone.token("watcher", "admin") for _ in range(2))
    assert client.get(ALARMS, headers={"X-Auth-Token": known}).status_code == 200
    keystone.process.send_signal(signal.SIGSTOP)
    try:
        assert client.get(ALARMS, headers={"X-Auth-Token": known}).status_code == 200
        answer = client.get(ALARMS, headers={"X-Auth-Token": other + "x"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    finally:
        keystone.process.send_signal(signal.SIGCONT)
    until(lambda: client.get(ALARMS, headers={"X-Auth-Token": other}).status_code == 200, 30)


def test_wrong_credentials_of_the_service_say_so(client: TestClient, keystone: Keystone, chosen: Settings) -> None:
    assert chosen.auth.keystone is not None
    chosen.auth.keystone.password_file.write_text("wrong")
    with service(chosen) as other:
        answer = other.get(ALARMS, headers={"X-Auth-Token": keystone.token("watcher", "admin")})
        assert (answer.status_code, "Keystone" in answer.json()["detail"]) == (503, True)


def test_openstack_finds_the_service_in_the_catalogue(keystone: Keystone, chosen: Settings) -> None:
    with service(chosen) as client:
        client.headers["X-Auth-Token"] = keystone.token("admin", "admin")
        alarm_id = raised(client)
    with served(chosen) as port:
        keystone.endpoint("vim-alarm", f"http://127.0.0.1:{port}")
        (row,) = json.loads(openstack(keystone, "watcher", "list", "-f", "json").stdout)
        assert row["ID"] == alarm_id
        assert "watcher is a reader" in openstack(keystone, "watcher", "clear", alarm_id).stderr
        assert openstack(keystone, "admin", "clear", alarm_id).returncode == 0


def openstack(keystone: Keystone, user: str, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OS_")},
        "OS_AUTH_URL": keystone.url, "OS_USERNAME": user, "OS_PASSWORD": PASSWORD, "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default",
    }  # fmt: skip
    argv = [Path(sys.executable).with_name("openstack"), "vim", "alarm", *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)

"""Who may ask: tokens, passwords, client certificates; wrong, expired and revoked ones; the file of users."""

import base64
import json
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
from alarm_service import EXPIRED, OPERATOR, READER, bearer, entries, event, served, service, settings
from starlette.testclient import TestClient

from vimha.alarms.config import Role
from vimha.alarms.service import auth, users
from vimha.alarms.service.context import Caller
from vimha.errors import UsageError

ALARMS = "/vimfm/v1/alarms"


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def asked(client: TestClient, headers: dict[str, str]) -> int:
    client.headers.pop("Authorization", None)
    return client.get(ALARMS, headers=headers).status_code


def test_what_is_open_and_what_is_not(tmp_path: Path) -> None:
    with service(settings(tmp_path)) as client:
        del client.headers["Authorization"]
        for path in ("/healthz", "/openapi.json", "/vnffm/api_versions", "/vimfm/v1/api_versions"):
            assert client.get(path).status_code == 200, path
        closed = {
            f"/{each}" for each in ("metrics", "events", "nothing", "vimfm/v1/stream", "vimfm/v1/nodes", "healthz/")
        }
        for path in closed | {ALARMS, "/vnffm/v1/subscriptions", "/", "/docs"}:
            answer = client.get(path)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].startswith("Basic realm=")
        assert client.post("/healthz").status_code == 405


@pytest.mark.parametrize(
    "headers",
    [
        bearer("wrong"), bearer(EXPIRED), bearer(""), bearer(OPERATOR + " "), basic("operator", OPERATOR),
        {"Authorization": OPERATOR}, {"Authorization": "Basic ///"}, {"Authorization": "Basic "},
        {"X-Auth-Token": OPERATOR}, {"Authorization": f"Digest {OPERATOR}"}, {"Authorization": "Bearer \xff\xfe"},
    ],
)  # fmt: skip
def test_proofs_that_are_none(tmp_path: Path, headers: dict[str, str]) -> None:
    with service(settings(tmp_path)) as client:
        raw = {name: value.encode("latin-1") for name, value in headers.items()}
        client.headers.pop("Authorization")
        allowed = 200 if headers == bearer(OPERATOR + " ") else 401
        assert client.get(ALARMS, headers=raw).status_code == allowed  # type: ignore[arg-type]


def test_a_body_is_not_read_for_who_may_not_ask(tmp_path: Path) -> None:
    with service(settings(tmp_path)) as client:
        answer = client.post(
            "/events", content=b"[" * 1000, headers={**bearer(READER), "Content-Type": "application/json"}
        )
        assert answer.status_code == 403
        assert "role source" in answer.json()["detail"]


def test_revoked_and_added_while_it_runs(tmp_path: Path) -> None:
    with service(settings(tmp_path)) as client:
        assert asked(client, bearer(OPERATOR)) == 200
        path = entries(tmp_path)
        known = json.loads(path.read_text())
        del known["tokens"]["operator"]
        known["tokens"]["new"] = {"role": "reader", "token": users.digest("new-token")}
        path.write_text(json.dumps(known))
        assert (asked(client, bearer(OPERATOR)), asked(client, bearer("new-token"))) == (401, 200)


def test_a_file_that_became_bad_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with service(settings(tmp_path)) as client:
        path = entries(tmp_path)
        for broken in ("nonsense: [", '{"tokens": {"x": {"role": "root"}}}'):
            path.write_text(broken)
            assert asked(client, bearer(OPERATOR)) == 200
        path.chmod(0o644)
        assert asked(client, bearer(OPERATOR)) == 200
        path.unlink()
        assert asked(client, bearer(OPERATOR)) == 200
    assert "others may read or change it (mode 644)" in caplog.text
    assert "who was known before is known still" in caplog.text


def test_passwords_are_right_or_wrong_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings(tmp_path)
    entries(tmp_path, users={"alice": {"role": "reader", "password": users.hashed("pass word: ä")}})
    with service(chosen) as client:
        right = basic("alice", "pass word: ä")
        assert asked(client, right) == 200
        assert [asked(client, basic(*wrong)) for wrong in (("alice", "x"), ("bob", "x"), ("alice", ""))] == [401] * 3
        monkeypatch.setattr(users, "_scrypt", None)
        assert asked(client, right) == 200
        monkeypatch.undo()
        entries(tmp_path, users={"alice": {"role": "reader", "password": users.hashed("another")}})
        assert (asked(client, right), asked(client, basic("alice", "another"))) == (401, 200)


def test_a_password_is_forgotten_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings(tmp_path)
    entries(tmp_path, users={"alice": {"role": "reader", "password": users.hashed("right")}})
    monkeypatch.setattr(auth, "REMEMBERED_S", 0.0)
    with service(chosen) as client:
        assert asked(client, basic("alice", "right")) == 200
        monkeypatch.setattr(users.Users, "user", lambda *_: None)
        assert asked(client, basic("alice", "right")) == 401


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        ("{}", 0o640, "others may read or change it (mode 640)"),
        ("tokens: [", 0o600, "not valid YAML"),
        ("users:\n  bob: {role: reader, password: hunter2}\n", 0o600, "users.yaml:2: users.bob.password: "),
        ("users:\n  bob:\n    role: king\n", 0o600, "users.yaml:3: users.bob.role"),
        ("tokens:\n  t: {role: reader, token: abc, expires: soon}\n", 0o600, "tokens.t.expires"),
        ("people: {}\n", 0o600, "users.yaml:1: people: unknown"),
    ],
)
def test_a_file_that_is_refused_at_the_start(tmp_path: Path, content: str, mode: int, says: str) -> None:
    path = tmp_path / "users.yaml"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(UsageError) as caught:
        users.Users([path])
    assert says in caught.value.message
    assert "hunter2" not in caught.value.message


def test_users_of_two_files(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    token, digest = users.new_token()
    for path, name in ((first, "ann"), (second, "bob")):
        path.touch(0o600)
        path.write_text(f'users:\n  {name}: {{role: reader, password: "{users.hashed(name)}"}}\n')
    known = users.Users([first, second])
    assert all(known.user(name, name) for name in ("ann", "bob"))
    second.write_text(f'tokens:\n  tool: {{role: source, token: "{digest}"}}\n')
    assert known.token(token, 0) == Caller("tool", Role.SOURCE)
    assert known.user("bob", "bob") is None
    second.write_text(f'tokens:\n  ann: {{role: operator, token: "{digest}"}}\n')
    assert known.token(token, 0) == Caller("tool", Role.SOURCE), "two of one name: what was known stays"
    with pytest.raises(UsageError, match="ann is in another file"):
        users.Users([first, second])


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, the service's certificate, a client's of that CA, and one of a CA that nobody knows."""
    folder = tmp_path_factory.mktemp("keys")
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    openssl(folder, *new, "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(folder, *new, "-subj", "/CN=foreign", "-keyout", "foreign.key", "-out", "foreign.pem")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key")
    openssl(
        folder,
        *new,
        *signed,
        "-subj",
        "/CN=vip",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        "s.key",
        "-out",
        "s.pem",
    )
    openssl(folder, *new, *signed, "-subj", "/O=Example/CN=nfvo", "-keyout", "c.key", "-out", "c.pem")
    return folder


def test_tls_and_client_certificates(tmp_path: Path, keys: Path) -> None:
    chosen = settings(
        tmp_path,
        listen={"certificate": f"{keys}/s.pem", "key": f"{keys}/s.key", "client_ca": f"{keys}/ca.pem"},
        auth={"files": [str(entries(tmp_path))], "certificates": {"O=Example, CN=nfvo": "reader"}},
    )

    def status(port: int, certificate: str = "", method: str = "GET", path: str = ALARMS, **headers: str) -> int:
        trust = ssl.create_default_context(cafile=f"{keys}/ca.pem")
        if certificate:
            trust.load_cert_chain(f"{keys}/{certificate}.pem", f"{keys}/{certificate}.key")
        with httpx.Client(verify=trust) as client:
            return client.request(method, f"https://127.0.0.1:{port}{path}", headers=headers).status_code

    with served(chosen) as port:
        assert status(port) == 401
        assert status(port, **bearer(OPERATOR)) == 200
        assert status(port, "c") == 200
        assert status(port, "c", "POST", "/events") == 403
        assert status(port, "s") == 401
        with pytest.raises(httpx.HTTPError):
            status(port, "foreign")
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=3)


def test_guessing_passwords_does_not_stop_the_service(tmp_path: Path) -> None:
    with served(settings(tmp_path)) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        statuses = [client.get(ALARMS, headers=basic("x", str(number))).status_code for number in range(5)]
        assert statuses == [401] * 5
        assert client.post("/events", json=event("1"), headers=bearer(OPERATOR)).status_code == 200

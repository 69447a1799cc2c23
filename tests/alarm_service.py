"""A real alarm service for tests: the app over a store on SQLite, asked in this process or over loopback."""

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from starlette.testclient import TestClient

from vimha.alarms import times
from vimha.alarms.config import Settings
from vimha.alarms.service import users
from vimha.alarms.service.app import make_app
from vimha.alarms.service.server import Server
from vimha.alarms.store.store import Store

READER, OPERATOR, EXPIRED = "reader-token", "operator-token", "expired-token"
LOCAL = {"allow": ["127.0.0.0/8"], "allow_http": True}
MERGE = {"Content-Type": "application/merge-patch+json"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def entries(folder: Path, **more: Any) -> Path:
    """A file of users and tokens."""
    tokens = {
        "reader": {"role": "reader", "token": users.digest(READER)},
        "operator": {"role": "operator", "token": users.digest(OPERATOR)},
        "expired": {"role": "operator", "token": users.digest(EXPIRED), "expires": "2020-01-01T00:00:00Z"},
    }
    path = folder / "users.yaml"
    path.write_text(json.dumps({"tokens": tokens, **more}))
    path.chmod(0o600)
    return path


def settings(folder: Path, **more: Any) -> Settings:
    """Usual settings; `more` as in the file."""
    return Settings.model_validate_json(
        json.dumps(
            {
                "auth": {"files": [str(entries(folder))]},
                "store": f"sqlite:///{folder}/alarms.db",
                "delivery": LOCAL,
                **more,
            }
        )
    )


@contextmanager
def service(chosen: Settings, store: Store | None = None) -> Iterator[TestClient]:
    """The service, asked in this process by an operator."""
    kept = store or Store.open(chosen.store, chosen.flapping.rules)
    try:
        with TestClient(make_app(kept, chosen), raise_server_exceptions=False, follow_redirects=False) as client:
            client.headers.update(bearer(OPERATOR))
            yield client
    finally:
        if store is None:
            kept.close()


@contextmanager
def served(chosen: Settings, port: int = 0) -> Iterator[int]:
    """The service on a port of 127.0.0.1, any one if it is 0; the port."""
    store = Store.open(chosen.store, chosen.flapping.rules)
    server = Server(make_app(store, chosen), chosen)
    door = socket.create_server(("127.0.0.1", port))
    thread = threading.Thread(target=server.run, args=([door],), daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield int(door.getsockname()[1])
    finally:
        server.handle_exit(signal.SIGTERM, None)
        thread.join(15)
        door.close()
        store.close()


def until(true: Callable[[], Any], within_s: float = 10.0) -> None:
    """Wait for it."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def answers(port: int) -> bool:
    """Whether a service on this port of 127.0.0.1 is up."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


def event(name: str, host: str = "c1", severity: str = "CRITICAL", **more: Any) -> dict[str, Any]:
    """vimha's own shape of an event."""
    usual = {
        "id": name,
        "alarmDefinitionId": "compute.host.down",
        "managedObjectId": f"host/{host}",
        "perceivedSeverity": severity,
        "eventTime": times.text(times.now()),
        "location": {"host": host},
    }
    return {**usual, **more}


def raised(client: TestClient, host: str = "c1", **more: Any) -> str:
    """Raise an alarm; its id."""
    assert client.post("/events", json=event(f"{host} {times.now()}", host, **more)).status_code == 200
    found = client.get("/vimfm/v1/alarms", params={"filter": f"(eq,location/host,{host})"}).json()
    return str(found[0]["id"])


@dataclass
class Receiver:
    """A subscriber: answers GET with `test`, POST with 204."""

    url: str
    test: int = 204
    got: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A real subscriber on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(made.test)

        def do_POST(self) -> None:
            made.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(204)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Receiver(f"http://127.0.0.1:{server.server_address[1]}/callback")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()

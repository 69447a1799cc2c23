"""A real Keystone (Debian's) on loopback, over SQLite, with a few users; for tests of who may ask the alarm service."""

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

PASSWORD = "a-password"
SERVER = """
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from keystone.server.wsgi import initialize_public_application
class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
class Quiet(WSGIRequestHandler):
    def log_message(self, *words):
        pass
port = int(sys.argv.pop())
make_server("127.0.0.1", port, initialize_public_application(), Server, Quiet).serve_forever()
"""
MANAGE = "import sys; from keystone.cmd.manage import main; sys.argv[0] = 'keystone-manage'; main()"


class Keystone:
    """Up inside the `with` block; `freeze` and `thaw` stop it in between."""

    def __enter__(self) -> "Keystone":
        self.folder = Path(tempfile.mkdtemp(prefix="vimha-keystone-", dir="/var/tmp"))
        with socket.create_server(("127.0.0.1", 0)) as door:
            self.url = f"http://127.0.0.1:{door.getsockname()[1]}/v3"
        (self.folder / "keystone.conf").write_text(
            f"[database]\nconnection = sqlite:///{self.folder}/keystone.db\n[token]\nexpiration = 3600\n"
            f"[fernet_tokens]\nkey_repository = {self.folder}/fernet\n"
            f"[credential]\nkey_repository = {self.folder}/keys\n"
            f"[fernet_receipts]\nkey_repository = {self.folder}/receipts\n"
        )
        self._environment = {"PATH": os.environ["PATH"], "OS_KEYSTONE_CONFIG_DIR": str(self.folder)}
        self._manage("fernet_setup", "--keystone-user", "root", "--keystone-group", "root")
        with closing(sqlite3.connect(self.folder / "keystone.db")) as database:
            database.execute("PRAGMA journal_mode=WAL")  # else one of Keystone's readers locks its own writers out
        self._manage("db_sync")
        self._manage("bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-public-url", self.url)
        argv = ["/usr/bin/python3", "-c", SERVER, self.url.split(":")[2].partition("/")[0]]
        self.process = subprocess.Popen(argv, env=self._environment, stderr=(self.folder / "log").open("w"))
        try:
            self._up()
            self.admin = self.token("admin", "admin")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)

    def token(self, user: str, project: str) -> str:
        """A token of `user` in `project`."""
        domain = {"name": "Default"}
        asked = {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {"name": user, "domain": domain, "password": PASSWORD}},
                },
                "scope": {"project": {"name": project, "domain": domain}},
            }
        }
        answer = httpx.post(f"{self.url}/auth/tokens", json=asked, timeout=20)
        answer.raise_for_status()
        return answer.headers["X-Subject-Token"]

    def revoke(self, token: str) -> None:
        self._asked("DELETE", "/auth/tokens", headers={"X-Subject-Token": token})

    def user(self, name: str, role: str, project_name: str = "admin") -> None:
        """A user with one role in a project, which is made if there is none."""
        found = self._asked("GET", f"/projects?name={project_name}")["projects"]
        made = found or [self._asked("POST", "/projects", {"project": {"name": project_name}})["project"]]
        project = made[0]["id"]
        roles = {each["name"]: each["id"] for each in self._asked("GET", "/roles")["roles"]}
        user = self._asked("POST", "/users", {"user": {"name": name, "password": PASSWORD}})["user"]["id"]
        self._asked("PUT", f"/projects/{project}/users/{user}/roles/{roles[role]}")

    def endpoint(self, service_type: str, url: str) -> None:
        """Put a service into the catalogue."""
        made = self._asked("POST", "/services", {"service": {"type": service_type, "name": service_type}})["service"]
        place = {"service_id": made["id"], "interface": "public", "url": url}
        self._asked("POST", "/endpoints", {"endpoint": place})

    def _asked(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        sent = {"X-Auth-Token": self.admin, **(headers or {})}
        answer = httpx.request(method, self.url + path, json=body, headers=sent, timeout=20)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _manage(self, *words: str) -> None:
        argv = ["/usr/bin/python3", "-c", MANAGE, "--config-file", str(self.folder / "keystone.conf"), *words]
        done = subprocess.run(argv, env=self._environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr[-2000:]

    def _up(self) -> None:
        end = time.monotonic() + 30
        while True:
            try:
                if httpx.get(self.url, timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            assert self.process.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.1)

"""`vimha-drain`: brings the events that vimha-alert keeps in the spool to the alarm service, one such daemon to a node.

Invariant: events are sent in their order and one request at a time, and leave the spool only after the service has
answered that it has them (2xx), or that it never will (a bad record, which is logged in full). Whatever is sent twice,
after a crash or a lost answer, has the same id, so the service takes it once.

Each request has a connection of its own: the event to tell of may be the very loss of the node that a kept one led to.
"""

import http.client
import json
import os
import pwd
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from resource_agents.alert.agent import END, LOST, SPOOL, WAKE, make
from resource_agents.ocf.runtime import ERROR, INFO, log

CONFIG = "/etc/vimha/drain.json"
USER = "hacluster"
PATH = "/pacemaker"
BATCH = 100
"""Records to a request."""
LARGEST = 64 << 10
"""Bytes of a record: more than vimha-alert ever writes."""
CONNECT_S = 0.5
"""A living host on the cluster's own planes answers a thousand times sooner."""
ANSWER_S = 2.0
"""A frozen service must not keep events from the next one. One that waits for its store's failover takes longer, and is
sent the same again, which is harmless.
"""
RETRY_S = (0.1, 0.2, 0.5)
"""Pauses after the first, second and each further failure in a row."""
LOOK_S = 5.0
"""How often the spool is looked at without being woken."""
STALE_S = 60.0
"""After that a record that is not whole will never be: its writer has died."""
NEVER = (400, 413, 422)
"""Answers that would be the same tomorrow."""


class RefusedError(Exception):
    """The service will never take what it was sent."""


@dataclass(frozen=True)
class Config:
    """Where the service is: `urls` in order of preference, such as this node's own first."""

    urls: tuple[str, ...]
    token: str = field(repr=False)
    ca_file: str = ""
    """PEM; empty: the system's authorities."""


class Drain:
    """Empties the spool `folder`; `post` sends records and raises OSError when the service is away."""

    def __init__(self, folder: Path, post: Callable[[Sequence[dict[str, Any]]], None]) -> None:
        self._folder = folder
        self._post = post
        self._failures = 0

    def run(self) -> None:
        """Work until the process is ended."""
        make(str(self._folder))
        sock = self._socket()
        while True:
            pause = self.work()
            if self._failures:
                time.sleep(pause)
                continue
            sock.settimeout(pause)
            try:
                sock.recv(1)
            except TimeoutError:
                continue

    def work(self) -> float:
        """Send all that there is; after how many seconds to look again."""
        try:
            while batch := self._next():
                self._send(batch)
            self._tell_losses()
        except (OSError, http.client.HTTPException) as error:
            if self._failures == 0:
                _log(ERROR, f"the alarm service is away, events wait: {error}")
            self._failures += 1
            return RETRY_S[min(self._failures, len(RETRY_S)) - 1]
        if self._failures:
            _log(INFO, "the alarm service has all events again")
        self._failures = 0
        return LOOK_S

    def _next(self) -> list[dict[str, Any]]:
        """The oldest whole records."""
        names = sorted(each.name for each in self._folder.iterdir() if each.name[0] in ".0123456789")
        found = []
        for name in names:
            content = self._read(name)
            if not name.startswith(".") and content.endswith(b"\0" + END):
                found.append(fields(name, content))
            elif self._age(name) > STALE_S:
                _log(ERROR, f"{name} was never finished: {content!r}")
                self._remove([name])
            if len(found) == BATCH:
                break
        return found

    def _read(self, name: str) -> bytes:
        """What is in a record; nothing when it has its final name by now."""
        try:
            with (self._folder / name).open("rb") as file:
                return file.read(LARGEST)
        except FileNotFoundError:
            return b""

    def _age(self, name: str) -> float:
        try:
            return time.time() - (self._folder / name).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _send(self, batch: list[dict[str, Any]]) -> None:
        """Send records and remove them; one that is refused does not take others with it."""
        try:
            self._post(batch)
        except RefusedError as error:
            if len(batch) > 1:
                for each in batch:
                    self._send([each])
                return
            _log(ERROR, f"{error}: {json.dumps(batch[0])}")
        self._remove([each["id"] for each in batch])

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            (self._folder / name).unlink(missing_ok=True)

    def _tell_losses(self) -> None:
        """Tell once of events that were lost, now that there is room again."""
        path = self._folder / LOST
        lost_ns = path.stat().st_mtime_ns
        if not lost_ns:
            return
        self._post([{"id": f"lost-{lost_ns}", "at_us": lost_ns // 1000, "kind": "lost"}])
        if path.stat().st_mtime_ns == lost_ns:
            os.utime(path, (0, 0))

    def _socket(self) -> socket.socket:
        path = self._folder / WAKE
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(str(path))
        return sock


def fields(name: str, content: bytes) -> dict[str, Any]:
    """A record as it is sent: its id, its time in microseconds, what Pacemaker said."""
    texts = content.removesuffix(b"\0" + END).decode(errors="replace").split("\0")
    said = dict(text.partition("=")[::2] for text in texts)
    return {**said, "id": name, "at_us": int(name.partition("-")[0])}


class Service:
    """The alarm service over HTTP; asks the address that answered last, then the others."""

    def __init__(self, config: Config, node: str) -> None:
        self._config = config
        self._node = node
        self._urls = list(config.urls)
        self._tls: ssl.SSLContext | None = None

    def post(self, records: Sequence[dict[str, Any]]) -> None:
        """Send records; OSError when nobody takes them now, RefusedError when nobody ever will."""
        body = json.dumps({"node": self._node, "records": records}).encode()
        trouble = []
        for url in tuple(self._urls):
            try:
                status, said = self._ask(url, body)
            except (OSError, http.client.HTTPException) as error:
                trouble.append(f"{url}: {error or type(error).__name__}")
                self._urls.append(self._urls.pop(0))
                continue
            if 200 <= status < 300:
                return
            if status in NEVER:
                raise RefusedError(f"{url} answers {status} {said}")
            trouble.append(f"{url} answers {status} {said}")
            self._urls.append(self._urls.pop(0))
        raise OSError("; ".join(trouble))

    def _ask(self, url: str, body: bytes) -> tuple[int, str]:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            made: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, parts.port, timeout=CONNECT_S, context=self._context()
            )
        else:
            made = http.client.HTTPConnection(host, parts.port, timeout=CONNECT_S)
        try:
            made.connect()
            made.sock.settimeout(ANSWER_S)
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._config.token}"}
            made.request("POST", parts.path.rstrip("/") + PATH, body, headers)
            answer = made.getresponse()
            return answer.status, answer.read(500).decode(errors="replace")
        finally:
            made.close()

    def _context(self) -> ssl.SSLContext:
        self._tls = self._tls or ssl.create_default_context(cafile=self._config.ca_file or None)
        return self._tls


def load(path: Path) -> Config:
    """The configuration in a JSON file of mode 0600; ValueError with what is wrong with it."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise ValueError(f"{path}: others may read it, and it holds a token: chmod 600 {path}")
        given = json.loads(file.read(LARGEST))
    if not isinstance(given, dict) or set(given) - {"urls", "token", "ca_file"}:
        raise ValueError(f"{path}: expected an object with urls, token and ca_file")
    urls, token, ca_file = given.get("urls"), given.get("token"), given.get("ca_file", "")
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) and _is_url(url) for url in urls):
        raise ValueError(f"{path}: urls: expected a list of addresses such as https://10.0.0.10:8780")
    if not _is_word(token) or not isinstance(ca_file, str):
        raise ValueError(f"{path}: token and ca_file: expected words")
    return Config(tuple(urls), str(token), ca_file)


def _is_word(token: object) -> bool:
    """Whether it can stand in a header."""
    return isinstance(token, str) and token.isascii() and token.isprintable() and token != ""


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").encode("idna")
        return parts.scheme in ("http", "https") and bool(host) and (parts.port or 0) >= 0 and text.isascii()
    except ValueError:
        return False


def main() -> None:
    """What the launcher calls: reads CONFIG as root, then works as Pacemaker's own user, whose the spool is."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else CONFIG)
    try:
        config = load(path)
        if os.geteuid() == 0:
            entry = pwd.getpwnam(USER)
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"vimha-drain: {error}")
    Drain(Path(SPOOL), Service(config, os.uname().nodename).post).run()


def _log(severity: int, text: str) -> None:
    log(os.environ, "drain", severity, text)

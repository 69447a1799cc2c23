"""The alarm service and its subscribers as processes of their own, for benchmarks.

The receivers' HTTP is as little as can be: what is measured is the service. Times are of the monotonic clock, which all
processes of a machine share.
"""

import asyncio
import json
import multiprocessing
import os
import re
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from subprocess import Popen
from typing import Any

import aiohttp

from vimha.alarms.service.users import new_token
from vimha.process import spawn

ID = re.compile(rb'^{"id": ?"([^"]+)"')
ALARM = re.compile(rb'"alarm": ?{"id": ?"([^"]+)","managedObjectId": ?"([^"]+)"')
SEVERITY = re.compile(rb'"perceivedSeverity": ?"([A-Z]+)"')
STAMP = re.compile(rb'"timeStamp": ?"([^"]+)"')
CLEARED = re.compile(rb'"alarmId": ?"([^"]+)"')
LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)
TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Told:
    """What one subscriber was told. Alarms are told apart by their ids: one that is cleared is over."""

    calls: int = 0
    repeated: int = 0
    reordered: int = 0
    entered: list[tuple[int, str]] = field(default_factory=list)
    """Monotonic nanoseconds when a call had come in, managed object."""
    severity: dict[str, str] = field(default_factory=dict)
    """Alarm -> severity told last."""
    objects: dict[str, str] = field(default_factory=dict)
    """Alarm -> managed object."""
    ids: set[bytes] = field(default_factory=set)
    latest: dict[str, bytes] = field(default_factory=dict)
    """Alarm -> time stamp of its last notification; of one alarm they never go back."""

    def take(self, body: bytes, at_ns: int) -> None:
        self.calls += 1
        said = ID.search(body)
        if said is None or said[1] in self.ids:
            self.repeated += 1
            return
        self.ids.add(said[1])
        alarm, name, severity = self._read(body)
        stamp = found[1] if (found := STAMP.search(body)) else b""
        if stamp < self.latest.get(alarm, b"") or self.severity.get(alarm) == "CLEARED":
            self.reordered += 1
        self.latest[alarm] = stamp
        self.severity[alarm] = severity
        self.entered.append((at_ns, name))

    def state(self) -> dict[str, str]:
        """Managed object -> severity of its alarm; those without are left out."""
        return {self.objects[alarm]: told for alarm, told in self.severity.items() if told != "CLEARED"}

    def _read(self, body: bytes) -> tuple[str, str, str]:
        if found := ALARM.search(body):
            alarm, name = found[1].decode(), found[2].decode()
            self.objects[alarm] = name
            severity = SEVERITY.search(body)
            return alarm, name, severity[1].decode() if severity else "?"
        cleared = CLEARED.search(body)
        alarm = cleared[1].decode() if cleared else "?"
        return alarm, self.objects.get(alarm, "?"), "CLEARED"


class Subscriber(asyncio.Protocol):
    """One connection: GET is answered at once, POST too unless the path begins with /hang."""

    def __init__(self, told: dict[str, Told]) -> None:
        self._told, self._data = told, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._data[: end + 2])
            length = int(found[1]) if (found := LENGTH.search(head)) else 0
            if len(self._data) < end + 4 + length:
                return
            body = bytes(self._data[end + 4 : end + 4 + length])
            del self._data[: end + 4 + length]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        method, path = head.split(b" ", 2)[:2]
        if method == b"POST":
            if path.startswith(b"/hang"):
                return
            self._told.setdefault(path.decode(), Told()).take(body, time.monotonic_ns())
        self._transport.write(TAKEN)


def _receive(pipe: Connection) -> None:
    """The receivers' process: answers `get` with what was told, `new` with a clean slate."""
    told: dict[str, Told] = {}

    def asked() -> None:
        what, path = pipe.recv()
        found = told.get(path, Told())
        if what == "state":
            pipe.send((found.calls, found.repeated, found.reordered, found.state()))
        elif what == "times":
            pipe.send(found.entered)
            found.entered = []
        elif what == "count":
            pipe.send(len(found.entered))

    async def work() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Subscriber(told), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        loop.add_reader(pipe.fileno(), asked)
        await asyncio.Event().wait()

    asyncio.run(work())


class Receivers:
    """Subscribers by path, in a process of their own."""

    def __init__(self) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=_receive, args=(theirs,), daemon=True)
        self._process.start()
        self.port = self._pipe.recv()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ask(self, what: str, path: str) -> Any:
        self._pipe.send((what, path))
        return self._pipe.recv()

    def times(self, path: str, wanted: int, within_s: float) -> list[tuple[int, str]]:
        """What came in at `path`, once it is as much as is wanted; the list starts anew."""
        end = time.monotonic() + within_s
        while self.ask("count", path) < wanted:
            if time.monotonic() > end:
                raise SystemExit(f"{path}: {self.ask('count', path)} of {wanted} came within {within_s:g} s")
            time.sleep(0.002)
        return list(self.ask("times", path))

    def close(self) -> None:
        self._process.terminate()
        self._process.join()


class Service:
    """`vimha alarms serve` over a store, in a folder."""

    def __init__(self, folder: Path, store: str, name: str = "one") -> None:
        self._folder, self._config = folder, folder / f"{name}.json"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.token, digest = new_token()
        users = folder / f"{name}.users"
        users.touch(0o600)
        users.write_text(json.dumps({"tokens": {"bench": {"role": "operator", "token": digest}}}))
        self._config.write_text(
            json.dumps(
                {
                    "auth": {"files": [str(users)]},
                    "store": store,
                    "listen": {"port": self.port},
                    "delivery": {"allow": ["127.0.0.0/8"], "allow_http": True},
                }
            )
        )
        self._log = folder / f"{name}.log"
        self.process: Popen[bytes] | None = None

    def start(self) -> None:
        vimha = str(Path(sys.executable).with_name("vimha"))
        self.process = spawn([vimha, "alarms", "serve", "--config", str(self._config)], log=str(self._log))
        end = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the service does not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """As a power loss does it: SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def memory_mib(self) -> tuple[float, float]:
        """Resident memory: now, and at its most."""
        text = Path(f"/proc/{self.process.pid}/status").read_text() if self.process else ""
        found = {line.split()[0]: int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Vm")}
        return found["VmRSS:"], found["VmHWM:"]

    def cpu_s(self) -> float:
        """CPU seconds that it used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split() if self.process else []
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def session(self) -> aiohttp.ClientSession:
        """Who asks it, as an operator."""
        return aiohttp.ClientSession(
            f"http://127.0.0.1:{self.port}", headers={"Authorization": f"Bearer {self.token}"}
        )  # fmt: skip


@contextmanager
def rig() -> Iterator[tuple[Path, Receivers]]:
    """A folder and receivers, until the end."""
    with tempfile.TemporaryDirectory(prefix="vimha-bench-") as name:
        receivers = Receivers()
        try:
            yield Path(name), receivers
        finally:
            receivers.close()


async def subscribe(session: aiohttp.ClientSession, url: str) -> None:
    """Subscribe, as soon as the service has opened its store."""
    while True:
        async with session.post("/vimfm/v1/subscriptions", json={"callbackUri": url}) as response:
            if response.status == 201:
                return
            if response.status != 503:
                raise SystemExit(f"no subscription: {response.status} {await response.text()}")
        await asyncio.sleep(0.1)


async def send(events: list[dict[str, Any]], *sessions: aiohttp.ClientSession) -> None:
    """POST events to the first service that takes them; again while all have too many or are away."""
    while True:
        for session in sessions:
            try:
                async with session.post("/events", json={"events": events}) as response:
                    if response.status == 200:
                        return
                    if response.status != 503:
                        raise SystemExit(f"{response.status}: {await response.text()}")
            except (aiohttp.ClientError, TimeoutError):
                continue
        await asyncio.sleep(0.05)


def observation(name: str, severity: str, definition: str = "control.service.failed") -> dict[str, Any]:
    """An event of now, as `POST /events` takes it."""
    kind = "vm" if definition.startswith("compute.vm.") else "service"
    return {
        "id": str(uuid.uuid4()), "alarmDefinitionId": definition, "managedObjectId": f"{kind}/{name}",
        "perceivedSeverity": severity, "eventTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }  # fmt: skip


async def known(
    receivers: Receivers, paths: list[str], wanted: dict[str, str], within_s: float
) -> tuple[str, int] | None:
    """Wait until all have been told the wanted states; who has not, and of how many objects. An object that was never
    raised was cleared all the time.
    """
    end = time.monotonic() + within_s
    for path in paths:
        while True:
            state = receivers.ask("state", path)[3]
            wrong = sum(state.get(name, "CLEARED") != severity for name, severity in wanted.items())
            if not wrong:
                break
            if time.monotonic() > end:
                return path, wrong
            await asyncio.sleep(0.2)
    return None

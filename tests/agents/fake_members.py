"""Made-up cluster members behind a real haproxy: each has service ports that greet by name and echo, and an HTTP
endpoint whose answer a test sets. All on addresses of the loopback network.
"""

import contextlib
import csv
import io
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from ocf_calls import wait_until

FIT, UNFIT, SILENT, FULL = "fit", "unfit", "silent", "full"
"""FULL: it lacks nothing but room, so it is fit for the last resort alone."""
ANSWERS = {FIT: b"HTTP/1.1 200 OK\r\n", UNFIT: b"HTTP/1.1 503 Initialized (0)\r\n"}
END = b"Content-Length: 0\r\nConnection: close\r\n\r\n"


class FakeMember:
    """A member called `name` at `address`. `health` is what its endpoint says, after what is in
    `script` for the writer's front-end; `checks` are its answers so far, each
    with the front-end that asked."""

    def __init__(self, name: str, address: str, ports: tuple[int, ...], endpoint_port: int) -> None:
        self.name = name
        self.health = FIT
        self.script: list[str] = []
        self.checks: list[tuple[str, str]] = []
        self._where = [(address, port) for port in ports]
        self._open: list[socket.socket] = []
        self._listeners: list[socket.socket] = []
        self._endpoint = socket.create_server((address, endpoint_port), backlog=64)
        self._serve(self._endpoint, self._check)
        self.start()

    def start(self) -> None:
        """The service listens."""
        for where in self._where:
            self._listeners.append(socket.create_server(where, backlog=256))
            self._serve(self._listeners[-1], self._echo)

    def die(self) -> None:
        """The service's process is gone: no listener, its sessions closed. The endpoint goes on saying what it did."""
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._listeners.clear()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        self.die()
        self._endpoint.shutdown(socket.SHUT_RDWR)
        self._endpoint.close()

    def _serve(self, listener: socket.socket, deal: Callable[[socket.socket], None]) -> None:
        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=deal, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def _echo(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            self._open.append(peer)
            peer.sendall(f"{self.name}\n".encode())
            while data := peer.recv(4096):
                peer.sendall(data)

    def _check(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            asker = peer.recv(4096).lower().partition(b"host: ")[2].split(b"\r")[0].decode()
            health = self.script.pop(0) if self.script and asker == "database" else self.health
            if health == FULL:
                health = FIT if asker == "database-any" else UNFIT
            self.checks.append((asker, health))
            while health == SILENT:
                if not peer.recv(1):
                    return
            peer.sendall(ANSWERS[health] + END)


class Haproxy:
    """A real haproxy with the configuration `text`, whose control socket is in `folder`."""

    def __init__(self, text: str, folder: Path) -> None:
        self._socket = folder / "control.sock"
        config = folder / "haproxy.cfg"
        head = f"global\n  maxconn 500\n  stats socket {self._socket} mode 600 level admin\n"
        config.write_text(head + text)
        self._log = (folder / "haproxy.log").open("w")
        argv = ["/usr/sbin/haproxy", "-db", "-f", str(config)]
        self.process = subprocess.Popen(argv, stdout=self._log, stderr=subprocess.STDOUT)
        wait_until(self._socket.exists)

    def ask(self, command: str) -> str:
        """What the control socket answers to `command`."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self._socket))
            sock.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: sock.recv(65536), b"")).decode()

    def states(self, front: str) -> dict[str, str]:
        """Each member's state in `front`: UP, DOWN, or on the way to the other one, such as `UP 1/2`."""
        return {row["svname"]: row["status"] for row in self._servers(front)}

    def downs(self, front: str) -> dict[str, int]:
        """How often each member of `front` was marked down."""
        return {row["svname"]: int(row["chkdown"]) for row in self._servers(front)}

    def _servers(self, front: str) -> list[dict[str, str]]:
        rows = csv.DictReader(io.StringIO(self.ask(f"show stat {front} 4 -1").removeprefix("# ")))
        return [row for row in rows if row["pxname"] == front]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()


class Client:
    """A client's session through haproxy; `member` is who greeted it, empty when nobody did."""

    def __init__(self, address: str, port: int) -> None:
        self._sock = socket.create_connection((address, port), 3)
        self.member = self._take().decode().strip()

    def _take(self) -> bytes:
        try:
            return self._sock.recv(100)
        except OSError:
            return b""

    def open(self) -> bool:
        """True while the session works both ways."""
        try:
            self._sock.sendall(b"ping")
        except OSError:
            return False
        return self._take() == b"ping"

    def close(self) -> None:
        self._sock.close()


@contextlib.contextmanager
def session(address: str, port: int) -> Iterator[Client]:
    client = Client(address, port)
    try:
        yield client
    finally:
        client.close()

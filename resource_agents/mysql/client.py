"""One connection to a MariaDB or MySQL server, for an agent's questions.

Invariant: nothing waits longer than the time-out given for it, however slowly the server drips (a frozen mariadbd
still accepts connections, by its kernel's hands), and no answer larger than packet.LARGEST is held.

    >>> with Connection.connect("/run/mysqld/mysqld.sock", "root", "", 1.0) as connection:
    ...     connection.query("SELECT 1")
    [('1',)]
"""

import _socket
import time

from resource_agents.mysql import packet
from resource_agents.mysql.packet import SqlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Connection", "SqlError"]
QUERY = b"\x03"
GOOD_BYE = b"\x01\0\0\0\x01"
"""COM_QUIT, as a whole packet."""


class Connection:
    """A session that is logged in. OSError (TimeoutError among them): no answer; ValueError: no MySQL server;
    SqlError: it says no. After any of the three the connection is of no more use: close it.
    """

    def __init__(self, sock: _socket.socket, timeout_s: float, clock: "Callable[[], float]") -> None:
        self._sock = sock
        self._timeout_s = timeout_s
        self._clock = clock
        self._end = clock() + timeout_s
        self._buffer = b""
        self._next = 0
        self.version = ""

    @classmethod
    def connect(
        cls, where: str | tuple[str, int], user: str, password: str, timeout_s: float,
        clock: "Callable[[], float]" = time.monotonic,
    ) -> "Connection":  # fmt: skip
        """Connect to a unix socket (a path) or to a numeric address and port, and log in, within `timeout_s`.

        Over the unix socket, no password is needed where the account is identified by unix_socket.
        """
        family = _socket.AF_UNIX if isinstance(where, str) else _socket.AF_INET6 if ":" in where[0] else _socket.AF_INET
        sock = _socket.socket(family, _socket.SOCK_STREAM)
        try:
            sock.settimeout(max(timeout_s, 0.001))
            self = cls(sock, timeout_s, clock)
            sock.connect(where)
            self._log_in(user, password)
        except BaseException:
            sock.close()
            raise
        return self

    def query(self, sql: str, timeout_s: float | None = None) -> list[tuple[str, ...]]:
        """The rows that `sql` gives, as text, within `timeout_s` (as long as connecting could take, by default)."""
        self.ask(sql, timeout_s)
        return self.answer(self._end - self._clock())

    def ask(self, sql: str, timeout_s: float | None = None) -> None:
        """Send `sql` within `timeout_s`; its `answer` is to be read before anything else is asked."""
        self._end = self._clock() + (self._timeout_s if timeout_s is None else timeout_s)
        self._next = 0
        self._send(QUERY + sql.encode())

    def answer(self, timeout_s: float) -> list[tuple[str, ...]]:
        """The rows that come within `timeout_s` of what was asked."""
        self._end = self._clock() + timeout_s
        columns = packet.parse_count(self._receive())
        rows: list[tuple[str, ...]] = []
        if not columns:
            return rows
        while not packet.is_end(self._receive()):
            pass
        size = 0
        while not packet.is_end(payload := self._receive()):
            size += len(payload)
            if size > packet.LARGEST:
                raise ValueError(f"an answer of more than {packet.LARGEST} bytes")
            rows.append(tuple(packet.parse_row(payload, columns)))
        return rows

    def fileno(self) -> int:
        """The socket's file descriptor, for who waits on several."""
        return self._sock.fileno()

    def close(self) -> None:
        """Say good-bye, without which the server logs an aborted connection, and hang up; waits for nothing."""
        try:
            self._sock.settimeout(0)
            self._sock.send(GOOD_BYE)
        except OSError:
            pass
        finally:
            self._sock.close()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _log_in(self, user: str, password: str) -> None:
        greeting = packet.parse_greeting(self._receive())
        self.version = greeting.version
        self._send(packet.login(user, packet.native_answer(password, greeting.salt), packet.NATIVE))
        for _ in range(4):
            payload = self._receive()
            packet.refuse(payload)
            if payload[0] == packet.OK:
                return
            if payload[0] != packet.END:
                break
            plugin, salt = packet.parse_switch(payload)
            self._send(packet.native_answer(password, salt) if plugin == packet.NATIVE else b"")
        raise ValueError(f"a log-in that this client does not know: {payload[:40]!r}")

    def _send(self, payload: bytes) -> None:
        data = len(payload).to_bytes(3, "little") + bytes([self._next]) + payload
        self._next = (self._next + 1) % 256
        while data:
            self._wait()
            data = data[self._sock.send(data) :]

    def _receive(self) -> bytes:
        """The next packet's payload."""
        head = self._take(4)
        size = int.from_bytes(head[:3], "little")
        if size > packet.LARGEST:
            raise ValueError(f"not a MySQL packet: {head!r}")
        self._next = (head[3] + 1) % 256
        return self._take(size)

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._wait()
            chunk = self._sock.recv(65536)
            if not chunk:
                raise ConnectionResetError(104, "the server hung up")
            self._buffer += chunk
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _wait(self) -> None:
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError(110, "no answer in time")
        self._sock.settimeout(left)

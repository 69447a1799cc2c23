"""An HTTP connection that stays open, for asking a server many times at little cost to it.

Invariant: after any error the connection is of no more use; what is read of an answer is bounded.
"""

import socket

LONGEST = 8192
SOME = 4096


class Kept:
    """A connection to the numeric address `where`, made within `timeout_s`. OSError: it has ended, or there is no
    answer in time; ValueError: what comes is no HTTP.
    """

    def __init__(self, where: tuple[str, int], timeout_s: float) -> None:
        self._sock = socket.create_connection(where, timeout_s)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = where[0]

    def ask(self, path: str) -> None:
        """Send HEAD for `path`; its `answer` is to be read before the next one is sent."""
        self._sock.sendall(f"HEAD {path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())

    def answer(self, timeout_s: float) -> int:
        """The status code of what comes, each part of it within `timeout_s`."""
        self._sock.settimeout(timeout_s)
        answer = b""
        while b"\r\n\r\n" not in answer:
            chunk = self._sock.recv(SOME)
            if not chunk:
                raise ConnectionResetError(104, "the server hung up")
            answer += chunk
            if len(answer) > LONGEST:
                raise ValueError(f"not an HTTP answer: {answer[:40]!r}")
        words = answer.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise ValueError(f"not an HTTP answer: {answer[:40]!r}")
        return int(words[1])

    def fileno(self) -> int:
        """The socket's file descriptor, for who waits on it."""
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()

"""The endpoint's HTTP: real sockets, looks that a test lets end."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_agents.endpoint import server as endpoint
from resource_agents.endpoint.request import LONGEST, answer, path_of
from resource_agents.endpoint.server import Server, listen
from resource_agents.endpoint.watch import Look

GET = "GET {} HTTP/1.0\r\n\r\n"


class FakeLook(Look):
    """A look that ends when `go` is set."""

    def __init__(self, finding: str = "", *, waits: bool = False) -> None:
        self.finding = finding
        self.looks = 0
        self.go = threading.Event()
        if not waits:
            self.go.set()

    def __call__(self) -> str:
        self.looks += 1
        self.go.wait(10)
        if self.finding == "raise":
            raise RuntimeError("a look's own fault")
        return self.finding


@contextmanager
def served(**looks: FakeLook) -> Iterator[int]:
    """The port of an endpoint that serves `looks` until the end."""
    listener = listen("127.0.0.1", 0)
    made, ended = Server(listener, {f"/{name}": look for name, look in looks.items()}), threading.Event()

    def turn() -> None:
        while not ended.is_set():
            made.turn()

    thread = threading.Thread(target=turn)
    thread.start()
    port = listener.getsockname()[1]
    yield port
    for look in looks.values():
        look.go.set()
    ended.set()
    socket.create_connection(("127.0.0.1", port), 10).close()
    thread.join()
    listener.close()


def send(port: int, data: bytes) -> str:
    """All that comes back for `data`, until the endpoint ends the connection."""
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(data)
        return b"".join(iter(lambda: sock.recv(4096), b"")).decode()


def line(port: int, path: str) -> str:
    """The status line for `path`."""
    return send(port, GET.format(path).encode()).partition("\r\n")[0]


def test_fit_unfit_and_its_own_life() -> None:
    with served(galera=FakeLook(), rabbitmq=FakeLook("Joined (3)")) as port:
        assert line(port, "/galera") == "HTTP/1.1 200 OK"
        assert line(port, "/rabbitmq") == "HTTP/1.1 503 Joined (3)"
        assert line(port, "/health") == "HTTP/1.1 200 OK"
        assert line(port, "/mongodb") == "HTTP/1.1 404 Not Found"
        assert send(port, GET.format("/rabbitmq").encode()).endswith("\r\n\r\nJoined (3)\n")


def test_a_service_that_keeps_its_look_waiting_keeps_nobody_else_waiting() -> None:
    frozen = FakeLook(waits=True)
    with served(galera=frozen, rabbitmq=FakeLook()) as port:
        assert line(port, "/galera").startswith("HTTP/1.1 503 no answer for ")
        assert line(port, "/rabbitmq") == "HTTP/1.1 200 OK"
        assert line(port, "/galera").startswith("HTTP/1.1 503 no answer for ")
        assert frozen.looks == 1
        frozen.go.set()
        assert wait_for(lambda: line(port, "/galera") == "HTTP/1.1 200 OK")


class QuickLook(FakeLook):
    """A look that is answered at once, or not."""

    answers: str | None = ""

    def quick(self) -> str | None:
        return self.answers


def test_what_is_answered_at_once_needs_no_call() -> None:
    look = QuickLook("Joined (3)")
    with served(galera=look) as port:
        assert line(port, "/galera") == "HTTP/1.1 200 OK"
        assert look.looks == 0
        look.answers = None
        assert wait_for(lambda: line(port, "/galera") == "HTTP/1.1 503 Joined (3)")


def test_a_look_that_fails_by_its_own_fault_is_a_reason_and_not_the_end() -> None:
    look = FakeLook("raise")
    with served(galera=look) as port:
        assert line(port, "/galera") == "HTTP/1.1 503 RuntimeError: a look's own fault"
        look.finding = ""
        assert wait_for(lambda: line(port, "/galera") == "HTTP/1.1 200 OK")


def test_a_request_may_come_in_pieces() -> None:
    with served(galera=FakeLook()) as port, socket.create_connection(("127.0.0.1", port), 10) as sock:
        for piece in (b"GET /gal", b"era HTTP/1.1\r\nHost: x\r\n", b"\r\n"):
            sock.sendall(piece)
        assert sock.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"hello\r\n\r\n", 400), (b"POST /health HTTP/1.1\r\n\r\n", 405), (b"GET /health SPDY/3\r\n\r\n", 400),
     (b"x" * LONGEST, 400), (b"OPTIONS /health HTTP/1.0\r\n\r\n", 200), (b"GET /health?x=1 HTTP/1.0\n\n", 200)],
)  # fmt: skip
def test_what_is_no_request_is_refused(data: bytes, code: int) -> None:
    with served(galera=FakeLook()) as port:
        assert send(port, data).startswith(f"HTTP/1.1 {code} ")


def test_who_only_holds_connections_shuts_nobody_out() -> None:
    with served(galera=FakeLook()) as port:
        idle = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(endpoint.MOST + 20)]
        for sock in idle:
            sock.sendall(b"G")
        assert line(port, "/galera") == "HTTP/1.1 200 OK"
        for sock in idle:
            sock.close()


def test_an_asker_that_hangs_up_is_forgotten() -> None:
    with served(galera=FakeLook(waits=True)) as port:
        socket.create_connection(("127.0.0.1", port), 10).close()
        with socket.create_connection(("127.0.0.1", port), 10) as sock:
            sock.sendall(GET.format("/galera").encode())
        assert line(port, "/health") == "HTTP/1.1 200 OK"


@given(st.text())
def test_any_reason_makes_one_status_line(reason: str) -> None:
    head, _, body = answer(503, reason).partition(b"\r\n\r\n")
    assert head.count(b"\r\n") == 4
    assert f"Content-Length: {len(body)}".encode() in head


@given(st.binary(max_size=100))
def test_any_bytes_are_a_path_a_refusal_or_not_all_yet(data: bytes) -> None:
    assert isinstance(path_of(data + b"\r\n\r\n"), str | int)


def wait_for(true: Callable[[], bool]) -> bool:
    """True as soon as `true()` is; False when it is not within 10 s."""
    end = time.monotonic() + 10
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.005)
    return found

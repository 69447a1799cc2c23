"""The one HTTP request: what counts as an address, what counts as an answer, and that no server can hold it up."""

import socket
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tcp_peer import peer

from resource_agents.ocf.http import get_status, parse_status, parse_target


def say(answer: bytes) -> Callable[[socket.socket], None]:
    def treat(peer: socket.socket) -> None:
        peer.recv(1000)
        peer.sendall(answer)

    return treat


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("127.0.0.1:8405", ("127.0.0.1", 8405, "/health")),
        ("localhost:80", ("127.0.0.1", 80, "/health")),
        ("http://10.0.0.1:9292/healthcheck", ("10.0.0.1", 9292, "/healthcheck")),
        ("http://[fd00::1]:9292/a/b?c=d", ("fd00::1", 9292, "/a/b?c=d")),
        ("[::1]:1/", ("::1", 1, "/")),
    ],
)
def test_targets(text: str, target: tuple[str, int, str]) -> None:
    assert parse_target(text, "/health") == target


@pytest.mark.parametrize(
    "text",
    ["", "foo", "foo:80", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:x", "10.0.0.256:1", "::1:80", "[::1]",
     "https://10.0.0.1:1/", "10.0.0.1:80/a b", "10.0.0.1:80/a\r\nX: y", "user@10.0.0.1:80"],
)  # fmt: skip
def test_no_targets(text: str) -> None:
    with pytest.raises(ValueError, match=r"names no port|no numeric address|forbids"):
        parse_target(text)


@given(st.text(max_size=40))
def test_a_target_is_parsed_or_refused(text: str) -> None:
    try:
        host, port, path = parse_target(text)
    except ValueError:
        return
    assert 0 < port < 65536
    assert path.startswith("/")
    assert "\n" not in path + host


@given(st.binary(max_size=80))
def test_an_answer_is_parsed_or_refused(answer: bytes) -> None:
    try:
        assert 0 <= parse_status(answer) <= 999
    except ValueError:
        return


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"HTTP/1.1 200 OK\r\n\r\nbody", 200), (b"HTTP/1.0 503\n", 503), (b"HTTP/1.1 404 Not\r\nFound", 404)],
)
def test_answers(answer: bytes, status: int) -> None:
    with peer(say(answer)) as port:
        assert get_status(("127.0.0.1", port, "/"), 2, time.monotonic) == status


def test_the_request_is_one_that_servers_understand() -> None:
    seen = []

    def answer(peer: socket.socket) -> None:
        seen.append(peer.recv(1000))
        peer.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

    with peer(answer) as port:
        get_status(("127.0.0.1", port, "/health"), 2, time.monotonic)
    assert seen == [b"GET /health HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"]


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 OK\r\n", b"\0" * 2000])
def test_what_is_not_http_is_refused(answer: bytes) -> None:
    with peer(say(answer)) as port, pytest.raises(ValueError, match="not an HTTP answer"):
        get_status(("127.0.0.1", port, "/"), 2, time.monotonic)


def test_a_server_that_drips_is_given_up_in_time() -> None:
    def drip(peer: socket.socket) -> None:
        for _ in range(100):
            peer.sendall(b"H")
            time.sleep(0.05)

    begun = time.monotonic()
    with peer(drip) as port:
        with pytest.raises(TimeoutError):
            get_status(("127.0.0.1", port, "/"), 0.3, time.monotonic)
        assert time.monotonic() - begun < 0.6


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        get_status(("127.0.0.1", port, "/"), 1, time.monotonic)

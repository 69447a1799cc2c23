"""The AMQP handshake: what a broker's greeting is, what is not, and that nobody can hold it up."""

import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tcp_peer import peer

from resource_agents.amqp.handshake import CONNECTION_START, HEADER, check, judge

GREETING = b"\x01\x00\x00\x00\x00\x01\xf8" + CONNECTION_START + b"\x00\x00\x01\xd3"


def test_a_brokers_greeting() -> None:
    seen = []

    def greet(sock: socket.socket) -> None:
        seen.append(sock.recv(100))
        for part in (GREETING[:3], GREETING[3:9], GREETING[9:]):
            sock.sendall(part)

    with peer(greet) as port:
        check("127.0.0.1", port, 2, time.monotonic)
    assert seen == [HEADER]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [(b"", "without an answer"), (b"AMQP\x00\x01\x00\x00", "another AMQP version"),
     (b"HTTP/1.1 400 Bad Request\r\n", "not an AMQP broker"), (GREETING[:8], "not an AMQP broker")],
)  # fmt: skip
def test_what_is_no_broker(answer: bytes, complaint: str) -> None:
    def say(sock: socket.socket) -> None:
        sock.recv(100)
        sock.sendall(answer)

    with peer(say) as port, pytest.raises(ValueError, match=complaint):
        check("127.0.0.1", port, 2, time.monotonic)


def test_a_silent_broker_is_given_up() -> None:
    """A frozen one: the kernel accepts, nobody answers."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(TimeoutError, match=r"no answer within 0\.10 s"),
    ):
        check("127.0.0.1", listener.getsockname()[1], 0.1, time.monotonic)


def test_a_dripping_server_is_given_up() -> None:
    def drip(sock: socket.socket) -> None:
        for byte in GREETING:
            sock.sendall(bytes((byte,)))
            time.sleep(0.1)

    with peer(drip) as port, pytest.raises(TimeoutError):
        check("127.0.0.1", port, 0.25, time.monotonic)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        check("127.0.0.1", port, 1, time.monotonic)


@given(st.binary(max_size=40))
def test_an_answer_is_judged_or_refused(answer: bytes) -> None:
    try:
        judge(answer)
    except ValueError:
        return
    assert answer[7:13] == CONNECTION_START

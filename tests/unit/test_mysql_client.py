"""The MySQL client against a scripted server: what it understands, and that nothing can make it wait or swell."""

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_agents.mysql import packet
from resource_agents.mysql.client import Connection, SqlError
from resource_agents.wsrep import status

SALT = bytes(range(1, 21))
GREETING = (
    b"\x0a5.5.5-10.11-MariaDB\0" + b"\x07\0\0\0" + SALT[:8] + b"\0" + b"\xfe\xf7" + b"\x2d" + b"\2\0" + b"\xff\x81"
    b"\x15" + bytes(10) + SALT[8:] + b"\0" + b"mysql_native_password\0"
)
OKAY = b"\0\0\0\2\0\0\0"
END = b"\xfe\0\0\2\0"
DENIED = b"\xff\x15\x04#28000Access denied"


def text(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()


@contextmanager
def server(folder: Path, *answers: list[bytes], drip_s: float = 0.0) -> Iterator[str]:
    """A socket's path; behind it, each list of packets is sent after the client's next packet, the first at once."""
    path = str(folder / f"sql-{time.monotonic_ns()}.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def serve() -> None:
        try:
            peer = listener.accept()[0]
            number = 0
            for packets in answers:
                for payload in packets:
                    data = len(payload).to_bytes(3, "little") + bytes([number % 256]) + payload
                    for each in [data[i : i + 1] for i in range(len(data))] if drip_s else [data]:
                        peer.sendall(each)
                        time.sleep(drip_s)
                    number += 1
                if not peer.recv(4096):
                    break
            peer.close()
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield path
    listener.close()


def test_rows_are_text_and_null_is_empty(tmp_path: Path) -> None:
    rows = [b"\2", text("column"), text("column"), END, text("wsrep_ready") + text("ON"), b"\xfb" + text("x"), END]
    with server(tmp_path, [GREETING], [OKAY], rows) as path, Connection.connect(path, "root", "", 2) as connection:
        assert connection.version == "5.5.5-10.11-MariaDB"
        assert connection.query("SELECT 1") == [("wsrep_ready", "ON"), ("", "x")]


def test_a_switch_of_the_log_in_method_is_followed(tmp_path: Path) -> None:
    switch = b"\xfemysql_native_password\0" + SALT + b"\0"
    with server(tmp_path, [GREETING], [switch], [OKAY], [OKAY]) as path:
        assert Connection.connect(path, "root", "secret", 2).query("DO 1") == []


def test_refusals_have_their_number(tmp_path: Path) -> None:
    with server(tmp_path, [GREETING], [DENIED]) as path, pytest.raises(SqlError, match="Access denied") as caught:
        Connection.connect(path, "root", "", 2)
    assert caught.value.code == 1045
    with server(tmp_path, [b"\xff\x10\x04Too many connections"]) as path, pytest.raises(SqlError) as caught:
        Connection.connect(path, "root", "", 2)
    assert (caught.value.code, str(caught.value)) == (1040, "error 1040: Too many connections")


def test_a_silent_server_is_a_time_out(tmp_path: Path) -> None:
    """A frozen one's kernel still accepts connections."""
    path = str(tmp_path / "frozen.sock")
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(path)
        frozen.listen()
        with pytest.raises(TimeoutError):
            Connection.connect(path, "root", "", 0.1)


def test_a_dripping_server_is_a_time_out(tmp_path: Path) -> None:
    with server(tmp_path, [GREETING], drip_s=0.02) as path, pytest.raises(TimeoutError):
        Connection.connect(path, "root", "", 0.2)


@pytest.mark.parametrize("first", [b"SSH-2.0", b"\x0a5.5\0", b"", b"\x09old\0" + bytes(60)])
def test_what_is_no_mysql_server_is_said(tmp_path: Path, first: bytes) -> None:
    with server(tmp_path, [first]) as path, pytest.raises(ValueError, match=r"MySQL|empty"):
        Connection.connect(path, "root", "", 2)


def test_an_endless_answer_is_refused(tmp_path: Path) -> None:
    row = b"\xfd" + (60000).to_bytes(3, "little") + b"x" * 60000
    rows = [b"\1", text("column"), END, *[row] * 40]
    with server(tmp_path, [GREETING], [OKAY], rows) as path:
        connection = Connection.connect(path, "root", "", 5)
        with pytest.raises(ValueError, match="more than"):
            connection.query("SELECT 1")


@given(st.binary(max_size=80), st.integers(0, 4))
def test_no_bytes_break_the_parsers(payload: bytes, columns: int) -> None:
    for parse in (packet.parse_greeting, packet.parse_count, packet.refuse):
        with suppress(ValueError, SqlError):
            parse(payload)
    with suppress(ValueError, SqlError):
        assert len(packet.parse_row(payload, columns)) == columns


def test_the_password_is_scrambled_over_the_salt() -> None:
    """Against the server's own check: SHA1(SHA1(password)) is what it stores. (tests/agents asks a real server.)"""
    assert packet.native_answer("", SALT) == b""
    stored = hashlib.sha1(hashlib.sha1(b"secret").digest()).digest()  # noqa: S324
    mask = hashlib.sha1(SALT + stored).digest()  # noqa: S324
    unmasked = bytes(a ^ b for a, b in zip(packet.native_answer("secret", SALT), mask, strict=True))
    assert hashlib.sha1(unmasked).digest() == stored  # noqa: S324


def status_rows(**values: str) -> list[bytes]:
    rows = [text(f"wsrep_{name}") + text(value) for name, value in values.items()]
    return [b"\2", text("a"), text("b"), END, *rows, END]


def test_status_of_a_synced_member(tmp_path: Path) -> None:
    rows = status_rows(ready="ON", cluster_status="Primary", local_state="4", local_state_comment="Synced",
                       cluster_size="3", local_state_uuid="u-1", last_committed="77")  # fmt: skip
    with server(tmp_path, [GREETING], [OKAY], rows) as path, Connection.connect(path, "root", "", 2) as connection:
        seen = status.read(connection)
    assert (seen.synced, seen.uuid, seen.last_committed, seen.cluster_size) == (True, "u-1", 77, 3)


def test_status_of_a_member_without_quorum(tmp_path: Path) -> None:
    rows = status_rows(ready="OFF", cluster_status="non-Primary", local_state="0", local_state_comment="Initialized",
                       cluster_size="1", local_state_uuid="0000-0000", cluster_state_uuid="u-2")  # fmt: skip
    with server(tmp_path, [GREETING], [OKAY], rows) as path, Connection.connect(path, "root", "", 2) as connection:
        seen = status.read(connection)
    assert (seen.primary, seen.synced, seen.uuid, seen.last_committed) == (False, False, "u-2", -1)


def test_a_server_without_wsrep_is_told(tmp_path: Path) -> None:
    with server(tmp_path, [GREETING], [OKAY], status_rows(ready="OFF")) as path:
        connection = Connection.connect(path, "root", "", 2)
        with pytest.raises(ValueError, match="wsrep_on"):
            status.read(connection)

"""Questions to the kernel by netlink(7): what every family of them has in common.

Invariant: an answer that is an error is an OSError or a number that the caller asked for, never an empty answer.
"""

import _socket
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

ERROR, DONE = 2, 3
REQUEST, ACK, EXCLUSIVE, DUMP, CREATE = 0x1, 0x4, 0x200, 0x300, 0x400
HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence, port id."""
ATTRIBUTE = struct.Struct("=HH")
"""struct rtattr: length, type."""
NUMBER = 0x3FFF
"""The part of an attribute's type that is no flag (nested, network byte order)."""
ANSWER_S = 2.0
"""How long the kernel may take; it answers within the call."""


def asking(protocol: int, work: "Callable[[_socket.socket], T]") -> "T":
    """What `work` finds out on a socket of its own, on which the kernel answers."""
    sock = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, protocol)
    try:
        sock.settimeout(ANSWER_S)
        return work(sock)
    finally:
        sock.close()


def request(kind: int, flags: int, body: bytes) -> bytes:
    """One message to the kernel."""
    return HEADER.pack(HEADER.size + len(body), kind, flags | REQUEST, 1, 0) + body


def exchange(sock: _socket.socket, message: bytes) -> list[tuple[int, bytes]]:
    """The messages that answer `message`, which is no dump."""
    sock.send(message)
    return messages(sock.recv(1 << 16))


def dump(sock: _socket.socket, kind: int, body: bytes) -> list[bytes]:
    """The bodies of all that the kernel lists for a request of `kind`; OSError when it refuses."""
    sock.send(request(kind, DUMP, body))
    found: list[bytes] = []
    while True:
        for answer, content in messages(sock.recv(1 << 17)):
            if answer == DONE:
                return found
            if number := failure(answer, content):
                raise OSError(number, os.strerror(number))
            found.append(content)


def messages(data: bytes) -> list[tuple[int, bytes]]:
    """The netlink messages in one datagram: (type, body)."""
    found = []
    while len(data) >= HEADER.size:
        length, kind, *_ = HEADER.unpack_from(data)
        if length < HEADER.size:
            break
        found.append((kind, data[HEADER.size : length]))
        data = data[(length + 3) & ~3 :]
    return found


def failure(kind: int, body: bytes) -> int:
    """The errno that a message reports; 0: it is none, or says that all is well."""
    return -int(struct.unpack_from("=i", body)[0]) if kind == ERROR else 0


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to the next one's place."""
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes that follow a message's fixed part, by type; what is cut short is left out."""
    found = {}
    while len(data) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(data)
        if not ATTRIBUTE.size <= length <= len(data):
            break
        found[kind & NUMBER] = data[ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]
    return found

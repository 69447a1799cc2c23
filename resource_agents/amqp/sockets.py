"""This host's TCP connections: which there are, which are gone, and the end of those that nobody should wait on.

Invariant: only connections that were asked for are closed, in our own network namespace. The owner
reads ECONNABORTED at once, instead of waiting for a time-out of its own: a silent death (no RST) is as quick as a
killed process. sock_diag(7), SOCK_DESTROY: root, and CONFIG_INET_DIAG_DESTROY (set in Debian's kernels since 11).
"""

import _socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

DISTRIBUTION = 25672
"""The port of Erlang's distribution between brokers (rabbitmq.com/networking)."""
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
SOCK_DESTROY = 21
ERROR, DONE = 2, 3
REQUEST, ACK, DUMP = 1, 4, 0x300
HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence, port id (netlink(7))."""
QUERY = struct.Struct("=BBBBI")
"""The head of struct inet_diag_req_v2: family, protocol, extensions, padding, states; a socket's id follows."""
ID = struct.Struct("!HH16s16s4s8s")
"""struct inet_diag_sockid: ports and addresses in network order; interface and cookie as the kernel gave them."""
ID_OFFSET = 4
"""struct inet_diag_msg: family, state, timer and retransmits stand before the id."""
LISTEN, TIME_WAIT, CLOSE = 10, 6, 7
STATES = 0xFFF & ~(1 << LISTEN | 1 << TIME_WAIT | 1 << CLOSE)
"""Every state in which somebody waits for the peer (include/net/tcp_states.h)."""


class Connections:
    """A broker's connections on its own IPv4 `address`: the clients of its port `amqp`, and its peers in Erlang's
    distribution (its own tools come that way too, and are none). Each is known by what the kernel calls it; no two ever
    have the same name.
    """

    def __init__(self, address: str, amqp: int, distribution: int = DISTRIBUTION) -> None:
        self._own, self._amqp, self._distribution = _packed(address), amqp, distribution

    def all(self) -> tuple[frozenset[bytes], dict[bytes, str]]:
        """(clients, peers' addresses by their connections). 2.5 ms of CPU: the kernel walks its whole table."""
        clients, peers = set(), {}
        for each in _asking(lambda sock: _dump(sock, _socket.AF_INET)):
            port, far_port, own, far, *_ = ID.unpack(each)
            if own == self._own and port == self._amqp:
                clients.add(each)
            elif own == self._own != far and self._distribution in (port, far_port):
                peers[each] = _socket.inet_ntop(_socket.AF_INET, far[:4])
        return frozenset(clients), peers

    def there(self, connection: bytes) -> bool:
        """Whether `connection` still is; 20 us."""
        request = _request(SOCK_DIAG_BY_FAMILY, REQUEST, _socket.AF_INET, connection)
        return all(kind != ERROR for kind, _ in messages(_asking(lambda sock: _exchange(sock, request))))

    def close(self, connections: frozenset[bytes]) -> None:
        """End `connections`. OSError as `close_all`."""

        def close(sock: _socket.socket) -> None:
            for each in connections:
                _destroy(sock, _socket.AF_INET, each)

        _asking(close)


def close_all(address: str, ports: frozenset[int]) -> int:
    """Close the connections whose far end is `address` and of whose two ports one is in `ports`; how many there were.

    OSError: no root, or a kernel without SOCK_DESTROY (EOPNOTSUPP).
    """
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    far = _packed(address)

    def close(sock: _socket.socket) -> int:
        found = [
            each for each in _dump(sock, family)
            if (fields := ID.unpack(each))[3] == far and ports & {fields[0], fields[1]}
        ]  # fmt: skip
        for each in found:
            _destroy(sock, family, each)
        return len(found)

    return _asking(close)


def _packed(address: str) -> bytes:
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    return _socket.inet_pton(family, address).ljust(16, b"\0")


def _asking(work: "Callable[[_socket.socket], T]") -> "T":
    """What `work` finds out on a socket of its own, on which the kernel answers."""
    sock = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, NETLINK_SOCK_DIAG)
    try:
        sock.settimeout(2.0)
        return work(sock)
    finally:
        sock.close()


def _exchange(sock: _socket.socket, request: bytes) -> bytes:
    sock.send(request)
    return sock.recv(1 << 16)


def _request(kind: int, flags: int, family: int, identity: bytes) -> bytes:
    body = QUERY.pack(family, _socket.IPPROTO_TCP, 0, 0, STATES) + identity
    return HEADER.pack(HEADER.size + len(body), kind, flags, 1, 0) + body


def _dump(sock: _socket.socket, family: int) -> list[bytes]:
    """The id of every TCP connection of `family` in this network namespace."""
    sock.send(_request(SOCK_DIAG_BY_FAMILY, REQUEST | DUMP, family, bytes(ID.size)))
    found: list[bytes] = []
    while True:
        for kind, body in messages(sock.recv(1 << 17)):
            if kind == DONE:
                return found
            if kind == ERROR:
                _raise(body)
            found.append(body[ID_OFFSET : ID_OFFSET + ID.size])


def _destroy(sock: _socket.socket, family: int, identity: bytes) -> None:
    for kind, body in messages(_exchange(sock, _request(SOCK_DESTROY, REQUEST | ACK, family, identity))):
        if kind == ERROR:
            _raise(body)


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


def _raise(body: bytes) -> None:
    """OSError for an error message; a connection that has gone meanwhile (ENOENT) is as good as closed."""
    (number,) = struct.unpack_from("=i", body)
    if number not in (0, -2):
        raise OSError(-number, "the kernel does not close sockets for us (CONFIG_INET_DIAG_DESTROY, root)")

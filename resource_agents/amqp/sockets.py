"""This host's TCP connections: which there are, which are gone, and the end of those that nobody should wait on.

Invariant: only connections that were asked for are closed, in our own network namespace. The owner
reads ECONNABORTED at once, instead of waiting for a time-out of its own: a silent death (no RST) is as quick as a
killed process. sock_diag(7), SOCK_DESTROY: root, and CONFIG_INET_DIAG_DESTROY (set in Debian's kernels since 11).
"""

import _socket

from resource_agents.ocf import netlink, tcp
from resource_agents.ocf.tcp import ID, NETLINK_SOCK_DIAG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DISTRIBUTION = 25672
"""The port of Erlang's distribution between brokers (rabbitmq.com/networking)."""
SOCK_DESTROY = 21
ENOENT = 2


class Connections:
    """A broker's connections on its own IPv4 `address`: the clients of its port `amqp`, and its peers in Erlang's
    distribution (its own tools come that way too, and are none). Each is known by what the kernel calls it; no two ever
    have the same name.
    """

    def __init__(self, address: str, amqp: int, distribution: int = DISTRIBUTION) -> None:
        self._own, self._amqp, self._distribution = _packed(address), amqp, distribution

    def all(self) -> tuple[frozenset[bytes], dict[bytes, str]]:
        """(clients, peers' addresses by their connections)."""
        clients, peers = set(), {}
        for each in netlink.asking(NETLINK_SOCK_DIAG, lambda sock: tcp.identities(sock, _socket.AF_INET)):
            port, far_port, own, far, *_ = ID.unpack(each)
            if own == self._own and port == self._amqp:
                clients.add(each)
            elif own == self._own != far and self._distribution in (port, far_port):
                peers[each] = _socket.inet_ntop(_socket.AF_INET, far[:4])
        return frozenset(clients), peers

    def there(self, connections: "Iterable[bytes]") -> bool:
        """Whether all `connections` still are; 20 us for each."""

        def look(sock: _socket.socket) -> bool:
            asked = (
                netlink.request(tcp.SOCK_DIAG_BY_FAMILY, 0, tcp.query(_socket.AF_INET, each)) for each in connections
            )
            return all(kind != netlink.ERROR for request in asked for kind, _ in netlink.exchange(sock, request))

        return netlink.asking(NETLINK_SOCK_DIAG, look)

    def close(self, connections: frozenset[bytes]) -> None:
        """End `connections`. OSError as `close_all`."""

        def close(sock: _socket.socket) -> None:
            for each in connections:
                _destroy(sock, _socket.AF_INET, each)

        netlink.asking(NETLINK_SOCK_DIAG, close)


def close_all(address: str, ports: frozenset[int]) -> int:
    """Close the connections whose far end is `address` and of whose two ports one is in `ports`; how many there were.

    OSError: no root, or a kernel without SOCK_DESTROY (EOPNOTSUPP).
    """
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    far = _packed(address)

    def close(sock: _socket.socket) -> int:
        found = [
            each for each in tcp.identities(sock, family)
            if (fields := ID.unpack(each))[3] == far and ports & {fields[0], fields[1]}
        ]  # fmt: skip
        for each in found:
            _destroy(sock, family, each)
        return len(found)

    return netlink.asking(NETLINK_SOCK_DIAG, close)


def _packed(address: str) -> bytes:
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    return _socket.inet_pton(family, address).ljust(16, b"\0")


def _destroy(sock: _socket.socket, family: int, identity: bytes) -> None:
    """OSError unless it is closed; a connection that has gone meanwhile (ENOENT) is as good as that."""
    request = netlink.request(SOCK_DESTROY, netlink.ACK, tcp.query(family, identity))
    for kind, body in netlink.exchange(sock, request):
        if (number := netlink.failure(kind, body)) not in (0, ENOENT):
            raise OSError(number, "the kernel does not close sockets for us (CONFIG_INET_DIAG_DESTROY, root)")

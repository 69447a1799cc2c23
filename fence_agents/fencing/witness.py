"""Does a node's own kernel still answer?

Invariant: only an answer of the node itself counts (a connection or a refusal, both made by a live kernel); silence
and errors of the way there count as none. Gateways and proxies answer for hosts that are dead, so nothing is sent
through one: an address that is not on a network of this host's own is as good as silent.
"""

from __future__ import annotations

import errno
import select
import socket
import time

PORT = 22
"""Any port does, open or closed; this one is the least likely to be dropped by a node's own firewall."""
_ALIVE = (0, errno.ECONNREFUSED)


def answering(addresses: list[str], timeout_s: float) -> str:
    """The first of `addresses` whose kernel answers a TCP SYN, or "" after the whole of `timeout_s` seconds.

    Silence is waited out, so that a caller may use this as the pause between two readings.
    """
    end = time.monotonic() + timeout_s
    pending = {}
    poller = select.poll()
    try:
        for address in addresses:
            sock = _connect(address)
            if sock:
                pending[sock.fileno()] = (sock, address)
                poller.register(sock, select.POLLOUT)
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return ""
            if not pending:
                time.sleep(left)
            for number, _ in poller.poll(max(1, left * 1000)) if pending else []:
                sock, address = pending.pop(number)
                poller.unregister(number)
                result = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                sock.close()
                if result in _ALIVE:
                    return address
    finally:
        for sock, _ in pending.values():
            sock.close()


def _connect(address: str) -> socket.socket | None:
    """A connection under way; None when there is no way to begin one (no route is silence, not an answer)."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1)
    if sock.connect_ex((address, PORT)) in (0, errno.EINPROGRESS, errno.ECONNREFUSED):
        return sock
    sock.close()
    return None

"""The endpoint's loop: askers in, answers out; the looks run beside it, each in a thread of its own.

Invariant: nothing in the loop waits for a service or for an asker. A look may hang; its thread hangs, and the loop
answers for it. At most `MOST` askers are connected, the oldest gives way to the newest, and none for longer than
`ASKER_S`.

haproxies ask fifty times a second, and most of an answer's CPU is the connection. So the sockets are the interpreter's
own (_socket): those of `socket` look up the names of their constants for each connection, a fifth of it all.
"""

import _socket
import os
import selectors
import time
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

from resource_agents.endpoint.request import GOOD, LONGEST, UNAVAILABLE, answer, path_of
from resource_agents.endpoint.watch import Look, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 64
"""Three haproxies with a few back-ends ask at once at most."""
ASKER_S = 1.0
ALIVE = "/health"
"""The path for the endpoint's own agent: an answer says that the loop turns."""
FIT = answer(GOOD)


class Asker:
    """One connection: what it has sent, and whose answer it waits for. `watched`: the selector tells of it; most are
    served before there is anything to wait for.
    """

    __slots__ = ("data", "sock", "until", "watch", "watched")

    def __init__(self, sock: _socket.socket, until: float) -> None:
        self.sock = sock
        self.until = until
        self.data = b""
        self.watch: Watch | None = None
        self.watched = False


class Server:
    """Answers on `listener` for the services in `looks`, by path."""

    def __init__(self, listener: _socket.socket, looks: "Mapping[str, Look]") -> None:
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._findings: SimpleQueue[tuple[Watch, str]] = SimpleQueue()
        self._watches = {path: self._watch(look) for path, look in looks.items()}
        self._askers: dict[int, Asker] = {}
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def run(self) -> None:
        """Serve; returns never."""
        while True:
            self.turn(None)

    def turn(self, longest_s: float | None) -> None:
        """Wait for the next event, `longest_s` at most, and deal with all there is."""
        now = time.monotonic()
        ends = [self._end(asker) for asker in self._askers.values()]
        waits = [max(0.0, end - now) for end in ends] + ([] if longest_s is None else [longest_s])
        events = self._selector.select(min(waits) if waits else None)
        now = time.monotonic()
        for key, _ in events:
            if key.fileobj is self._listener:
                self._accept(now)
            elif key.fd == self._wake:
                self._learn()
            elif asker := self._askers.get(key.fd):
                self._read(asker, now)
        self._expire(now)

    def _watch(self, look: Look) -> Watch:
        """A watch whose looks run in a thread of their own."""
        demand: SimpleQueue[None] = SimpleQueue()

        def work() -> None:
            while True:
                demand.get()
                try:
                    finding = look()
                except Exception as error:
                    finding = f"{type(error).__name__}: {error}"
                self._findings.put((watch, finding))
                os.eventfd_write(self._wake, 1)

        watch = Watch(lambda: demand.put(None), look.fresh_s)
        Thread(target=work, daemon=True).start()
        return watch

    def _end(self, asker: Asker) -> float:
        due = asker.watch.due if asker.watch else None
        return asker.until if due is None else due

    def _accept(self, now: float) -> None:
        """Take the next asker; another one that waits is the next turn's."""
        try:
            number, _ = self._listener._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        sock = _socket.socket(self._listener.family, _socket.SOCK_STREAM, 0, number)
        sock.setblocking(False)
        if len(self._askers) >= MOST:
            self._part(next(iter(self._askers.values())))
        asker = self._askers[sock.fileno()] = Asker(sock, now + ASKER_S)
        self._read(asker, now)
        if sock.fileno() >= 0:
            asker.watched = True
            self._selector.register(sock, selectors.EVENT_READ)

    def _read(self, asker: Asker, now: float) -> None:
        """Take what an asker has sent; answer at once if that is possible."""
        try:
            chunk = asker.sock.recv(LONGEST)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk or asker.watch:
            self._part(asker)
            return
        asker.data += chunk
        path = path_of(asker.data)
        if isinstance(path, int):
            self._answer(asker, answer(path))
        elif path == ALIVE:
            self._answer(asker, FIT)
        elif path is not None:
            self._ask(asker, path, now)

    def _ask(self, asker: Asker, path: str, now: float) -> None:
        watch = self._watches.get(path)
        if watch is None:
            self._answer(asker, answer(404))
            return
        finding = watch.ask(now)
        if finding is None:
            asker.watch = watch
        else:
            self._tell(asker, finding)

    def _learn(self) -> None:
        """Take the findings of the looks that have ended, and answer who waited for them."""
        os.eventfd_read(self._wake)
        while not self._findings.empty():
            watch, finding = self._findings.get()
            watch.learn(finding)
            for asker in [asker for asker in self._askers.values() if asker.watch is watch]:
                self._tell(asker, finding)

    def _expire(self, now: float) -> None:
        for asker in [asker for asker in self._askers.values() if self._end(asker) <= now]:
            finding = asker.watch.overdue(now) if asker.watch else None
            if finding is None:
                self._part(asker)
            else:
                self._tell(asker, finding)

    def _tell(self, asker: Asker, finding: str) -> None:
        self._answer(asker, answer(UNAVAILABLE, finding) if finding else FIT)

    def _answer(self, asker: Asker, data: bytes) -> None:
        with suppress(OSError):
            asker.sock.send(data)
        self._part(asker)

    def _part(self, asker: Asker) -> None:
        del self._askers[asker.sock.fileno()]
        if asker.watched:
            self._selector.unregister(asker.sock)
        asker.sock.close()


def listen(host: str, port: int) -> _socket.socket:
    """A listening socket; OSError when there is none to be had. TCP_DEFER_ACCEPT: an asker that has sent its request
    already is served in one turn.
    """
    listener = _socket.socket(_socket.AF_INET6 if ":" in host else _socket.AF_INET, _socket.SOCK_STREAM)
    listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    listener.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_DEFER_ACCEPT, 1)
    listener.bind((host, port))
    listener.listen(MOST)
    listener.setblocking(False)
    return listener

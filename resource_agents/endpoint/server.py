"""The endpoint's loop: askers in, answers out; a look that is not answered at once goes on in a thread of its own.

Invariant: the loop waits for no asker, and for a service no longer than watch.QUICK_S a look. A look may hang; its
thread hangs, and the loop answers for it. At most `MOST` askers are connected, the oldest gives way to the newest, and
none for longer than `ASKER_S`.

haproxies ask forty times a second on every node. So an asker whose request is there when it is accepted (it is, by
TCP_DEFER_ACCEPT) and whose answer is known in time costs one turn without a selector, and the sockets are the
interpreter's own (_socket): those of `socket` look up the names of their constants for each connection.
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
    from collections.abc import Callable, Mapping

MOST = 64
"""Three haproxies with a few back-ends ask at once at most."""
ASKER_S = 1.0
ALIVE = "/health"
"""The path for the endpoint's own agent: an answer says that the loop turns."""
FIT = answer(GOOD)


class Asker:
    """One connection that waits: what it has sent, and whose answer it waits for."""

    __slots__ = ("data", "sock", "until", "watch")

    def __init__(self, sock: _socket.socket, until: float) -> None:
        self.sock = sock
        self.until = until
        self.data = b""
        self.watch: Watch | None = None


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
            self.turn()

    def turn(self) -> None:
        """Wait for the next event, and deal with all there is."""
        if not self._askers:
            self._accept()
            return
        first = min(self._end(asker) for asker in self._askers.values())
        events = self._selector.select(max(0.0, first - time.monotonic()))
        now = time.monotonic()
        for key, _ in events:
            if key.fileobj is self._listener:
                self._accept()
            elif key.fd == self._wake:
                os.eventfd_read(self._wake)
                self._learn()
            elif (asker := self._askers.get(key.fd)) and self._serve(asker, now):
                self._part(asker)
        self._expire(now)

    def _watch(self, look: Look) -> Watch:
        """A watch whose looks, but for the quick ones, run in a thread of their own."""
        demand: SimpleQueue[None] = SimpleQueue()

        def begin() -> str | None:
            finding = found(look.quick)
            if finding is None:
                demand.put(None)
            return finding

        def work() -> None:
            while True:
                demand.get()
                self._findings.put((watch, found(look) or ""))
                os.eventfd_write(self._wake, 1)

        watch = Watch(begin, look.fresh_s)
        Thread(target=work, daemon=True).start()
        return watch

    def _end(self, asker: Asker) -> float:
        due = asker.watch.due if asker.watch else None
        return asker.until if due is None else due

    def _accept(self) -> None:
        """Take the next asker; another one that waits is the next turn's. It is kept only if it must wait."""
        try:
            number, _ = self._listener._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        now = time.monotonic()
        asker = Asker(_socket.socket(self._listener.family, _socket.SOCK_STREAM, 0, number), now + ASKER_S)
        if self._serve(asker, now):
            asker.sock.close()
            return
        if len(self._askers) >= MOST:
            self._part(next(iter(self._askers.values())))
        self._askers[number] = asker
        self._selector.register(asker.sock, selectors.EVENT_READ)

    def _serve(self, asker: Asker, now: float) -> bool:
        """Take what an asker has sent, and answer if that is possible; True when it has nothing to wait for."""
        try:
            chunk = asker.sock.recv(LONGEST, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        if not chunk or asker.watch:
            return True
        asker.data += chunk
        path = path_of(asker.data)
        if path is None:
            return False
        if isinstance(path, str) and path != ALIVE:
            return self._ask(asker, path, now)
        return reply(asker, FIT if path == ALIVE else answer(int(path)))

    def _ask(self, asker: Asker, path: str, now: float) -> bool:
        watch = self._watches.get(path)
        if watch is None:
            return reply(asker, answer(404))
        self._learn()
        finding = watch.ask(now)
        if finding is None:
            asker.watch = watch
            return False
        return tell(asker, finding)

    def _learn(self) -> None:
        """Take the findings of the looks that have ended, and answer who waited for them."""
        while not self._findings.empty():
            watch, finding = self._findings.get()
            watch.learn(finding)
            for asker in [asker for asker in self._askers.values() if asker.watch is watch]:
                tell(asker, finding)
                self._part(asker)

    def _expire(self, now: float) -> None:
        for asker in [asker for asker in self._askers.values() if self._end(asker) <= now]:
            if asker.watch and (finding := asker.watch.overdue(now)) is not None:
                tell(asker, finding)
            self._part(asker)

    def _part(self, asker: Asker) -> None:
        del self._askers[asker.sock.fileno()]
        self._selector.unregister(asker.sock)
        asker.sock.close()


def found(look: "Callable[[], str | None]") -> str | None:
    """What a look finds; its own fault is a finding too."""
    try:
        return look()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def tell(asker: Asker, finding: str) -> bool:
    return reply(asker, answer(UNAVAILABLE, finding) if finding else FIT)


def reply(asker: Asker, data: bytes) -> bool:
    """Send it; True: the asker has nothing to wait for."""
    with suppress(OSError):
        asker.sock.send(data, _socket.MSG_DONTWAIT)
    return True


def listen(host: str, port: int) -> _socket.socket:
    """A listening socket; OSError when there is none to be had. TCP_DEFER_ACCEPT: an asker that has sent its request
    already is served in one turn.
    """
    listener = _socket.socket(_socket.AF_INET6 if ":" in host else _socket.AF_INET, _socket.SOCK_STREAM)
    listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    listener.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_DEFER_ACCEPT, 1)
    listener.bind((host, port))
    listener.listen(MOST)
    return listener

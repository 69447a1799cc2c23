"""A lock that is given in the order in which it was asked for.

Invariant: nobody waits for more than those who asked before; Python's own lock is often taken again by the thread that
just gave it back, and SQLite's is asked for in growing pauses.
"""

from collections import deque
from threading import Lock
from types import TracebackType


class FairLock:
    """Use it as `with lock:`."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._taken = False
        self._waiting: deque[Lock] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            gate = Lock()
            gate.acquire()
            self._waiting.append(gate)
        gate.acquire()

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False

"""The way in: many askers, one writing thread, a commit for all that came while the last one was under way.

Invariant: an asker's future is done only after the commit that holds its events; if the store does not take them in
time, it has the StoreError, and nothing of that batch was acknowledged. Events are taken in in the order of `submit`.
At most `MOST_WAITING` events wait: whoever comes then is refused at once (FullError), so memory is bounded.
"""

import itertools
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock, Thread

from sqlalchemy import Connection

from vimha.alarms.machine import Rules
from vimha.alarms.model import Event
from vimha.alarms.store.database import Database
from vimha.alarms.store.errors import FullError, StoreError
from vimha.alarms.store.rows import Row
from vimha.alarms.store.writing import Turn, take_in

BATCH = 500
"""Events to a transaction: it holds the store's lock for some 0.1 s then."""
MOST_WAITING = 20_000
"""Some 20 MB of events."""


class Waiting:
    """Events of one asker, and the future that tells of their commit; it cannot be cancelled any more."""

    __slots__ = ("done", "events")

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.done: Future[int] = Future()
        self.done.set_running_or_notify_cancel()


class Intake:
    """Takes events in for `database`; `committed` is called in the writing thread with each commit's notifications."""

    def __init__(
        self, database: Database, rules: Callable[[], Rules], committed: Callable[[Sequence[Row]], None],
        clock: Callable[[], int],
    ) -> None:  # fmt: skip
        self._database = database
        self._rules = rules
        self._committed = committed
        self._clock = clock
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._lock = Lock()
        self._waiting = 0
        self._closed = False
        self.failed = False
        """Whether the last batch could not be kept."""
        self._thread = Thread(target=self._work, name="intake", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many events wait for their commit."""
        return self._waiting

    def submit(self, events: Sequence[Event]) -> "Future[int]":
        """Have `events` taken in; the future's result is how many notifications they made. FullError when too
        many wait.
        """
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            if self._waiting + len(events) > MOST_WAITING:
                raise FullError(f"{self._waiting} events wait for the store already", "Send them again later.")
            self._waiting += len(events)
            waiting = Waiting(events)
            self._queue.put(waiting)
        return waiting.done

    def close(self) -> None:
        """Take in what waits, and end the thread; it may be repeated."""
        with self._lock:
            self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, last = self._batch(first)
            self._take_in(batch)
            if last:
                return

    def _batch(self, first: Waiting) -> tuple[list[Waiting], bool]:
        """`first` and what waits behind it; and whether the end was among it."""
        batch, size = [first], len(first.events)
        while size < BATCH:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch.append(following)
            size += len(following.events)
        return batch, False

    def _take_in(self, batch: list[Waiting]) -> None:
        """Commit a batch; if it cannot be for another reason than the store's, each asker's events alone."""
        while batch:
            try:
                notices, counts = self._write(batch)
            except Exception as error:  # the askers get it; the thread must go on
                if len(batch) > 1 and not isinstance(error, StoreError):
                    for waiting in batch:
                        self._take_in([waiting])
                else:
                    self.failed = True
                    self._end(batch, [error] * len(batch))
                return
            self.failed = False
            self._end(batch[: len(counts)], counts)
            self._committed(notices)
            batch = batch[len(counts) :]

    def _write(self, batch: list[Waiting]) -> tuple[list[Row], list[int]]:
        """Commit as many as can be, the first of the batch: half of them in each further try, for of several nodes'
        transactions at once the longest one loses.
        """
        now_us, rules, events = self._clock(), self._rules(), [waiting.events for waiting in batch]
        tries = itertools.count()

        def work(connection: Connection, sequence: int) -> tuple[list[Row], list[int]]:
            some = max(1, len(events) >> next(tries))
            return take_in(Turn(connection, sequence, now_us, rules), events[:some])

        return self._database.write(work)

    def _end(self, batch: list[Waiting], results: Sequence[int | Exception]) -> None:
        with self._lock:
            self._waiting -= sum(len(waiting.events) for waiting in batch)
        for waiting, result in zip(batch, results, strict=True):
            if isinstance(result, int):
                waiting.done.set_result(result)
            else:
                waiting.done.set_exception(result)

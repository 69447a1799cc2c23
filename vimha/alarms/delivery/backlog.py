"""What one subscriber is still to be told: in order per alarm, many alarms at once, bounded.

Invariants:
- Of one alarm at most one notification is out (taken and neither `done` nor `again`), the oldest that is undelivered.
- `cursor` is the greatest sequence number up to which all is delivered, or was not for this subscriber.
- Lagging: while `lag` or more wait, of one alarm the first undelivered and the last are kept, and what was between is
  passed over: its news is in the last one, which holds the whole alarm. Only an AlarmNotification is ever passed over,
  never a clearing. So when a subscriber comes back it is told how each alarm began and how it is now, and memory holds
  at most `most` notifications; the rest stays in the store, for `room` is 0.
"""

from collections import OrderedDict, deque

from vimha.alarms.store.outbox import Notice
from vimha.alarms.words import NotificationType


class Backlog:
    """Not thread-safe: for one event loop. `most` and `lag` count notifications."""

    def __init__(self, cursor: int, *, most: int = 2000, lag: int = 256) -> None:
        self.read = cursor
        """The sequence number up to which the outbox was looked at."""
        self.passed_over = 0
        self._most, self._lag = most, lag
        self._queues: dict[str, deque[Notice]] = {}
        self._ready: deque[str] = deque()
        self._open: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def room(self) -> int:
        """How many more it takes."""
        return max(0, self._most - len(self._open))

    @property
    def cursor(self) -> int:
        return next(iter(self._open)) - 1 if self._open else self.read

    def add(self, notice: Notice) -> None:
        """Take in the next one that is for this subscriber."""
        self.read = notice.sequence
        queue = self._queues.setdefault(lane(notice), deque())
        if not queue:
            self._ready.append(lane(notice))
        while len(self._open) >= self._lag and len(queue) > 1 and queue[-1].kind == NotificationType.ALARM:
            del self._open[queue.pop().sequence]
            self.passed_over += 1
        queue.append(notice)
        self._open[notice.sequence] = None

    def skip(self, sequence: int) -> None:
        """What is up to `sequence` and was not added is not for this subscriber."""
        self.read = max(self.read, sequence)

    def take(self) -> Notice | None:
        """The next one to send; None: all that wait are behind one that is out."""
        return self._queues[self._ready.popleft()][0] if self._ready else None

    def done(self, notice: Notice) -> None:
        """It was delivered."""
        queue = self._queues[lane(notice)]
        queue.popleft()
        del self._open[notice.sequence]
        if queue:
            self._ready.append(lane(notice))
        else:
            del self._queues[lane(notice)]

    def again(self, notice: Notice) -> None:
        """It was not delivered: it is the next of its alarm once more."""
        self._ready.append(lane(notice))


def lane(notice: Notice) -> str:
    """What is delivered in order: an alarm's notifications, and those that are about no alarm."""
    return notice.alarm_id or ""

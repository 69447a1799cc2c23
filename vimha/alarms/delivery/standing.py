"""How a subscriber does: what could not be delivered to it, since when, and how long to let it rest.

Invariants: one notification that is refused delays its own alarm alone; a subscriber that takes nothing at all is tried
by one call at a time, ever more rarely. `since_us` is the time of the first failure of what has failed the longest.
"""

from vimha.alarms.delivery.backoff import pause_s


class Standing:
    """`in_flight`: calls at once when all is well; `since_us`: what was known of it before (None: it did well)."""

    def __init__(self, in_flight: int, since_us: int | None) -> None:
        self._in_flight, self._before = in_flight, since_us
        self._in_a_row = 0
        self._failing: dict[str, tuple[int, int]] = {}
        """Lane -> time of its first failure, number of failures; the oldest first."""

    @property
    def since_us(self) -> int | None:
        """Since when something fails; None: nothing does."""
        first = next(iter(self._failing.values()), None)
        return first[0] if first else self._before

    @property
    def limit(self) -> int:
        """Calls at once."""
        return 1 if self._in_a_row > self._in_flight else self._in_flight

    def failed(self, lane: str, now_us: int) -> float:
        """A call of this lane failed; seconds until its next one."""
        self._in_a_row += 1
        since_us, times = self._failing.get(lane, (self._before or now_us, 0))
        self._failing[lane] = (since_us, times + 1)
        return pause_s(times + 1)

    def rest_s(self) -> float:
        """Seconds to leave the subscriber alone; 0 while it takes something now and then."""
        return pause_s(self._in_a_row - self._in_flight) if self._in_a_row > self._in_flight else 0.0

    def delivered(self, lane: str) -> None:
        """A call of this lane succeeded."""
        self._in_a_row, self._before = 0, None
        self._failing.pop(lane, None)

"""Deadlines on a clock that is passed in.

Invariant: monotonic time only; nothing here counts attempts.
"""

from __future__ import annotations

import time


class Clock:
    """Monotonic time and sleep, in seconds; tests pass one that does not wait."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Deadline:
    """A moment `seconds` from its making."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds
        self.restart()

    def restart(self) -> None:
        """Count the full time again from now."""
        self._end = self.clock.now() + self.seconds

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - self.clock.now())

    @property
    def expired(self) -> bool:
        return self.remaining <= 0

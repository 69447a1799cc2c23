"""What a client's attempts say about an outage: pure arithmetic on the attempts of one probe.

Invariant: the figure is never flattering. A success proves only that the service answered at some moment between the
attempt's start and its end, so an outage counts from the *start* of the last success before the failures to the *end*
of the first success after them. It is therefore never shorter than the real gap, and longer by at most one interval
and two answers' latency. A gap that no attempt fell into cannot be seen: the probe's interval is the resolution.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Attempt:
    """One attempt of a probe: monotonic seconds, whether a complete answer came, and if not, why."""

    start: float
    end: float
    ok: bool
    why: str = ""


@dataclass(frozen=True)
class Window:
    """A run of failed attempts between two successes, in monotonic seconds.

    `closed` is False when no attempt succeeded afterwards: the service had not returned when probing ended.
    """

    start: float
    end: float
    failed: int
    closed: bool

    @property
    def length_s(self) -> float:
        return self.end - self.start


def windows(attempts: Iterable[Attempt]) -> tuple[Window, ...]:
    """Every outage window in `attempts`, in the order of time (attempts are ordered by their start)."""
    found: list[Window] = []
    good: Attempt | None = None
    failed: list[Attempt] = []
    for attempt in sorted(attempts, key=lambda entry: entry.start):
        if not attempt.ok:
            failed.append(attempt)
            continue
        if failed:
            found.append(Window(good.start if good else failed[0].start, attempt.end, len(failed), True))
            failed = []
        good = attempt
    if failed:
        last = max(entry.end for entry in failed)
        found.append(Window(good.start if good else failed[0].start, last, len(failed), False))
    return tuple(found)


def between(found: Iterable[Window], since: float, until: float) -> tuple[Window, ...]:
    """The windows that overlap the time from `since` to `until`: what the fault then injected can have caused."""
    return tuple(window for window in found if window.end > since and window.start < until)


def longest(found: Sequence[Window]) -> Window | None:
    """The longest contiguous window, the outage that is reported; None when nothing failed."""
    return max(found, key=lambda window: window.length_s, default=None)


def unavailable_s(found: Iterable[Window]) -> float:
    """All windows together, in seconds."""
    return sum(window.length_s for window in found)


def stall_s(attempts: Iterable[Attempt], since: float, until: float) -> float:
    """The longest time from `since` to `until` in which the probe itself started no attempt, in seconds.

    A stalled probe (a starved machine) would miss an outage; a drill says so instead of reporting a short one.
    """
    stamps = sorted(entry.start for entry in attempts if since <= entry.start <= until)
    edges = [since, *stamps, until]
    return max(later - earlier for earlier, later in pairwise(edges))


def idle_s(attempts: Iterable[Attempt], since: float, until: float) -> float:
    """`stall_s` for a client that does one thing at a time: the longest time from `since` to `until` in which it had no
    attempt under way, in seconds. The one that it waits for is no stall.
    """
    longest_s, busy_until = 0.0, since
    for entry in sorted(attempts, key=lambda found: found.start):
        longest_s = max(longest_s, min(entry.start, until) - busy_until)
        busy_until = max(busy_until, entry.end)
    return max(longest_s, until - busy_until)

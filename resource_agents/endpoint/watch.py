"""What is known of one service, how old it is, and how long an asker waits for it.

Invariant: the answer to a question is what a look found that was begun at most `fresh_s` before the question, or during
it; and there is an answer at most `PATIENCE_S` after the look began, for a service that keeps a look waiting is not
well. One look runs at a time, however many ask: a service is not loaded by those who ask whether it is loaded.

A look that a frozen service keeps waiting is not given up: when the service goes on, it ends, and the next question is
answered anew. Times are seconds of one monotonic clock, passed in.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 0.12
"""How long a service may keep a look waiting. A member under load answers in a few milliseconds; it must be less than
haproxy's time-out for a check (vimha/timing/solve.py), so that haproxy is told the reason."""


class Look:
    """One way to look at a service. The finding, and so an answer, is a reason not to send clients there, or the empty
    string. It never raises, and may take as long as the service keeps it waiting.
    """

    fresh_s = 0.05
    """How long a finding may be handed out: it bounds how often the service is looked at, and adds to what a load
    balancer needs to learn of a change."""

    def __call__(self) -> str:
        raise NotImplementedError


class Watch:
    """A service under watch: `begin` starts a look at it, whose finding is handed to `learn`."""

    def __init__(self, begin: "Callable[[], None]", fresh_s: float) -> None:
        self._begin = begin
        self._fresh_s = fresh_s
        self._finding = ""
        self._asked: float | None = None
        """When the look began that gave the finding; None before the first."""
        self._pending: float | None = None
        """When the look began that has not ended; None when there is none."""

    def ask(self, now: float) -> str | None:
        """The answer, or None: it will be known at `due`, or sooner when `learn` is called."""
        if self._asked is not None and now - self._asked <= self._fresh_s:
            return self._finding
        if self._pending is None:
            self._pending = now
            self._begin()
        return self.overdue(now)

    @property
    def due(self) -> float | None:
        """Until when an asker waits; None when nothing is looked at."""
        return None if self._pending is None else self._pending + PATIENCE_S

    def overdue(self, now: float) -> str | None:
        """The answer for those whose patience is at an end; None while it is not."""
        if self._pending is None or now < self._pending + PATIENCE_S:
            return None
        return f"no answer for {now - self._pending:.2f} s"

    def learn(self, finding: str) -> None:
        """The look that runs has ended."""
        self._finding, self._asked, self._pending = finding, self._pending, None

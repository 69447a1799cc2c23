"""What is known of one service, how old it is, and how long an asker waits for it.

Invariant: the answer to a question is what a look found that was begun at most `fresh_s` before the question, or during
it. An asker waits for at most WAIT_S; until a look has been kept waiting for PATIENCE_S it is then told what the look
before found, and from then on that the service does not answer. One look runs at a time, however many ask: a service
is not loaded by those who ask whether it is loaded.

A look that a frozen service keeps waiting is not given up: when the service goes on, it ends, and the next question is
answered anew. Times are seconds of one monotonic clock, passed in.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_S = 0.1
"""How long an asker waits: less than haproxy's time-out for a check (vimha/timing/solve.py), so that it gets a reason.
"""
PATIENCE_S = 0.25
"""How long a service may keep a look waiting. It answers in a few milliseconds; on a host whose cores a peer's boot
took, looks of 0.18 s were seen, and each closed the sessions of all clients. With a longer one haproxy would know of a
frozen service too late (0.5 s)."""
QUICK_S = 0.01
"""How long the endpoint's loop itself waits for a service. One that is well answers in a millisecond; to have a thread
wait for that costs more than the answer."""
RECENT_S = 1.0
"""A finding from before a pending look counts while no more than this lies between the two."""


class Look:
    """One way to look at a service. The finding, and so an answer, is a reason not to send clients there, or the empty
    string. It never raises, and may take as long as the service keeps it waiting.
    """

    fresh_s = 0.05
    """How long a finding may be handed out: it bounds how often the service is looked at, and adds to what a load
    balancer needs to learn of a change."""

    def quick(self) -> str | None:
        """The finding, if the service gives it within QUICK_S over a connection that is open; None: a call is needed,
        which goes on with this look. It keeps nobody waiting for longer, whatever the service does.
        """
        return None

    def __call__(self) -> str:
        raise NotImplementedError


class Watch:
    """A service under watch: `begin` starts a look at it, and returns the finding or None; then it is handed to `learn`
    later.
    """

    def __init__(self, begin: "Callable[[], str | None]", fresh_s: float) -> None:
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
            if (finding := self._begin()) is not None:
                self.learn(finding)
                return finding
        return self.overdue(now)

    @property
    def due(self) -> float | None:
        """Until when an asker waits; None when nothing is looked at."""
        return None if self._pending is None else self._pending + WAIT_S

    def overdue(self, now: float) -> str | None:
        """The answer for those who have waited long enough; None for those who have not."""
        if self._pending is None or now < self._pending + WAIT_S:
            return None
        if now < self._pending + PATIENCE_S and self._asked is not None and self._pending - self._asked <= RECENT_S:
            return self._finding
        return f"no answer for {now - self._pending:.2f} s"

    def learn(self, finding: str) -> None:
        """The look that runs has ended."""
        self._finding, self._asked, self._pending = finding, self._pending, None

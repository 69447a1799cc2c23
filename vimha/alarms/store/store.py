"""The store of alarms as the service uses it: one object with all that can be asked of it.

Invariant: every method may be called from any thread, and blocks until it is done; only `submit` returns at once. What
a method has returned, or a future has, is on the disk.
"""

import itertools
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Any

from sqlalchemy import ColumnElement, select

from vimha.alarms import times
from vimha.alarms.machine import Rules
from vimha.alarms.model import Event
from vimha.alarms.store import announcing, database, leases, operate, outbox, overview, queries, retention, settings
from vimha.alarms.store.database import Database
from vimha.alarms.store.errors import StoreError, UnknownAlarmError
from vimha.alarms.store.intake import Intake
from vimha.alarms.store.leases import Leases
from vimha.alarms.store.outbox import Notice, Subscription
from vimha.alarms.store.overview import Span
from vimha.alarms.store.queries import Kept, Key, Page
from vimha.alarms.store.retention import Retention
from vimha.alarms.store.rows import Row
from vimha.alarms.store.schema import ALARM, ENTRY, HISTORY
from vimha.alarms.store.upgrade import upgrade
from vimha.alarms.store.upkeep import SWEEP_S, Upkeep
from vimha.alarms.store.writing import Turn, settle_due
from vimha.alarms.words import AckState, NotificationType, Severity

LOG = logging.getLogger(__name__)
Committed = Callable[[Sequence[Row]], None]
Where = Sequence[ColumnElement[bool]]
HEALTH_S = 2.0
"""As long the store may take to say that it can write."""
PROOF_BYTES = 1 << 18
"""A small write may find room where a batch of events does not."""
SWEEP_LEASE_S = 2.5 * SWEEP_S


class Store:
    """Open one with `Store.open`. `clock` is the wall clock in microseconds."""

    def __init__(self, made: Database, rules: Rules, clock: Callable[[], int]) -> None:
        self._database = made
        self._rules = rules
        self._clock = clock
        self._leases, self._leases_lock = Leases(time.monotonic), Lock()
        self._callbacks: list[Committed] = []
        self._intake = Intake(made, lambda: self._rules, self._committed, clock)
        self._name = uuid.uuid4().hex
        self._upkeep = Upkeep(self.settle, self._sweep, time.monotonic)

    @classmethod
    def open(cls, url: str, rules: Rules = Rules(), *, clock: Callable[[], int] = times.now) -> "Store":  # noqa: B008
        """The store at a SQLAlchemy URL (`sqlite:////path/file.db`, `mysql+pymysql://...`), its tables made or
        brought up to date; StoreError when it cannot be reached.
        """
        made = Database(database.engine(url))
        upgrade(made)
        return cls(made, rules, clock)

    def close(self) -> None:
        """Take in what waits, and let the database go."""
        self._upkeep.close()
        self._intake.close()
        self._database.engine.dispose()

    @property
    def shared(self) -> bool:
        """Whether other nodes write here too: a database server is for several, a file for one."""
        return self._database.engine.dialect.name != "sqlite"

    def on_commit(self, callback: Committed) -> None:
        """Have `callback` called with each commit's notifications, in the thread that wrote them; it must be quick."""
        self._callbacks.append(callback)

    # Alarms

    def submit(self, events: Sequence[Event]) -> "Future[int]":
        """Have events taken in, in their order; done after their commit, with how many notifications they made.
        FullError at once when too many wait; the future has StoreError when the database does not take them.
        """
        return self._intake.submit(events)

    @property
    def waiting(self) -> int:
        """How many events wait for their commit."""
        return self._intake.waiting

    def acknowledge(self, alarm_id: str, state: AckState, who: str, expected_version: int | None = None) -> Kept:
        """Acknowledge an alarm, cleared or not, or take that back. UnknownAlarmError, AlreadySoError, ChangedError."""
        return self._change(
            alarm_id, lambda turn: operate.acknowledge(turn, alarm_id, state, who, expected_version)
        )  # fmt: skip

    def escalate(self, alarm_id: str, severity: Severity, expected_version: int | None = None) -> Kept:
        """Give an active alarm another severity, CLEARED excepted. UnknownAlarmError, AlreadySoError, ChangedError."""
        return self._change(alarm_id, lambda turn: operate.escalate(turn, alarm_id, severity, expected_version))

    def clear(self, alarm_id: str, who: str) -> Kept:
        """Clear an active alarm by hand. UnknownAlarmError, AlreadySoError."""
        return self._change(alarm_id, lambda turn: operate.clear(turn, alarm_id, who))

    def alarm(self, alarm_id: str) -> Kept | None:
        """The alarm of that id, active or cleared; None when there is none."""
        with self._database.reading() as connection:
            return queries.alarm(connection, alarm_id)

    def alarms(self, where: Where = (), after: Key | None = None, limit: int = 100) -> Page:
        """Active alarms that meet all conditions (on schema.ALARM's columns), newest first."""
        with self._database.reading() as connection:
            return queries.page(connection, ALARM, where, after, limit)

    def history(
        self, from_us: int | None = None, to_us: int | None = None, where: Where = (), after: Key | None = None,
        limit: int = 100,
    ) -> Page:  # fmt: skip
        """Cleared alarms that were raised in [from_us, to_us) and meet all conditions (on schema.HISTORY's
        columns), newest first.
        """
        bounds = [
            *([HISTORY.c.raised_us >= from_us] if from_us is not None else []),
            *([HISTORY.c.raised_us < to_us] if to_us is not None else []),
        ]
        with self._database.reading() as connection:
            return queries.page(connection, HISTORY, [*bounds, *where], after, limit)

    def counts(self, where: Where = ()) -> Mapping[tuple[Severity, AckState], int]:
        """How many active alarms meet all conditions, by severity and acknowledgement."""
        with self._database.reading() as connection:
            return overview.counts(connection, where)

    def active_spans(self, to_us: int, where: Where = (), most: int = 1000) -> list[Span]:
        """From when the active alarms are so: those that were raised before `to_us`, the newest `most`."""
        with self._database.reading() as connection:
            return overview.active_spans(connection, to_us, where, most)

    def cleared_spans(self, from_us: int, to_us: int, where: Where = (), most: int = 1000) -> list[Span]:
        """From when to when the alarms of the history were active that were so in [from_us, to_us), the newest `most`;
        not those that were longer than a day before and after.
        """
        with self._database.reading() as connection:
            return overview.cleared_spans(connection, from_us, to_us, where, most)

    def told(self, alarm_id: str, since_us: int, most: int = 100) -> list[Notice]:
        """The last notifications of an alarm since `since_us`, as far as they are kept, the oldest first."""
        with self._database.reading() as connection:
            return overview.told(connection, alarm_id, since_us, most)

    # Subscriptions and what they are told

    def subscribe(self, digest: str, request: Mapping[str, Any]) -> tuple[Subscription, bool]:
        """A new subscription that is told what comes from now on, and True; or the one with this digest (32
        characters), and False.
        """
        return self._database.write(
            lambda connection, sequence: outbox.subscribe(connection, sequence, digest, request, self._clock())
        )

    def subscription(self, subscription_id: str) -> Subscription | None:
        """The subscription of that id; None when there is none."""
        with self._database.reading() as connection:
            return next(iter(outbox.subscriptions(connection, subscription_id)), None)

    def subscriptions(self) -> list[Subscription]:
        """All subscriptions, the oldest first."""
        with self._database.reading() as connection:
            return outbox.subscriptions(connection)

    def unsubscribe(self, subscription_id: str) -> bool:
        """Remove a subscription; False when there is none."""
        return self._database.small(lambda connection: outbox.unsubscribe(connection, subscription_id))

    def mark(self, subscription_id: str, failing_since_us: int | None, *, dead: bool = False) -> None:
        """Remember since when a subscriber fails (None: it does not), and whether it is given up for now."""
        self._database.small(lambda connection: outbox.mark(connection, subscription_id, failing_since_us, dead))

    def revive(self, subscription_id: str) -> bool:
        """A dead subscriber answers again: its next notification is AlarmListRebuilt, and what came meanwhile is passed
        over; False when it was not dead.
        """
        return bool(self._tell(lambda turn: outbox.revive(turn, subscription_id)))

    def announce(self, kind: NotificationType, bodies: Mapping[str, Any], setting: str, value: Any) -> None:
        """Tell all subscribers something that is about no alarm, and remember `value` with it (announcing.py)."""
        self._tell(lambda turn: announcing.announce(turn, kind, bodies, setting, value))

    def notices(self, after: int, most: int = 500, subscription_id: str | None = None) -> list[Notice]:
        """Up to `most` notifications after the sequence number `after`: those for all, and those for this one."""
        with self._database.reading() as connection:
            return outbox.notices(connection, after, most, subscription_id)

    def head(self) -> int:
        """The last sequence number that is committed."""
        with self._database.reading() as connection:
            return outbox.head(connection)

    def move(self, cursors: Mapping[str, int]) -> None:
        """Set cursors of subscriptions, by id; one that is further already stays."""
        self._database.small(lambda connection: outbox.move(connection, cursors))

    # What nodes agree upon

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        """Take or renew the lease `name`; whether `owner` has it, until `seconds` after the call began."""
        return bool(self.lease_all([name], owner, seconds))

    def lease_all(self, names: Collection[str], owner: str, seconds: float) -> set[str]:
        """The same for many leases in one transaction; those that `owner` has."""
        with self._leases_lock:
            return self._database.small(lambda connection: self._leases.hold(connection, names, owner, seconds))

    def release(self, name: str, owner: str) -> None:
        """Give a lease back, so that the next one need not wait."""
        self._database.small(lambda connection: leases.release(connection, [name], owner))

    def setting(self, name: str, default: Any = None) -> Any:
        """The JSON value of a setting; `default` when it was never set."""
        with self._database.reading() as connection:
            return settings.read(connection, name, default)

    def set_setting(self, name: str, value: Any) -> None:
        """Set it, for all nodes."""
        self._database.small(lambda connection: settings.write(connection, name, value))

    def retention(self) -> Retention:
        """How long the history is kept."""
        with self._database.reading() as connection:
            return retention.read(connection)

    def set_retention(self, kept: Retention) -> None:
        """Keep it that long from now on, on all nodes."""
        self._database.small(lambda connection: retention.write(connection, kept))

    @property
    def aged(self) -> Mapping[str, int]:
        """How many rows of each table this process removed because of their age or number."""
        return self._upkeep.aged

    def settle(self) -> int:
        """End the holds that are due (the store does it by itself four times a second); how many."""
        if not self._any_due():
            return 0
        return len(self._tell(settle_due))

    def sweep(self, goes_on: Callable[[], bool] = lambda: True) -> "Counter[str]":
        """Remove what is too old (one node's store does it by itself every minute); how many rows of each table."""
        return retention.sweep(self._database, self._clock(), goes_on)

    def health(self) -> str:
        """Why the store cannot write now; empty: it just did, and as much as a batch if the last one failed."""
        failed = self._intake.failed
        proof = uuid.uuid4().hex + "0" * (PROOF_BYTES if failed else 0)
        try:
            self._database.small(lambda connection: settings.write(connection, "health", proof), within_s=HEALTH_S)
        except StoreError as error:
            return error.message
        if failed:
            self._intake.failed = False
        return ""

    def _any_due(self) -> bool:
        query = select(ENTRY.c.key).where(ENTRY.c.due_us <= self._clock()).limit(1)
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def _sweep(self, goes_on: Callable[[], bool]) -> "Counter[str]":
        return self.sweep(goes_on) if self.lease("sweep", self._name, SWEEP_LEASE_S) else Counter()

    def _change(self, alarm_id: str, work: Callable[[Turn], list[Row]]) -> Kept:
        self._tell(work)
        kept = self.alarm(alarm_id)
        if kept is None:
            raise UnknownAlarmError(f"there is no alarm {alarm_id}", "It may have aged out of the history.")
        return kept

    def _tell(self, work: Callable[[Turn], list[Row]]) -> list[Row]:
        now_us, tries = self._clock(), itertools.count()
        notices = self._database.write(
            lambda connection, sequence: work(Turn(connection, sequence, now_us, self._rules, next(tries) > 0))
        )
        self._committed(notices)
        return notices

    def _committed(self, notices: Sequence[Row]) -> None:
        for callback in self._callbacks if notices else ():
            try:
                callback(notices)
            except Exception:
                LOG.exception("the alarm store: %r failed after a commit", callback)

"""Sends to one addressee what it is to be told, while this node holds its lease.

Invariants: those of Backlog (order per alarm, bounded memory) and Standing (back-off). A subscriber to whom one
notification could not be delivered for `dead_after_s` is dead: an alarm says so, and it gets nothing until its callback
passes its test again; it is then told that the list was rebuilt, and what comes from then on. A sink never dies: it is
tried until it answers, and finds what the store has kept until then.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from vimha.alarms import times
from vimha.alarms.delivery.backlog import Backlog, lane
from vimha.alarms.delivery.feed import PAGE, TROUBLE_S, Feed, News, news
from vimha.alarms.delivery.ledger import Ledger
from vimha.alarms.delivery.network import CallError
from vimha.alarms.delivery.settings import DeliverySettings
from vimha.alarms.delivery.standing import Standing
from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.outbox import Notice
from vimha.alarms.subscriptions import Filter, wants
from vimha.alarms.times import SECOND
from vimha.alarms.words import Severity

WORTH_NOTING_US = 5 * SECOND
"""A failure that lasts so long is written into the subscription's row, so that it counts on after a restart."""

LOG = logging.getLogger(__name__)


class Receiver(Protocol):
    """Where notifications go."""

    async def send(self, notice: Notice) -> None:
        """Deliver one; CallError when it was not taken."""

    async def test(self) -> None:
        """CallError when it does not answer."""

    async def close(self) -> None:
        """Let connections go."""


@dataclass
class Counters:
    """What all senders of this process did since it began."""

    delivered: int = 0
    failed: int = 0
    """Calls that were not taken; each is tried again."""
    passed_over: int = 0
    """Notifications that a lagging addressee was not sent, for a later one says more."""
    died: int = 0
    revived: int = 0
    delay_s: float = 0.0
    """The sum, over all that were delivered, of the time from the commit's beginning to the answer."""


@dataclass(frozen=True)
class Addressee:
    """Whom a sender serves, and how it was left."""

    id: str
    receiver: Receiver
    filter: Filter | None
    cursor: int
    failing_since_us: int | None = None
    dead: bool = False
    mortal: bool = True


class Sender:
    """Runs in one event loop; `run` until cancelled."""

    def __init__(
        self, addressee: Addressee, feed: Feed, ledger: Ledger, settings: DeliverySettings, counters: Counters
    ) -> None:
        self._to, self._feed, self._ledger, self._settings = addressee, feed, ledger, settings
        self._counters = counters
        self._dead = addressee.dead
        self._noted = addressee.failing_since_us
        self._why = ""
        self.paused = False
        self._stirred = asyncio.Event()
        self._begin(addressee.cursor, addressee.failing_since_us)

    @property
    def waiting(self) -> int:
        """How many notifications wait for their delivery, of those that were read."""
        return len(self._backlog)

    @property
    def dead(self) -> bool:
        return self._dead

    @property
    def cursor(self) -> int:
        return self._backlog.cursor

    def pause(self) -> None:
        """The lease may be another's now: nothing is sent until `resume`. What was on its way is the next again."""
        self.paused = True
        self._drop_calls()

    def resume(self) -> None:
        """The lease is this node's again. Should another have sent meanwhile, then in the same order: what is sent
        twice is only repeated."""
        self.paused = False
        self.stir()

    def stir(self) -> None:
        """There is something to do, probably."""
        self._stirred.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                try:
                    await (self._revive() if self._dead else self._work())
                except StoreError as error:
                    LOG.warning("delivery to %s: %s", self._to.id, error)
                    await asyncio.sleep(TROUBLE_S)
        finally:
            self._drop_calls()
            await self._to.receiver.close()

    def _begin(self, cursor: int, since_us: int | None) -> None:
        self._backlog = Backlog(cursor)
        self._standing = Standing(self._settings.in_flight, since_us)
        self._calls: set[asyncio.Task[None]] = set()
        self._rest_until = 0.0
        self._follows = False
        """Whether all that was for it alone has been read from the store."""

    async def _work(self) -> None:
        """Read, send, wait; returns when the addressee is dead."""
        while True:
            self._stirred.clear()
            more = await self._read()
            self._send()
            self._ledger.moved(self._to.id, self._backlog.cursor)
            await self._note()
            if self._dead:
                return
            if not more:
                await self._stirred.wait()

    async def _read(self) -> bool:
        """Take a page of what is new; whether there may be more."""
        backlog = self._backlog
        if backlog.room < PAGE:
            return False
        if self._follows:
            found = self._feed.after(backlog.read, PAGE)
            found = await self._feed.older(backlog.read) if found is None else found
        else:
            found = news(await self._ledger.notices(backlog.read, PAGE, self._to.id))
            self._follows = len(found) < PAGE
        before = backlog.passed_over
        for each in found:
            self._take(each)
        self._counters.passed_over += backlog.passed_over - before
        return bool(found)

    def _take(self, each: News) -> None:
        if wants(self._to.filter, each.notice.kind, each.body):
            self._backlog.add(each.notice)
        else:
            self._backlog.skip(each.notice.sequence)

    def _send(self) -> None:
        if self.paused or asyncio.get_running_loop().time() < self._rest_until:
            return
        while len(self._calls) < self._standing.limit and (notice := self._backlog.take()):
            task = asyncio.create_task(self._deliver(notice, self._backlog))
            self._calls.add(task)
            task.add_done_callback(partial(self._ended, notice, self._backlog))

    async def _deliver(self, notice: Notice, backlog: Backlog) -> None:
        try:
            await self._to.receiver.send(notice)
        except CallError as error:
            self._failed(notice, backlog, error.message)
        except Exception as error:
            LOG.exception("delivery to %s: a defect", self._to.id)
            self._failed(notice, backlog, repr(error))
        else:
            self._delivered(notice, backlog)

    def _ended(self, notice: Notice, backlog: Backlog, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if task.cancelled():
            backlog.again(notice)
        self.stir()

    def _delivered(self, notice: Notice, backlog: Backlog) -> None:
        backlog.done(notice)
        self._standing.delivered(lane(notice))
        self._counters.delivered += 1
        self._counters.delay_s += (times.now() - notice.at_us) / SECOND

    def _failed(self, notice: Notice, backlog: Backlog, why: str) -> None:
        self._why = why
        self._counters.failed += 1
        loop = asyncio.get_running_loop()
        loop.call_later(self._standing.failed(lane(notice), times.now()), self._again(notice, backlog))
        if rest_s := self._standing.rest_s():
            self._rest_until = loop.time() + rest_s
            loop.call_at(self._rest_until, self.stir)

    def _again(self, notice: Notice, backlog: Backlog) -> Callable[[], None]:
        def again() -> None:
            backlog.again(notice)
            self.stir()

        return again

    async def _note(self) -> None:
        """Keep since when it fails; give it up when that is too long ago."""
        since_us, now_us = self._standing.since_us, times.now()
        if since_us is not None and self._to.mortal and now_us - since_us >= self._settings.dead_after_s * SECOND:
            await self._give_up(since_us)
        elif since_us != self._noted and (since_us is None or now_us - since_us >= WORTH_NOTING_US):
            await self._ledger.mark(self._to.id, since_us)
            if since_us is None:
                LOG.info("delivery to %s: it takes all again", self._to.id)
            else:
                LOG.warning("delivery to %s fails since %s: %s", self._to.id, times.text(since_us), self._why)
            self._noted = since_us

    async def _give_up(self, since_us: int) -> None:
        LOG.warning("delivery to %s: given up until it answers again: %s", self._to.id, self._why)
        self._drop_calls()
        await self._ledger.report(self._to.id, None, f"since {times.text(since_us)}", self._why)
        await self._ledger.mark(self._to.id, since_us, dead=True)
        self._dead = True
        self._counters.died += 1

    async def _revive(self) -> None:
        """Try it now and then; returns when it answers."""
        while True:
            await asyncio.sleep(self._settings.test_every_s * (1 + random.random()) / 2)  # noqa: S311  # spreads them
            try:
                await self._to.receiver.test()
            except CallError:
                continue
            cursor = await self._ledger.revive(self._to.id)
            if cursor is None:
                continue
            await self._ledger.report(self._to.id, Severity.CLEARED)
            LOG.info("delivery to %s: it answers again", self._to.id)
            self._counters.revived += 1
            self._dead, self._noted = False, None
            self._begin(cursor, None)
            return

    def _drop_calls(self) -> None:
        for task in self._calls:
            task.cancel()

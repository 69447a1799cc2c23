"""All of delivery in one process: a sender for each addressee whose lease this node holds.

Invariant: at most one node sends to a subscriber at a time. Subscribers and sinks are dealt into SHARDS by their id,
and each shard has a lease `delivery/<number>` in the store, so a thousand subscribers cost no more renewals than ten.
A node that could not renew in time stops its senders by itself; another takes them over about LEASE_S after that, from
the cursors in the store.
"""

import asyncio
import logging
import os
import socket
import uuid
import zlib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from vimha.alarms import secret_files
from vimha.alarms.delivery import callback
from vimha.alarms.delivery.callback import Callback
from vimha.alarms.delivery.feed import Feed
from vimha.alarms.delivery.ledger import SINK, Ledger
from vimha.alarms.delivery.network import Lookup, Network, tls_context
from vimha.alarms.delivery.sender import Addressee, Counters, Receiver, Sender
from vimha.alarms.delivery.settings import DeliverySettings, OsloSink, Sink, SnmpSink
from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.outbox import Subscription
from vimha.alarms.store.store import Store
from vimha.alarms.subscriptions import FmSubscriptionRequest
from vimha.alarms.words import Severity
from vimha.errors import VimhaError

LEASE_S = 1.5
"""A lost sender's subscribers hear of its very loss when its lease has ended: this after it, a round more or less.
Pacemaker tells of a lost node 0.9 s after the fault; with 2.0 and rounds of 0.4 they were told up to 1.2 s after that
(measured), and it has to be within 1 s."""
ROUND_S = 0.3
"""How often leases are renewed and subscriptions read."""
POLL_S, LISTENING_S, ALONE_S = 0.025, 0.1, 1.0
"""How often other nodes' commits are looked for: by one that sends to somebody, by one that does not, and where there
should be no others. This node's own need no look.
"""
SHARDS = 8
STOP_S = 5.0

LOG = logging.getLogger(__name__)


class Delivery:
    """`owner` names this process among all nodes'; `lookup` is as socket.getaddrinfo."""

    def __init__(
        self, store: Store, settings: DeliverySettings, *, owner: str = "", lookup: Lookup = socket.getaddrinfo
    ) -> None:
        self._store, self._settings, self._lookup = store, settings, lookup
        self._owner = owner or f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        self.counters = Counters()
        self._senders: dict[str, Sender] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._expiry: asyncio.TimerHandle | None = None
        self._listeners: list[Callable[[], None]] = []
        self._refused: set[str] = set()
        """Those who cannot be sent to as they are configured; said once."""

    @property
    def waiting(self) -> int:
        """Notifications that were read and are not delivered yet, of all addressees of this node."""
        return sum(sender.waiting for sender in self._senders.values())

    @property
    def senders(self) -> int:
        """Addressees that this node sends to."""
        return len(self._senders)

    @property
    def dead(self) -> int:
        """Those of them that are given up until they answer again."""
        return sum(sender.dead for sender in self._senders.values())

    async def start(self) -> None:
        """Begin to deliver. UsageError when a certificate that is configured cannot be used; StoreError."""
        self._loop = asyncio.get_running_loop()
        self._network = Network(self._settings, self._lookup)
        self._ledger = Ledger(self._store)
        self._feed = Feed(self._ledger.notices, await self._ledger.head(), self._stir, self._pause_s)
        self._store.on_commit(self.wake)
        self._run(self._feed.run(), self._ledger.run(), self._rounds())

    def on_news(self, listener: Callable[[], None]) -> None:
        """Have `listener` called, in the event loop, when the outbox has grown, by whichever node."""
        self._listeners.append(listener)

    def wake(self, *_: object) -> None:
        """There was a commit. From any thread; harmless before the start and after the end."""
        with suppress(RuntimeError, AttributeError):
            self._loop.call_soon_threadsafe(self._feed.stir)

    async def test(self, request: FmSubscriptionRequest) -> None:
        """Ask a callback whether it is one; CallbackError (callback.py) when it does not say so."""
        await callback.test(self._network, request)

    async def stop(self) -> None:
        """Stop sending, write the cursors, give the leases back. The second time nothing is left to do."""
        if not self._loops:
            return
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._loops = []
        await self._stop(list(self._tasks))
        if self._expiry is not None:
            self._expiry.cancel()
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._ledger.write()
                await self._ledger.release(NAMES.values(), self._owner)
        self._ledger.close()
        self._network.close()

    def _run(self, *works: Coroutine[Any, Any, None]) -> None:
        self._loops = [asyncio.create_task(work) for work in works]

    def _stir(self) -> None:
        for sender in self._senders.values():
            sender.stir()
        for listener in self._listeners:
            listener()

    def _pause_s(self) -> float:
        if not self._store.shared:
            return ALONE_S
        return POLL_S if self._senders else LISTENING_S

    async def _rounds(self) -> None:
        while True:
            try:
                await self._round()
            except StoreError as error:
                LOG.warning("delivery: leases cannot be renewed: %s", error)
            except Exception:
                LOG.exception("delivery: a defect")
            await asyncio.sleep(ROUND_S)

    async def _round(self) -> None:
        until = self._loop.time() + LEASE_S
        held, rows = await self._ledger.hold(NAMES.values(), self._owner, LEASE_S)
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = self._loop.call_at(until, self._expire)
        wanted = {row.id: row for row in rows} | {SINK + sink.name: sink for sink in self._settings.sinks}
        mine = {key: each for key, each in wanted.items() if NAMES[shard(key)] in held}
        for key in [key for key, sender in self._senders.items() if sender.dead and key not in wanted]:
            await self._ledger.report(key, Severity.CLEARED)
        await self._stop([key for key, task in self._tasks.items() if key not in mine or task.done()])
        await self._resume(mine)
        for key in mine.keys() - self._tasks.keys():
            await self._begin(key, mine[key])

    def _expire(self) -> None:
        """The leases ended: another node may send from now on."""
        LOG.warning("delivery: paused, for the leases could not be renewed in time")
        for sender in self._senders.values():
            sender.pause()

    async def _resume(self, mine: Mapping[str, Subscription | Sink]) -> None:
        """Go on with those that paused; those that another node has served meanwhile begin anew from where it came."""
        behind = []
        for key, sender in self._senders.items():
            whom = mine[key]
            if isinstance(whom, Subscription) and whom.cursor > sender.cursor and not sender.dead:
                behind.append(key)
            elif sender.paused:
                sender.resume()
        await self._stop(behind)

    async def _begin(self, key: str, whom: Subscription | Sink) -> None:
        try:
            addressee = await (self._sink(key, whom) if isinstance(whom, Sink) else self._subscriber(whom))
        except VimhaError as error:
            if key not in self._refused:
                LOG.error("delivery: nothing is sent to %s: %s %s", key, error.message, error.remedy)
            self._refused.add(key)
            return
        sender = Sender(addressee, self._feed, self._ledger, self._settings, self.counters)
        self._senders[key] = sender
        self._tasks[key] = asyncio.create_task(sender.run())

    async def _subscriber(self, row: Subscription) -> Addressee:
        try:
            request = FmSubscriptionRequest.model_validate(row.request)
        except ValidationError:
            # Its words would show credentials.
            raise VimhaError("its subscription is of another version", "Delete it and subscribe again.") from None
        receiver = Callback(self._network, request, subscription_id=row.id, root=self._settings.api_root)
        return Addressee(row.id, receiver, request.filter, row.cursor, row.failing_since_us, row.dead)

    async def _sink(self, key: str, sink: Sink) -> Addressee:
        cursor = await self._ledger.sink_cursor(key)
        return Addressee(key, await self._receiver(sink), sink.filter, cursor, mortal=False)

    async def _receiver(self, sink: Sink) -> Receiver:
        """Their libraries take half a second to import, so that is for those who use them."""
        if isinstance(sink, OsloSink):
            from vimha.alarms.delivery import oslo

            return oslo.OsloReceiver(sink, self._settings.answer_s)
        if not isinstance(sink, SnmpSink):
            raise TypeError(sink)
        from vimha.alarms.delivery import snmp

        boots = f"snmp/{sink.name}/boots"
        begun = int(await self._ledger.setting(boots, 0)) + 1
        await self._ledger.set_setting(boots, begun)
        return snmp.receiver(sink, begun, self._settings.answer_s)

    async def _stop(self, keys: Iterable[str]) -> None:
        stopped = [self._tasks.pop(key) for key in keys]
        for key in keys:
            self._senders.pop(key, None)
        for task in stopped:
            task.cancel()
        for found in await asyncio.gather(*stopped, return_exceptions=True):
            if isinstance(found, Exception):
                LOG.error("delivery: a sender ended: a defect", exc_info=found)


def check(settings: DeliverySettings) -> None:
    """UsageError when a file that the settings name cannot be used: to be said before the service listens."""
    tls_context(settings)
    for path in (*(sink.secret_file for sink in settings.snmp), *(sink.url_file for sink in settings.oslo)):
        secret_files.lines(path)


def shard(addressee_id: str) -> int:
    """The same on all nodes."""
    return zlib.crc32(addressee_id.encode()) % SHARDS


NAMES = {number: f"delivery/{number}" for number in range(SHARDS)}

"""The store as delivery sees it from its event loop: what is kept of each addressee, and threads to ask in.

Invariant: a cursor is written only after what is before it was delivered; cursors are written some at a time, so after
a crash what was delivered in the last WRITE_S may be delivered once more. A configured sink's cursor is a setting, a
subscription's is in its row.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from vimha.alarms import times
from vimha.alarms.catalogue import definitions
from vimha.alarms.model import Event
from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.outbox import Notice, Subscription
from vimha.alarms.store.retention import CURSOR
from vimha.alarms.store.store import Store
from vimha.alarms.words import Severity

WRITE_S = 0.1
THREADS = 4
SINK = "sink/"
"""What a sink's id begins with, so that none is a subscription's."""
UNREACHABLE = "alarms.subscriber.unreachable"

LOG = logging.getLogger(__name__)
T = TypeVar("T")


class Ledger:
    """Its methods raise StoreError when the store does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(THREADS, "delivery")
        self._lease_thread = ThreadPoolExecutor(1, "leases")
        """Of their own: leases must not wait behind those who lag and read."""
        self._moved: dict[str, int] = {}

    async def notices(self, after: int, most: int, subscription_id: str | None = None) -> list[Notice]:
        return await self._ask(self._store.notices, after, most, subscription_id)

    async def head(self) -> int:
        return await self._ask(self._store.head)

    async def hold(self, names: Collection[str], owner: str, seconds: float) -> tuple[set[str], list[Subscription]]:
        """Take or renew leases; those that `owner` has, and all subscriptions as they are after that."""

        def work() -> tuple[set[str], list[Subscription]]:
            return self._store.lease_all(names, owner, seconds), self._store.subscriptions()

        return await asyncio.get_running_loop().run_in_executor(self._lease_thread, work)

    async def release(self, names: Collection[str], owner: str) -> None:
        for name in names:
            await self._ask(self._store.release, name, owner)

    async def sink_cursor(self, sink_id: str) -> int:
        """Where a sink stands; one that is new stands at the head."""
        found = await self._ask(self._store.setting, CURSOR + sink_id)
        if found is None:
            found = await self.head()
            await self._ask(self._store.set_setting, CURSOR + sink_id, found)
        return int(found)

    async def setting(self, name: str, default: Any) -> Any:
        return await self._ask(self._store.setting, name, default)

    async def set_setting(self, name: str, value: Any) -> None:
        await self._ask(self._store.set_setting, name, value)

    async def mark(self, subscription_id: str, failing_since_us: int | None, *, dead: bool = False) -> None:
        """Remember how a subscriber does; nothing for a sink."""
        if not subscription_id.startswith(SINK):
            await self._ask(lambda: self._store.mark(subscription_id, failing_since_us, dead=dead))

    async def revive(self, subscription_id: str) -> int | None:
        """A dead subscriber answers again: its new cursor; None when the subscription is gone."""
        await self._ask(self._store.revive, subscription_id)
        row = await self._ask(self._store.subscription, subscription_id)
        return None if row is None else row.cursor

    async def report(self, subscription_id: str, severity: Severity | None, *details: str) -> None:
        """Raise the alarm that a subscriber is unreachable, by its usual severity, or end it (CLEARED)."""
        known = definitions()[UNREACHABLE]
        event = Event(
            id=str(uuid.uuid4()), definition=known, managed_object=f"subscription/{subscription_id}",
            severity=severity or known.severities[0], event_us=times.now(), details=details, detector="vimha alarms",
        )  # fmt: skip
        await asyncio.wrap_future(self._store.submit([event]))

    def moved(self, addressee_id: str, cursor: int) -> None:
        """Have a cursor written soon."""
        self._moved[addressee_id] = cursor

    async def run(self) -> None:
        """Write cursors until cancelled."""
        while True:
            await asyncio.sleep(WRITE_S)
            try:
                await self.write()
            except StoreError as error:
                LOG.warning("delivery: cursors cannot be written: %s", error)

    async def write(self) -> None:
        """Write the cursors that moved; those that could not be written stay due."""
        moved, self._moved = self._moved, {}
        try:
            if rows := {key: cursor for key, cursor in moved.items() if not key.startswith(SINK)}:
                await self._ask(self._store.move, rows)
            for key in moved.keys() - rows.keys():
                await self._ask(self._store.set_setting, CURSOR + key, moved[key])
        except StoreError:
            self._moved = {**moved, **self._moved}
            raise

    def close(self) -> None:
        self._threads.shutdown(wait=False)
        self._lease_thread.shutdown(wait=False)

    async def _ask(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

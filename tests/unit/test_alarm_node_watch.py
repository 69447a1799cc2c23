"""The watch over nodes' health ends when it is told to, whatever happens at that moment."""

import asyncio
from pathlib import Path

from vimha.alarms.service.node_watch import LEASE, LEASE_S, NodeWatch
from vimha.alarms.store.store import Store


def test_it_ends_though_news_come_as_it_is_cancelled(tmp_path: Path) -> None:
    """asyncio.wait_for of Python 3.11 forgets the cancellation then, and the service would never end."""
    store = Store.open(f"sqlite:///{tmp_path}/alarms.db")

    async def scene() -> bool:
        watch = NodeWatch(store, "one")
        task = asyncio.create_task(watch.run())
        while store.lease(LEASE, "another", LEASE_S):
            store.release(LEASE, "another")
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        watch.wake()
        task.cancel()
        await asyncio.wait({task}, timeout=1.0)
        cancelled = task.cancelled()
        task.cancel()
        await asyncio.wait({task}, timeout=5.0)
        return cancelled

    try:
        assert asyncio.run(scene())
    finally:
        store.close()

"""Tells subscribers when a node's health changes: NodeHealthNotification (row B8), for those whose filter names it.

Invariant: one node of the service watches at a time (a lease). What was told last is in the store, written with the
notification; so whoever takes over tells what changed meanwhile, and nothing twice. A health that changed and changed
back between two looks is not told: the alarms that made it so are.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from vimha.alarms.service.context import ask
from vimha.alarms.service.nodes import Health, all_alarms, health
from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.schema import ALARM
from vimha.alarms.store.store import Store
from vimha.alarms.words import NotificationType

LEASE, LEASE_S, RENEW_S = "node-health", 6.0, 2.0
PAGE = 500
SETTING = "node-health"
LOG = logging.getLogger(__name__)


class Board:
    """The active alarms by host, and which hosts were touched since the last look. Pure."""

    def __init__(self, alarms: Sequence[dict[str, Any]], told: Mapping[str, str]) -> None:
        self._hosts: dict[str, dict[str, dict[str, Any]]] = {}
        self._of: dict[str, str] = {}
        self._touched = set(told)
        self.told = dict(told)
        """Host -> what was told of it last; one that is OK is not in it."""
        for each in alarms:
            self.see(each)

    def see(self, alarm: dict[str, Any]) -> None:
        """An alarm is as `alarm` says; one that is cleared is gone."""
        name, host = alarm["id"], alarm.get("location", {}).get("host", "")
        before = self._of.pop(name, "")
        if before:
            del self._hosts[before][name]
        if host and "alarmClearedTime" not in alarm:
            self._hosts.setdefault(host, {})[name] = alarm
            self._of[name] = host
        self._touched |= {each for each in (before, host) if each}

    def changes(self) -> dict[str, dict[str, Any]]:
        """What is to be told, by host: of those touched whose health is another than what was told."""
        found = {host: health(host, self._hosts.get(host, {}).values(), "") for host in self._touched}
        self._touched = set()
        return {
            host: each.model_dump(mode="json", by_alias=True, exclude={"alarms"}, exclude_none=True)
            for host, each in found.items()
            if each.health != self.told.get(host, Health.OK)
        }

    def tell(self, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """What was told once these are; to be remembered."""
        known = {**self.told, **{host: each["health"] for host, each in changes.items()}}
        self.told = {host: each for host, each in known.items() if each != Health.OK}
        return self.told


class NodeWatch:
    """Follows the outbox while it has the lease."""

    def __init__(self, store: Store, owner: str) -> None:
        self._store, self._owner = store, owner
        self._news = asyncio.Event()

    def wake(self) -> None:
        """The outbox has grown."""
        self._news.set()

    async def run(self) -> None:
        """Until cancelled; a store in trouble is tried again."""
        while True:
            try:
                if await ask(self._store.lease, LEASE, self._owner, LEASE_S):
                    await self._watch()
            except StoreError as error:
                LOG.warning("the health of nodes is not watched now: %s", error.message)
            await asyncio.sleep(RENEW_S)

    async def close(self) -> None:
        """Give the lease back."""
        with suppress(StoreError):
            await ask(self._store.release, LEASE, self._owner)

    async def _watch(self) -> None:
        """From the active alarms on, as long as the lease can be renewed."""
        loop = asyncio.get_running_loop()
        after = await ask(self._store.head)
        told = await ask(self._store.setting, SETTING, {})
        board = Board(await ask(all_alarms, self._store, [ALARM.c.host != ""]), told)
        renew_s = loop.time() + RENEW_S
        while True:
            if loop.time() >= renew_s:
                if not await ask(self._store.lease, LEASE, self._owner, LEASE_S):
                    return
                renew_s = loop.time() + RENEW_S
            self._news.clear()
            notices = await ask(self._store.notices, after, PAGE)
            for each in notices:
                if each.kind in (NotificationType.ALARM, NotificationType.CLEARED):
                    board.see(json.loads(each.body))
            after = notices[-1].sequence if notices else after
            if len(notices) < PAGE:
                if changes := board.changes():
                    await ask(self._store.announce, NotificationType.NODE_HEALTH, changes, SETTING, board.tell(changes))
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(renew_s):
                        await self._news.wait()

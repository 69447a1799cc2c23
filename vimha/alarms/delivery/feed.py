"""The outbox's newest notifications, read and parsed once for all senders of this process.

It is the one who follows the outbox for the whole process: all others are told by it that there is something new.

Invariant: `after(n)` is complete, or None: whoever stands further back than what is kept asks for `older`, which reads
a page from the store once for all who lag there. What is for one subscription alone is not here: senders find it in the
store when they begin.
"""

import asyncio
import json
import logging
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.outbox import Notice

TROUBLE_S = 0.25
"""Before the store is asked again that did not answer."""
PAGE = 500
"""Notifications to a query."""
PAGES = 8
"""Older pages that are kept."""
KEPT = 1000
"""So many are kept at least, twice as many at most: some 12 MB."""

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class News:
    """A notification, and what its text says."""

    notice: Notice
    body: Mapping[str, Any]


def news(notices: list[Notice]) -> list[News]:
    """The same, parsed."""
    return [News(notice, json.loads(notice.body)) for notice in notices]


def _sequence(each: News) -> int:
    return each.notice.sequence


class Feed:
    """Follows the outbox from the sequence number `head` on; `told` is called when there is something new. `pause_s`:
    how long to wait for `stir` before others' commits are looked for.
    """

    def __init__(
        self, read: Callable[[int, int], Awaitable[list[Notice]]], head: int, told: Callable[[], None],
        pause_s: Callable[[], float],
    ) -> None:  # fmt: skip
        self._read, self._told, self._pause_s = read, told, pause_s
        self._first, self._last = head, head
        self._kept: list[News] = []
        self._pages: OrderedDict[int, asyncio.Task[list[News]]] = OrderedDict()
        self._stirred = asyncio.Event()

    def stir(self) -> None:
        """There is something new, probably."""
        self._stirred.set()

    def after(self, sequence: int, most: int) -> list[News] | None:
        """Up to `most` notifications after this sequence number; None: some are no longer kept."""
        if sequence < self._first:
            return None
        start = bisect_right(self._kept, sequence, key=_sequence)
        return self._kept[start : start + most]

    async def older(self, sequence: int) -> list[News]:
        """Up to PAGE notifications after this sequence number; empty: there are none. StoreError."""
        number = sequence // PAGE
        if number not in self._pages:
            self._pages[number] = asyncio.create_task(self._page(number))
            if len(self._pages) > PAGES:
                self._pages.popitem(last=False)
        found = await asyncio.shield(self._pages[number])
        return found[bisect_right(found, sequence, key=_sequence) :]

    async def run(self) -> None:
        """Follow the outbox until cancelled."""
        while True:
            self._stirred.clear()
            try:
                more = await self._look()
            except StoreError as error:
                LOG.warning("delivery: the outbox cannot be read: %s", error)
                await asyncio.sleep(TROUBLE_S)
                continue
            if not more:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s()):
                        await self._stirred.wait()

    async def _page(self, number: int) -> list[News]:
        """The first PAGE notifications after `number` times PAGE; kept only when no more can come between them."""
        found: list[News] = []
        try:
            found = news(await self._read(number * PAGE, PAGE))
        finally:
            if len(found) < PAGE:
                self._pages.pop(number, None)
        return found

    async def _look(self) -> bool:
        """Read on; whether there may be more at once."""
        found = await self._read(self._last, PAGE)
        if found:
            self._kept += news(found)
            self._last = found[-1].sequence
            self._trim()
            self._told()
        return len(found) == PAGE

    def _trim(self) -> None:
        if len(self._kept) > 2 * KEPT:
            self._first = self._kept[-KEPT - 1].notice.sequence
            del self._kept[:-KEPT]

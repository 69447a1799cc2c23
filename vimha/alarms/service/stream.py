"""Server-sent events for consoles: `/vimfm/v1/stream`, one event for each notification, its id the sequence number.

Invariant: after what a console saw last (Last-Event-ID) it gets everything, in order, once; if some of that has aged
out it is told first that the list was rebuilt; else it is told first, without an event, which id it is at. A stream
holds one page of notifications at most, and one that nobody reads is closed after SLOW_S.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Header, Response
from starlette.types import Receive, Scope, Send

from vimha.alarms import times
from vimha.alarms.service import bodies
from vimha.alarms.service.context import Here, ask
from vimha.alarms.service.problems import ProblemError
from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.outbox import Notice
from vimha.alarms.store.store import Store
from vimha.alarms.words import NotificationType

PAGE = 200
TROUBLE_S = 0.25
BEAT_S = 15.0
"""Between comments that keep proxies from closing a silent stream."""
SLOW_S = 30.0
MOST = 100
"""Streams at once."""
router = APIRouter(tags=["stream"])


class Streams:
    """The open streams of this process."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.open = 0
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._ended = False

    def wake(self) -> None:
        """The outbox has grown."""
        self._news.set()
        self._news = asyncio.Event()

    def end(self) -> None:
        """Close all streams: the service ends."""
        self._ended = True
        self._news.set()

    async def notices(self, after: int) -> AsyncIterator[list[Notice]]:
        """What is committed after `after`, page by page; an empty one every BEAT_S; until the service ends."""
        beat_s = self._loop.time() + BEAT_S
        while not self._ended:
            news = self._news
            found = await self._read(after)
            if found:
                after = found[-1].sequence
            if found or self._loop.time() >= beat_s:
                beat_s = self._loop.time() + BEAT_S
                yield found
            if len(found) < PAGE:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(beat_s):
                        await news.wait()

    async def _read(self, after: int) -> list[Notice]:
        """A store that does not answer now is asked again soon."""
        try:
            return await ask(self.store.notices, after, PAGE)
        except StoreError:
            self._loop.call_later(TROUBLE_S, self.wake)
            return []


@router.get("/stream", responses={200: {"content": {"text/event-stream": {}}}, **bodies.problems(400, 503)})
async def stream(here: Here, last_event_id: Annotated[str | None, Header()] = None) -> Response:
    """Notifications as they happen. Each event's name is its notificationType, its data the alarm."""
    if here.streams.open >= MOST:
        raise ProblemError(503, f"{MOST} streams are open, as many as can be", {"Retry-After": "10"})
    if last_event_id is None:
        return EventStream(here.streams, await ask(here.store.head), rebuilt=False)
    if not (last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) < 19):
        raise ProblemError(400, "Last-Event-ID: it is none of this service's")
    after = int(last_event_id)
    head = await ask(here.store.head)
    following = await ask(here.store.notices, after, 1)
    gone = after > head or (following[0].sequence > after + 1 if following else head > after)
    return EventStream(here.streams, min(after, head), rebuilt=gone)


class EventStream(Response):
    """Writes events as fast as they are read, no faster."""

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, after: int, *, rebuilt: bool) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams, self._after, self._rebuilt = streams, after, rebuilt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._streams.open += 1
        writing = asyncio.create_task(self._write(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._streams.open -= 1
            for task in (writing, leaving):
                task.cancel()
            await asyncio.gather(writing, leaving, return_exceptions=True)

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        first = _event(NotificationType.REBUILT, self._after, "{}") if self._rebuilt else f"id: {self._after}\n\n"
        await self._send(send, first)
        async for notices in self._streams.notices(self._after):
            told = [each for each in notices if each.kind != NotificationType.NODE_HEALTH]
            text = "".join(_event(each.kind, each.sequence, each.body) for each in told)
            await self._send(send, text or f": {times.text(times.now())}\n\n")
        await send({"type": "http.response.body", "body": b""})

    async def _send(self, send: Send, text: str) -> None:
        body = {"type": "http.response.body", "body": text.encode(), "more_body": True}
        async with asyncio.timeout(SLOW_S):
            await send(body)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(kind: str, sequence: int, data: str) -> str:
    """`data` is JSON of one line: json.dumps escapes line breaks."""
    return f"id: {sequence}\nevent: {kind}\ndata: {data}\n\n"

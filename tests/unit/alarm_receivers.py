"""Subscribers for tests: real HTTP servers on loopback that keep what they were told; a store with alarms to tell."""

import asyncio
import itertools
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from vimha.alarms import times
from vimha.alarms.catalogue import definitions
from vimha.alarms.delivery.delivery import Delivery
from vimha.alarms.delivery.settings import DeliverySettings
from vimha.alarms.machine import Rules
from vimha.alarms.model import Event, Location
from vimha.alarms.store.store import Store
from vimha.alarms.subscriptions import FmSubscriptionRequest, digest
from vimha.alarms.words import Severity

LOCAL = DeliverySettings(allow=("127.0.0.0/8",), allow_http=True)
CALM = Rules(changes=10_000)
"""No alarm flaps."""
NUMBERS = itertools.count(1)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def play(work: Coroutine[Any, Any, None], seconds: float = 100.0) -> None:
    """Run a test's coroutine, for so long at most."""

    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await work

    asyncio.run(bounded())


async def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something holds."""
    end = asyncio.get_running_loop().time() + seconds
    while not true():
        assert asyncio.get_running_loop().time() < end, "it did not come true"
        await asyncio.sleep(0.005)


class Receiver:
    """A subscriber. `answer` decides what a notification gets; the default takes it."""

    def __init__(self, answer: Handler | None = None) -> None:
        self.answer = answer
        self.told: list[dict[str, Any]] = []
        """What it took, repetitions included."""
        self.headers: list[dict[str, str]] = []
        self.at_once = self.most_at_once = 0
        self.tests = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/told"

    @property
    def first(self) -> list[dict[str, Any]]:
        """Each notification once, as it came first."""
        found: dict[str, dict[str, Any]] = {}
        for each in self.told:
            found.setdefault(each["id"], each)
        return list(found.values())

    def by_object(self) -> dict[str, list[str]]:
        """Managed object -> the severities that were told, in order, repetitions left out."""
        found: dict[str, list[str]] = defaultdict(list)
        objects: dict[str, str] = {}
        for each in self.first:
            if each["notificationType"] == "AlarmNotification":
                alarm = each["alarm"]
                objects[alarm["id"]] = alarm["managedObjectId"]
                found[alarm["managedObjectId"]].append(alarm["perceivedSeverity"])
            elif each["notificationType"] == "AlarmClearedNotification":
                found[objects.get(each["alarmId"], each["alarmId"])].append("CLEARED")
        return dict(found)

    async def get(self, _: web.Request) -> web.StreamResponse:
        self.tests += 1
        return web.Response(status=204)

    async def post(self, request: web.Request) -> web.StreamResponse:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            told = json.loads(await request.read())
            response = await self.answer(request) if self.answer else web.Response(status=204)
            if 200 <= response.status < 300:
                self.told.append(told)
                self.headers.append(dict(request.headers))
            return response
        finally:
            self.at_once -= 1


@asynccontextmanager
async def receiving(receiver: Receiver, port: int = 0) -> AsyncIterator[Receiver]:
    """The receiver, listening; at its end as if its process had died."""
    app = web.Application()
    app.router.add_get("/told", receiver.get)
    app.router.add_post("/told", receiver.post)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    receiver.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def delivering(store: Store, settings: DeliverySettings = LOCAL, **more: Any) -> AsyncIterator[Delivery]:
    """Delivery from `store`, running."""
    delivery = Delivery(store, settings, **more)
    await delivery.start()
    try:
        yield delivery
    finally:
        await delivery.stop()


def new_store(folder: Path) -> Store:
    return Store.open(f"sqlite:///{folder}/alarms.db", CALM)


def subscribe(store: Store, url: str, **more: Any) -> str:
    """Subscribe without the callback's test; the id."""
    request = FmSubscriptionRequest.model_validate({"callbackUri": url, **more})
    return store.subscribe(digest(request), request.model_dump(mode="json", by_alias=True, exclude_none=True))[0].id


def event(name: str, severity: Severity = Severity.MAJOR, definition: str = "control.service.failed") -> Event:
    """An observation of service/<name>, later than all before."""
    return Event(
        id=f"e{next(NUMBERS)}-{name}", definition=definitions()[definition], managed_object=f"service/{name}",
        severity=severity, event_us=times.now() + next(NUMBERS), location=Location(host=name.rpartition("/")[2]),
    )  # fmt: skip


async def submit(store: Store, *events: Event) -> None:
    """Have them taken in."""
    await asyncio.wrap_future(store.submit(events))

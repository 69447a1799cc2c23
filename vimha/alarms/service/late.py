"""A service whose store is not there yet: it listens, says so, and becomes the application as soon as the store is.

Invariant: until then every request is answered with 503 and the reason, but for the liveness path. So a database that
forms its cluster for a minute keeps no start waiting, on which Pacemaker's next step, a fencing even, would wait.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from fastapi import FastAPI
from starlette.datastructures import State
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vimha.alarms.service.health import LIVE
from vimha.alarms.service.problems import RETRY_S, answer
from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.store import Store

LOG = logging.getLogger(__name__)
PAUSE_S = 0.25


class Late:
    """ASGI. `open_store` raises StoreError while there is none; `make` is the application over one; `fail` is told of
    what no second attempt would mend, and has the process end.
    """

    def __init__(
        self, open_store: Callable[[], Store], make: Callable[[Store], FastAPI], fail: Callable[[Exception], None]
    ) -> None:
        self._open_store, self._make, self._fail = open_store, make, fail
        self._app: FastAPI | None = None
        self._why = "the store is being opened"

    @property
    def state(self) -> State:
        """The application's; an empty one before there is one."""
        return self._app.state if self._app else State()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)
        elif scope["path"] == LIVE:
            await Response(status_code=200)(scope, receive, send)
        else:
            await answer(503, self._why, {"Retry-After": str(RETRY_S)})(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        ending = asyncio.Event()
        task = asyncio.create_task(self._run(ending))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        ending.set()
        await task
        await send({"type": "lifespan.shutdown.complete"})

    async def _run(self, ending: asyncio.Event) -> None:
        store: Store | None = None
        try:
            store = await self._opened(ending)
            if store is None:
                return
            app = self._make(store)
            async with app.router.lifespan_context(app):
                self._app = app
                await ending.wait()
        except Exception as error:  # told to whoever runs the server: this task has no other reader
            self._fail(error)
        finally:
            if store:
                await asyncio.to_thread(store.close)

    async def _opened(self, ending: asyncio.Event) -> Store | None:
        """The store, as soon as it can be opened; None when the end comes first."""
        while not ending.is_set():
            try:
                return await asyncio.to_thread(self._open_store)
            except StoreError as error:
                if error.message != self._why:
                    LOG.warning("%s", error.message)
                self._why = error.message
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    await ending.wait()
        return None

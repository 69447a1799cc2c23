"""The service put together: `make_app` has the routes, what stands before them, and what runs beside them.

Invariant: the order before a route is fixed: count, body limit, version, whose page, who asks; so nothing is parsed for
who may not ask.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import Lifespan

from vimha import __version__
from vimha.alarms.config import Settings
from vimha.alarms.delivery.delivery import Delivery
from vimha.alarms.delivery.settings import DeliverySettings
from vimha.alarms.service import (
    alarms,
    events,
    health,
    history,
    listing,
    metrics,
    nodes,
    openapi,
    problems,
    retention,
    southbound,
    stream,
    subscriptions,
    versions,
)  # fmt: skip
from vimha.alarms.service.auth import Gate
from vimha.alarms.service.context import Context
from vimha.alarms.service.health import Health
from vimha.alarms.service.keystone import Keystone
from vimha.alarms.service.limits import BodyLimit
from vimha.alarms.service.links import TREES, VERSION
from vimha.alarms.service.metrics import Count, Metrics
from vimha.alarms.service.node_watch import NodeWatch
from vimha.alarms.service.origin import SameOrigin
from vimha.alarms.service.pages import routes as pages
from vimha.alarms.service.stream import Streams
from vimha.alarms.service.users import Users
from vimha.alarms.service.versions import VersionHeader
from vimha.alarms.store.store import Store

SOL = (listing.router, alarms.router, subscriptions.router)
"""What each tree has under its version."""
OURS = (history.router, nodes.router, stream.router)
"""What the canonical tree has beside."""
TOP = (events.router, southbound.router, retention.router, metrics.router, health.router, pages.router)


def make_app(store: Store, settings: Settings) -> FastAPI:
    """The ASGI application over an open store; it starts and ends what runs beside it, and leaves the store open.
    UsageError when a file that the settings name cannot be used.
    """
    figures = Metrics(store)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        delivery, streams = Delivery(store, _delivery(settings)), Streams(store)
        figures.watch(store, delivery, streams)
        app.state.context = Context(store, settings, figures, Health(store), streams, delivery)
        await delivery.start()
        watch = NodeWatch(store, uuid.uuid4().hex)
        for listener in (streams.wake, watch.wake):
            delivery.on_news(listener)
        watching = asyncio.create_task(watch.run())
        yield
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await watch.close()
        streams.end()
        await delivery.stop()

    app = routed(lifespan)
    app.add_middleware(
        Gate, users=Users(settings.auth.files) if settings.auth.files else None,
        certificates=settings.auth.certificates,
        keystone=Keystone(settings.auth.keystone) if settings.auth.keystone else None,
    )  # fmt: skip
    app.add_middleware(SameOrigin, url=settings.url)
    app.add_middleware(VersionHeader)
    app.add_middleware(BodyLimit)
    app.add_middleware(Count, figures=figures)
    return app


def _delivery(settings: Settings) -> DeliverySettings:
    """With links that a subscriber can follow, unless they were set by hand."""
    if settings.delivery.api_root != DeliverySettings().api_root:
        return settings.delivery
    return settings.delivery.model_copy(update={"api_root": settings.base_url + TREES[0] + VERSION})


def routed(lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """The routes alone, with nothing before or beside them; what the OpenAPI document is made of."""
    app = FastAPI(
        title="vimha alarms", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    problems.install(app)
    openapi.install(app)
    for tree in TREES:
        first = tree == TREES[0]
        app.include_router(versions.router, prefix=tree, include_in_schema=first)
        for router in (*SOL, *(OURS if first else ())):
            app.include_router(router, prefix=tree + VERSION, include_in_schema=first)
    for router in TOP:
        app.include_router(router)
    return app

"""The service put together: `make_app` has the routes, what stands before them, and what runs beside them.

Invariant: the order before a route is fixed: body limit, who asks, version; so nothing is parsed for who may not ask.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from vimha import __version__
from vimha.alarms.config import Settings
from vimha.alarms.delivery.callback import CallbackError, test
from vimha.alarms.delivery.network import Network
from vimha.alarms.service import alarms, events, listing, problems, southbound, subscriptions
from vimha.alarms.service.auth import Gate
from vimha.alarms.service.context import Context
from vimha.alarms.service.limits import BodyLimit
from vimha.alarms.service.links import TREES, VERSION
from vimha.alarms.service.problems import ProblemError
from vimha.alarms.service.users import Users
from vimha.alarms.store.store import Store
from vimha.alarms.subscriptions import FmSubscriptionRequest

SOL = (listing.router, alarms.router, subscriptions.router)
"""What each tree has."""


def make_app(store: Store, settings: Settings) -> FastAPI:
    """The ASGI application over an open store; it starts and ends what runs beside it, and leaves the store open."""
    app = FastAPI(
        title="vimha alarms", version=__version__, lifespan=_lifespan, docs_url=None, redoc_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    app.state.context = Context(store, settings)
    problems.install(app)
    for tree in TREES:
        for router in SOL:
            app.include_router(router, prefix=tree + VERSION, include_in_schema=tree == TREES[0])
    app.include_router(events.router)
    app.include_router(southbound.router)
    users = Users(settings.auth.file) if settings.auth.file else None
    app.add_middleware(Gate, users=users, certificates=settings.auth.certificates, keystone=None)
    app.add_middleware(BodyLimit)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    network = Network(context.settings.delivery)

    async def test_callback(request: FmSubscriptionRequest) -> None:
        try:
            await test(network, request)
        except CallbackError as error:
            raise ProblemError(error.status, error.detail) from error

    app.state.context = Context(context.store, context.settings, test_callback)
    yield
    network.close()

"""What every request can reach: the store, the settings, and who asks.

Invariant: the store is only called through `ask`, in a worker thread: it blocks, and the event loop must not.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ParamSpec, TypeVar

from fastapi import Depends, Request

from vimha.alarms.config import Role, Settings
from vimha.alarms.store.store import Store

if TYPE_CHECKING:
    from vimha.alarms.delivery.delivery import Delivery
    from vimha.alarms.service.health import Health
    from vimha.alarms.service.metrics import Metrics
    from vimha.alarms.service.stream import Streams

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Caller:
    """Who asks."""

    name: str
    role: Role


@dataclass(frozen=True)
class Context:
    """One service."""

    store: Store
    settings: Settings
    metrics: "Metrics"
    health: "Health"
    streams: "Streams"
    delivery: "Delivery"

    def root(self, request: Request) -> str:
        """The root of links in this answer, without a slash at the end."""
        return (self.settings.url or str(request.base_url)).rstrip("/")


async def ask(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a call of the store's."""
    return await asyncio.to_thread(work, *args, **kwargs)


def _context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


def _caller(request: Request) -> Caller:
    found: Caller = request.scope["vimha.caller"]
    return found


Here = Annotated[Context, Depends(_context)]
Asker = Annotated[Caller, Depends(_caller)]

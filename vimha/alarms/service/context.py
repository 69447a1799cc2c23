"""What every request can reach: the store, the settings, and who asks.

Invariant: the store is only called through `ask`, in a worker thread: it blocks, and the event loop must not.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, ParamSpec, TypeVar

from fastapi import Depends, Request

from vimha.alarms.config import Role, Settings
from vimha.alarms.service.problems import ProblemError
from vimha.alarms.store.store import Store
from vimha.alarms.subscriptions import FmSubscriptionRequest

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Caller:
    """Who asks."""

    name: str
    role: Role


async def _untested(_: FmSubscriptionRequest) -> None:
    raise ProblemError(503, "the service is not up yet", {"Retry-After": "1"})


@dataclass(frozen=True)
class Context:
    """One service."""

    store: Store
    settings: Settings
    test_callback: Callable[[FmSubscriptionRequest], Awaitable[None]] = _untested
    """Returns when a callback answered the test; ProblemError when it did not, or may not be called."""

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

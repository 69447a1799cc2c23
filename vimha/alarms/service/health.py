"""`/healthz`: whether the service can do its work, in 200 or 503 with the reason; `/livez`: whether it lives.

Invariant: a healthy answer means that the store took a write within the last KEPT_S seconds; a live one that this
process serves requests, whatever the store does: a restart mends no store. Anyone may ask, so asking often costs no
more.
"""

import asyncio
import time

from fastapi import APIRouter
from pydantic import BaseModel

from vimha.alarms.service import bodies
from vimha.alarms.service.context import Here
from vimha.alarms.service.problems import RETRY_S, ProblemError
from vimha.alarms.store.store import Store

KEPT_S = 1.0
WITHIN_S = 3.0
"""As long the store may take; a load balancer's check waits no longer."""
LIVE = "/livez"
router = APIRouter(tags=["operation"])


class Healthy(BaseModel):
    status: str = "ok"


class Health:
    """The last look at the store, one at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = asyncio.Lock()
        self._until_s = 0.0
        self._said = ""

    async def trouble(self) -> str:
        """Why the store takes no write; empty: it does."""
        async with self._turn:
            if time.monotonic() >= self._until_s:
                self._said = await self._look()
                self._until_s = time.monotonic() + KEPT_S
            return self._said

    async def _look(self) -> str:
        try:
            async with asyncio.timeout(WITHIN_S):
                return await asyncio.to_thread(self._store.health)
        except TimeoutError:
            return f"the store did not answer within {WITHIN_S:g} s"


@router.get("/healthz", responses=bodies.problems(503))
async def healthz(here: Here) -> Healthy:
    """Whether the store takes a write."""
    if said := await here.health.trouble():
        raise ProblemError(503, said, {"Retry-After": str(RETRY_S)})
    return Healthy()


@router.get(LIVE)
async def livez() -> Healthy:
    """Whether this process serves requests; says nothing of its store."""
    return Healthy()

"""Cleared alarms: `/vimfm/v1/history?from=&to=`, with the filters, selectors and pages of the active list.

Invariant: the range is of the time when alarms were raised, its end outside of it. In a filter perceivedSeverity is the
last one before the clearing: as it is shown, every one of them is CLEARED.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from vimha.alarms import times
from vimha.alarms.service import bodies
from vimha.alarms.service.context import Here, ask
from vimha.alarms.service.listing import PAGE, Asked, conditions, key, shown
from vimha.alarms.service.problems import ProblemError
from vimha.alarms.store.schema import HISTORY

router = APIRouter(tags=["history"])


class Range(Asked):
    """What the history may be asked for."""

    from_: str | None = Field(None, alias="from", description="RFC 3339")
    to: str | None = Field(None, description="RFC 3339")


@router.get("/history", responses=bodies.problems(400, 503), response_model=list[dict[str, Any]])
async def history(request: Request, here: Here, asked: Annotated[Range, Query()]) -> Response:
    """Cleared alarms, the last raised first."""
    from_us, to_us = _time("from", asked.from_), _time("to", asked.to)
    if from_us is not None and to_us is not None and from_us >= to_us:
        raise ProblemError(400, "from: it must be before `to`")
    where, after, selector = conditions(asked.filter, HISTORY), key(asked.nextpage_opaque_marker), asked.selector
    page = await ask(here.store.history, from_us, to_us, where, after, PAGE)
    return await shown(page, selector, request, here)


def _time(name: str, text: str | None) -> int | None:
    """A time of the query; a `+` of an offset that came as a space counts as it was meant."""
    if text is None:
        return None
    try:
        return times.micros(f"{text[:11]}{text[11:].replace(' ', '+')}")
    except (ValueError, OverflowError) as error:
        raise ProblemError(400, f"{name}: {error}") from error

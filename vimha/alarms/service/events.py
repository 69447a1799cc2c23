"""POST (or PUT, as Doctor does) /events: what sources report, one or up to 1,000 at once.

Invariant: all events of a request are taken in or none; the answer comes after their commit. Sent again, with the same
ids, they change nothing.
"""

import asyncio
from typing import Annotated, Any, cast

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter

from vimha.alarms import times
from vimha.alarms.model import Event
from vimha.alarms.service import bodies
from vimha.alarms.service.context import Here
from vimha.alarms.service.problems import ProblemError
from vimha.alarms.sources import doctor, native
from vimha.alarms.sources.doctor import DoctorEvent
from vimha.alarms.sources.event import SourceError
from vimha.alarms.sources.native import NativeEvent
from vimha.alarms.sources.settings import Cluster

MOST_EVENTS = 1000


def _either(value: Any) -> str:
    return (
        "~doctor" if isinstance(value, DoctorEvent) or (isinstance(value, dict) and "details" in value) else "~native"
    )


def _kind(value: Any) -> str:
    known = value if isinstance(value, dict) else {}
    return "~doctor" if "event" in known else "~bulk" if "events" in known else "~native"


One = Annotated[
    Annotated[DoctorEvent, Tag("~doctor")] | Annotated[NativeEvent, Tag("~native")], Discriminator(_either)
]  # fmt: skip


class DoctorReport(BaseModel):
    """As OPNFV Doctor's monitors send it."""

    model_config = ConfigDict(extra="forbid")

    event: DoctorEvent


class EventBatch(BaseModel):
    """Several events, in their order."""

    model_config = ConfigDict(extra="forbid")

    events: Annotated[list[One], Field(min_length=1, max_length=MOST_EVENTS)]


class Taken(BaseModel):
    """What became of the events: how many came, and how many notifications they made."""

    events: int
    notifications: int


Body = Annotated[
    Annotated[DoctorReport, Tag("~doctor")]
    | Annotated[EventBatch, Tag("~bulk")]
    | Annotated[NativeEvent, Tag("~native")],
    Discriminator(_kind),
]
BODY: TypeAdapter[Any] = TypeAdapter(cast(Any, Body))
router = APIRouter(tags=["southbound"])


SAID = bodies.takes(EventBatch, DoctorReport, NativeEvent)
ERRORS = bodies.problems(400, 413, 415, 503)


@router.post("/events", openapi_extra=SAID, responses=ERRORS)
@router.put("/events", openapi_extra=SAID, responses=ERRORS)
async def take_in(request: Request, here: Here) -> Taken:
    """Take in events; done when they are on the store's disk."""
    events = _events(await bodies.read(request, BODY), here.settings.cluster, times.now())
    told = await asyncio.wrap_future(here.store.submit(events))
    here.metrics.events.inc(len(events))
    return Taken(events=len(events), notifications=told)


def _events(body: DoctorReport | EventBatch | NativeEvent, cluster: Cluster, now_us: int) -> list[Event]:
    if isinstance(body, EventBatch):
        return [_event(said, f"events.{place}: ", cluster, now_us) for place, said in enumerate(body.events)]
    return [_event(body.event if isinstance(body, DoctorReport) else body, "", cluster, now_us)]


def _event(said: DoctorEvent | NativeEvent, place: str, cluster: Cluster, now_us: int) -> Event:
    try:
        if isinstance(said, DoctorEvent):
            return doctor.event(said, cluster, now_us)
        return native.event(said, cluster, now_us)
    except SourceError as error:
        raise ProblemError(400, f"{place}{error.message}. {error.remedy}".rstrip(". ") + ".") from error

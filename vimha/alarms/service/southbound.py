"""What other systems post in shapes of their own: Alertmanager's webhook, and what Pacemaker told `vimha-alert`.

Invariant: as for /events: all of a request is taken in or none, the answer comes after the commit, and the same request
again changes nothing.
"""

import asyncio

from fastapi import APIRouter, Request
from pydantic import TypeAdapter

from vimha.alarms import times
from vimha.alarms.model import Event
from vimha.alarms.service import bodies
from vimha.alarms.service.context import Context, Here, ask
from vimha.alarms.service.events import Taken
from vimha.alarms.service.problems import ProblemError
from vimha.alarms.sources import alertmanager, outages, pacemaker
from vimha.alarms.sources.alertmanager import Webhook
from vimha.alarms.sources.event import SourceError
from vimha.alarms.sources.outages import Memory
from vimha.alarms.sources.pacemaker import Report

WEBHOOK: TypeAdapter[Webhook] = TypeAdapter(Webhook)
REPORT: TypeAdapter[Report] = TypeAdapter(Report)
router = APIRouter(tags=["southbound"])


@router.post(
    "/alertmanager", openapi_extra=bodies.takes(Webhook), responses=bodies.problems(400, 413, 415, 503)
)  # fmt: skip
async def take_alerts(request: Request, here: Here) -> Taken:
    """Take in a notification of Prometheus Alertmanager (a receiver with `webhook_configs`)."""
    body, now_us = await bodies.read(request, WEBHOOK), times.now()
    found = []
    for place, alert in enumerate(body.alerts):
        try:
            found.append(alertmanager.event(alert, here.settings.cluster, now_us))
        except SourceError as error:
            raise ProblemError(400, f"alerts.{place}: {error.message}. {error.remedy}".rstrip(". ") + ".") from error
    return await _take(here, found)


@router.post(
    "/pacemaker", openapi_extra=bodies.takes(Report), responses=bodies.problems(400, 413, 415, 503)
)  # fmt: skip
async def take_records(request: Request, here: Here) -> Taken:
    """Take in records of a node's `vimha-alert`, in the order of its spool."""
    body = pacemaker.past(await bodies.read(request, REPORT), times.now())
    taken = await _take(here, pacemaker.events(body, here.settings.cluster))
    await ask(_learn, here, body)
    return taken


async def _take(here: Context, events: list[Event]) -> Taken:
    told = await asyncio.wrap_future(here.store.submit(events)) if events else 0
    return Taken(events=len(events), notifications=told)


def _learn(here: Context, report: Report) -> None:
    memory = Memory(here.store.setting, here.store.set_setting)

    def tell(event: Event) -> None:
        here.store.submit([event]).result()

    for record in report.records:
        outages.learn(record, report.node, here.settings.cluster, memory, tell)

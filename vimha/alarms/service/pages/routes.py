"""The pages' addresses: `/`, `/alarms/{id}`, `/history`, and our own files under `/pages/`.

Invariant: what an answer shows is decided here and by the URL alone; templates only lay it out.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import RedirectResponse

from vimha.alarms import times
from vimha.alarms.catalogue import definitions
from vimha.alarms.service.context import Asker, Here, ask
from vimha.alarms.service.listing import key, marker
from vimha.alarms.service.pages import acting, html
from vimha.alarms.service.pages.asked import LAST_US, Filters, Range, types
from vimha.alarms.service.pages.changes import changes
from vimha.alarms.service.pages.timeline import chart
from vimha.alarms.service.pages.worst import ORDER, worst_first
from vimha.alarms.store.errors import UnknownAlarmError
from vimha.alarms.store.queries import Kept
from vimha.alarms.store.schema import ALARM, HISTORY
from vimha.alarms.store.store import Store
from vimha.alarms.times import SECOND
from vimha.alarms.words import AckState, FaultDomain, Severity

PAGE = 100
"""Alarms to a page: what a person scrolls through."""
MOST_DRAWN = 5000
"""Alarms in the chart; of more the newest."""
TOLD_US = 3600 * SECOND
"""As long notifications are kept for sure (store/retention.py)."""
router = APIRouter(route_class=html.PageRoute, include_in_schema=False)
AlarmId = Annotated[str, Path(max_length=64)]
CHOICES: dict[str, Any] = {"domains": list(FaultDomain), "acks": list(AckState), "order": ORDER}


@router.get("/")
async def active(request: Request, here: Here, asked: Annotated[Filters, Query()]) -> Response:
    """The active alarms, the worst and newest first."""
    kept, after = await ask(worst_first, here.store, asked.where(ALARM), asked.after, PAGE)
    counted = await ask(here.store.counts, asked.where(ALARM, any_severity=True))
    counts = [
        (each, sum(number for (severity, _), number in counted.items() if severity is each),
         counted.get((each, AckState.UNACKNOWLEDGED), 0))
        for each in ORDER
    ]  # fmt: skip
    anything = bool(kept) or bool(await ask(here.store.counts))
    word = acting.token(request)
    made = html.page(
        request, "active.html.j2", asked=asked, types=types(), alarms=_read(kept), after=after, counts=counts,
        anything=anything, token=word, **CHOICES,
    )  # fmt: skip
    return acting.remember(request, made, word)


@router.get("/history")
async def history(request: Request, here: Here, asked: Annotated[Range, Query()]) -> Response:
    """The cleared alarms of a time, the last raised first, and when alarms were active then."""
    from_us, to_us = asked.bounds(times.now())
    where = asked.where(HISTORY)
    page = await ask(here.store.history, from_us, to_us, where, key(asked.after), PAGE)
    spans = await ask(here.store.cleared_spans, from_us, to_us, where, MOST_DRAWN)
    spans += await ask(here.store.active_spans, to_us, asked.where(ALARM), MOST_DRAWN - len(spans))
    return html.page(
        request, "history.html.j2", asked=asked, types=types(), alarms=_read(page.items),
        after=marker(page.after) if page.after else None, chart=chart(spans, from_us, to_us), from_us=from_us,
        to_us=to_us, drawn=len(spans), most_drawn=MOST_DRAWN, lasts=list(LAST_US), **CHOICES,
    )  # fmt: skip


@router.get("/alarms/{alarm_id}")
async def alarm(alarm_id: AlarmId, request: Request, here: Here, asked: Annotated[Filters, Query()]) -> Response:
    """One alarm: all that is known of it, what it means, what to do, what became of it."""
    kept = await ask(here.store.alarm, alarm_id)
    if kept is None:
        raise UnknownAlarmError(f"there is no alarm {alarm_id}", "It may have aged out of the history.")
    (shown,) = _read([kept])
    told = await ask(_told, here.store, shown)
    word = acting.token(request)
    made = html.page(
        request, "alarm.html.j2", asked=asked, alarm=shown, changes=told, token=word,
        known=definitions().get(shown["alarmDefinitionId"]),
        cleared=shown["perceivedSeverity"] == Severity.CLEARED,
    )  # fmt: skip
    return acting.remember(request, made, word)


@router.post("/alarms/{alarm_id}")
async def act(alarm_id: AlarmId, request: Request, here: Here, asker: Asker) -> Response:
    """Acknowledge it, take that back, or clear it; then back to where that was asked for."""
    wanted = await acting.form(request)
    await ask(acting.act, here.store, alarm_id, wanted, asker.name)
    return RedirectResponse(wanted.place, 303, html.HEADERS)


@router.get("/pages/{name}")
async def static(name: str) -> Response:
    """The style sheet, the script, the icon."""
    return html.static(name)


def _read(kept: Sequence[Kept]) -> list[dict[str, Any]]:
    return [{**json.loads(each.body), "version": each.version} for each in kept]


def _told(store: Store, shown: dict[str, Any]) -> list[Any]:
    since_us = max(times.micros(shown["alarmRaisedTime"]), times.now() - TOLD_US)
    return changes(shown, store.told(shown["id"], since_us))

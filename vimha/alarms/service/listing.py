"""Lists of alarms: the active ones and the history, in pages (SOL013, 5.2 filters, 5.3 selectors, 5.4 paging).

Invariant: a page is cut by key, so what comes or goes between two pages neither repeats nor hides another alarm; the
marker of the next page holds that key alone, and is checked like all that comes from outside.
"""

import base64
import binascii
import json
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from vimha.alarms.service import bodies, links
from vimha.alarms.service.context import Context, Here, ask
from vimha.alarms.service.problems import ProblemError
from vimha.alarms.store.queries import Key, Page

PAGE = 1000
"""Alarms to a page."""
MARKER = "nextpage_opaque_marker"
LATEST_US = 1 << 62

router = APIRouter(tags=["alarms"])


@router.get("/alarms", responses=bodies.problems(400, 503))
async def alarms(request: Request, here: Here, nextpage_opaque_marker: str | None = None) -> Response:
    """The active alarms, newest first."""
    after = key(nextpage_opaque_marker)
    page = await ask(here.store.alarms, (), after, PAGE)
    return shown(page, request, here)


def shown(page: Page, request: Request, here: Context) -> Response:
    """The page's answer, with the link to the next one."""
    root = links.base(here, request)
    body = [links.alarm(kept, root) for kept in page.items]
    return JSONResponse(body, headers=_next(page, request, here))


def marker(after: Key) -> str:
    """Where the next page begins, as a word for a URL."""
    return base64.urlsafe_b64encode(json.dumps(after).encode()).decode().rstrip("=")


def key(given: str | None) -> Key | None:
    """What `marker` was made of; ProblemError 400 when it is none of ours."""
    if given is None:
        return None
    try:
        found: Any = json.loads(base64.b64decode(given + "=" * (-len(given) % 4), b"-_", validate=True))
        raised_us, alarm_id = found
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raised_us = alarm_id = None
    if type(raised_us) is not int or not isinstance(alarm_id, str) or not 0 <= raised_us < LATEST_US:
        raise ProblemError(400, f"{MARKER}: it is none of this service's; begin at the first page")
    return raised_us, alarm_id[:64]


def _next(page: Page, request: Request, here: Context) -> dict[str, str]:
    if page.after is None:
        return {}
    asked = [(name, value) for name, value in request.query_params.multi_items() if name != MARKER]
    query = urlencode([*asked, (MARKER, marker(page.after))])
    return {"Link": f'<{here.root(request)}{request.url.path}?{query}>; rel="next"'}

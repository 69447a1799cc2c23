"""Lists of alarms: the active ones and the history, in pages (SOL013, 5.2 filters, 5.3 selectors, 5.4 paging).

Invariant: a page is cut by key, so what comes or goes between two pages neither repeats nor hides another alarm; the
marker of the next page holds that key alone, and is checked like all that comes from outside.
"""

import asyncio
import base64
import binascii
import json
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Table
from starlette.responses import JSONResponse

from vimha.alarms.filters import FilterError, parse
from vimha.alarms.filters_sql import to_sql
from vimha.alarms.service import bodies, links
from vimha.alarms.service.context import Context, Here, ask
from vimha.alarms.service.problems import ProblemError
from vimha.alarms.service.selectors import Selector, select
from vimha.alarms.store.queries import Key, Page
from vimha.alarms.store.schema import ALARM

PAGE = 200
"""Alarms to a page: a console shows fewer, and each takes 1.3 KB."""
MARKER = "nextpage_opaque_marker"
LATEST_US = 1 << 62

router = APIRouter(tags=["alarms"])


class Asked(BaseModel):
    """What a list may be asked for; an unknown parameter is refused, for it is a misspelt one."""

    model_config = ConfigDict(extra="forbid")

    filter: str | None = Field(None, description="such as (eq,perceivedSeverity,CRITICAL);(cont,managedObjectId,c1)")
    all_fields: str | None = Field(None, description="a flag: all attributes, which is usual")
    fields: str | None = Field(None, description="of the optional attributes only these")
    exclude_fields: str | None = Field(None, description="all but these optional attributes")
    exclude_default: str | None = Field(None, description="a flag: without the optional structured attributes")
    nextpage_opaque_marker: str | None = Field(None, max_length=256)

    @property
    def selector(self) -> Selector | None:
        return select(
            fields=self.fields, exclude_fields=self.exclude_fields, all_fields=self.all_fields is not None,
            exclude_default=self.exclude_default is not None,
        )  # fmt: skip


@router.get("/alarms", responses=bodies.problems(400, 503), response_model=list[dict[str, Any]])
async def alarms(request: Request, here: Here, asked: Annotated[Asked, Query()]) -> Response:
    """The active alarms, newest first."""
    where = conditions(asked.filter, ALARM)
    selector = asked.selector
    page = await ask(here.store.alarms, where, key(asked.nextpage_opaque_marker), PAGE)
    return await shown(page, selector, request, here)


def conditions(text: str | None, table: Table) -> list[ColumnElement[bool]]:
    """A filter's conditions on a table; ProblemError 400 when it cannot be understood."""
    if text is None:
        return []
    try:
        return to_sql(parse(text), table)
    except FilterError as error:
        raise ProblemError(400, error.message) from error


async def shown(page: Page, selector: Selector | None, request: Request, here: Context) -> Response:
    """The page's answer, with the link to the next one."""
    root = links.base(here, request)
    headers = _next(page, request, here)
    if selector is None:
        texts = f"[{','.join(links.text(kept, root) for kept in page.items)}]"
        return Response(texts, headers=headers, media_type="application/json")
    made = await asyncio.to_thread(lambda: [selector(links.alarm(kept, root)) for kept in page.items])
    return JSONResponse(made, headers=headers)


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

"""Errors as ProblemDetails (RFC 7807; ETSI GS NFV-SOL 013, 6.3 and 6.4): every one that the service answers.

Invariant: `detail` says what is wrong and where; it never holds a secret, a traceback or what the asker sent in full.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from vimha.alarms.store.errors import AlreadySoError, ChangedError, StoreError, UnknownAlarmError
from vimha.errors import VimhaError

LOG = logging.getLogger(__name__)
CONTENT = "application/problem+json"
RETRY_S = 1
"""Seconds after which a store that failed, or was full, is worth another request."""
METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
MOST_TOLD = 10
"""Mistakes of one body that are told."""
STATUS: Mapping[type[VimhaError], int] = {
    UnknownAlarmError: 404,
    AlreadySoError: 409,
    ChangedError: 412,
    StoreError: 503,
}


class ProblemDetails(BaseModel):
    """What an error looks like."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = None


class ProblemError(Exception):
    """Ends a request with this status and explanation."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def answer(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """The response that tells of an error."""
    title = HTTPStatus(status).phrase
    body = ProblemDetails(title=title, status=status, detail=detail).model_dump_json(exclude_none=True)
    return Response(body, status, {**(headers or {}), "Cache-Control": "no-store"}, CONTENT)


def told(mistakes: Sequence[Any]) -> str:
    """What pydantic found wrong in a body, one mistake after the other, without what was sent."""
    said = [f"{_place(each['loc'])}: {str(each['msg']).removeprefix('Value error, ')}" for each in mistakes[:MOST_TOLD]]
    if len(mistakes) > MOST_TOLD:
        said.append(f"and {len(mistakes) - MOST_TOLD} more")
    return "; ".join(said)


def install(app: FastAPI) -> None:
    """Have every error of `app` answered as ProblemDetails."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(VimhaError, _known)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _defect)


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101
    return answer(error.status, error.detail, error.headers)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_allowed(request))
        return answer(405, f"this resource takes {allowed}", {"Allow": allowed})
    detail = "there is no such resource" if error.status_code == HTTPStatus.NOT_FOUND else str(error.detail)
    return answer(error.status_code, detail, error.headers)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return answer(400, told(error.errors()))


async def _known(_: Request, error: Exception) -> Response:
    assert isinstance(error, VimhaError)  # noqa: S101
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    retry = {"Retry-After": str(RETRY_S)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        LOG.error("%s", error.message)
    return answer(status, f"{error.message}. {error.remedy}".removesuffix(" "), retry)


async def _gone(_: Request, __: Exception) -> Response:
    """Who asked went away in the middle of its body: nobody hears this."""
    return answer(400, "the body ended early")


async def _defect(_: Request, __: Exception) -> Response:
    return answer(500, "a defect of the service; its log has more")


def _allowed(request: Request) -> list[str]:
    """The methods that the asked path takes: of all its routes, not of the first alone."""
    routes = request.app.router.routes
    return [
        method
        for method in METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


def _place(steps: Sequence[int | str]) -> str:
    """Where in the body; a step that begins with `~` is the name of a shape (events.py), not a place."""
    path = ".".join(str(step)[:64] for step in steps if not str(step).startswith("~"))
    return json.dumps(path)[1:-1] or "the body"

"""Pages out: templates filled, headers that keep a browser to our own files, errors that a person can read.

Invariant: autoescape is on for every template; a page may not be framed, cached by others or run anything inline.
"""

import hashlib
from collections.abc import Callable, Coroutine
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from vimha.alarms import times
from vimha.alarms.service.pages import words
from vimha.alarms.service.problems import STATUS, ProblemError, told
from vimha.alarms.words import Severity
from vimha.errors import VimhaError

POLICY = "; ".join(
    [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
        "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    ]
)  # fmt: skip
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""Referrer-Policy no-referrer would make browsers send `Origin: null` with our own forms (origin.py)."""
STATIC = {"alarms.css": "text/css", "alarms.js": "text/javascript", "icon.svg": "image/svg+xml"}


def page(request: Request, template: str, status: int = 200, **shown: Any) -> Response:
    """A template as the answer to `request`."""
    caller = request.scope["vimha.caller"]
    text = _environment().get_template(template).render(
        caller=caller, may_act=caller.role.rank >= words.ACTING.rank, path=request.url.path, now_us=times.now(), **shown
    )  # fmt: skip
    return HTMLResponse(text, status, HEADERS)


def static(name: str) -> Response:
    """A file of ours; ProblemError 404 when there is none of that name."""
    if name not in STATIC:
        raise ProblemError(404, "there is no such file")
    headers = {**HEADERS, "Cache-Control": "private, max-age=86400"}
    return Response(_content(name), headers=headers, media_type=STATIC[name])


class PageRoute(APIRoute):
    """A route whose errors are pages too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except (ProblemError, VimhaError, RequestValidationError) as error:
                status, detail = _error(error)
                return page(request, "error.html.j2", status, title=HTTPStatus(status).phrase, detail=detail)

        return handled


def _error(error: Exception) -> tuple[int, str]:
    if isinstance(error, ProblemError):
        return error.status, error.detail
    if isinstance(error, VimhaError):
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
        return status, f"{error.message}. {error.remedy}".strip()
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return 400, told(error.errors())


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters.update(
        clock=words.clock,
        ago=words.ago,
        said=words.said,
        rfc3339=times.text,
        micros=times.micros,
        attributes=words.attributes,
    )
    made.globals.update(severities=[each.value for each in Severity], static=_address)
    return made


@cache
def _content(name: str) -> bytes:
    return files(__package__).joinpath("static", name).read_bytes()


@cache
def _address(name: str) -> str:
    """Where a file of ours is; another place whenever it is another file."""
    return f"/pages/{name}?{hashlib.sha256(_content(name)).hexdigest()[:12]}"

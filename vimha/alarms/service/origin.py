"""Requests that another site had a browser send: refused when they would change something.

Invariant: a browser adds a user's password or certificate to whatever request any page makes; so one that changes
something is done only if the page was ours, by Sec-Fetch-Site (W3C Fetch Metadata) or else Origin (RFC 6454). A client
that is no browser sends neither, and has no user behind it who can be tricked.
"""

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from vimha.alarms.service.problems import answer

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OURS = frozenset({"same-origin", "none"})
"""`none`: the user did it, not a page."""


class SameOrigin:
    """ASGI: answers 403 to what a foreign page asks for. `url`: what clients call this service, if that is set."""

    def __init__(self, app: ASGIApp, url: str | None) -> None:
        self._app = app
        self._known = urlsplit(url).netloc if url else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE or self._ours(scope):
            await self._app(scope, receive, send)
        else:
            await answer(403, "a page of another site asked for this")(scope, receive, send)

    def _ours(self, scope: Scope) -> bool:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if fetched := headers.get(b"sec-fetch-site"):
            return fetched in OURS
        origin = headers.get(b"origin")
        return origin is None or urlsplit(origin).netloc in {headers.get(b"host"), self._known} - {""}

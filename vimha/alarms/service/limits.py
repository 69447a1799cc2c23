"""How much a request may be: refused before it is read in full.

Invariant: of any request at most MOST_BYTES of body are in memory, whatever its headers say.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vimha.alarms.service.problems import ProblemError, answer

MOST_BYTES = 1 << 20
"""1,000 events are some 0.6 MB."""


class BodyLimit:
    """ASGI: answers 413 for a longer body. One that does not say its length is cut when it has come too far."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MOST_BYTES:
            await answer(413, TOO_LONG, {"Connection": "close"})(scope, receive, send)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > MOST_BYTES:
                raise ProblemError(413, TOO_LONG, {"Connection": "close"})
            return message

        await self._app(scope, counted, send)


TOO_LONG = f"a body may have {MOST_BYTES} bytes; send events in several requests"

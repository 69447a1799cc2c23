"""Versions of the API: the resource (SOL013, 9.3.3) and the Version header (SOL013, 4.2.1 and 9.2).

Invariant: every answer of a tree says the version; a request that asks for another is refused. One that asks for none
is served: it could mean no other.
"""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vimha.alarms.service.context import Here
from vimha.alarms.service.links import TREES, VERSION, base
from vimha.alarms.service.problems import answer

API = "1.3.0"
"""SOL003 fault management, of edition 3.3.1."""
TYPES = ("*/*", "application/*", "application/json", "application/problem+json")


class ApiVersion(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    version: str
    is_deprecated: bool = False


class ApiVersionInformation(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    uri_prefix: str
    api_versions: list[ApiVersion]


async def api_versions(request: Request, here: Here) -> ApiVersionInformation:
    """Which versions of the API there are."""
    return ApiVersionInformation(uri_prefix=f"{base(here, request)}/", api_versions=[ApiVersion(version=API)])


router = APIRouter(tags=["versions"])
for path in ("/api_versions", f"{VERSION}/api_versions"):
    router.add_api_route(path, api_versions)


class VersionHeader:
    """ASGI: 406 for another version or for answers that are not JSON, 400 for what is no version."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(tuple(f"{tree}/" for tree in TREES)):
            await self._app(scope, receive, send)
            return

        async def versioned(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Version"] = API
            await send(message)

        wrong = _wrong(scope)
        await (answer(*wrong) if wrong else self._app)(scope, receive, versioned)


def _wrong(scope: Scope) -> tuple[int, str] | None:
    """Why a request cannot be answered as it asks: status and explanation."""
    headers: dict[bytes, Any] = dict(scope["headers"])
    asked = headers.get(b"version", b"").decode("latin-1")
    if asked and not scope["path"].endswith("/api_versions"):
        number = asked.partition("-")[0]
        if len(number.split(".")) != 3 or not number.replace(".", "").isdecimal():
            return 400, f"Version: {asked[:32]!r} is no version such as {API}"
        if number != API:
            return 406, f"Version: this is {API}, not {number[:32]}"
    accepted = [each.partition(";")[0].strip() for each in headers.get(b"accept", b"*/*").decode("latin-1").split(",")]
    if not scope["path"].endswith("/stream") and not any(each in TYPES for each in accepted):
        return 406, f"Accept: this service answers {TYPES[2]}"
    return None

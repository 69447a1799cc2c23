"""JSON bodies in: read, judged by their model, refused with what is wrong and where.

Invariant: nothing but what the model allows comes out, and nothing is converted (strict); a body is at most
limits.MOST_BYTES long, and pydantic's parser bounds its depth.
"""

from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, TypeAdapter, ValidationError

from vimha.alarms.service.problems import ProblemDetails, ProblemError, told

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"

T = TypeVar("T")


async def read(request: Request, adapter: TypeAdapter[T], content_type: str = JSON) -> T:
    """The request's body; ProblemError 415 for another content type, 400 for what does not fit."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != content_type:
        accept = {"Accept-Patch": MERGE_PATCH} if request.method == "PATCH" else {}
        raise ProblemError(415, f"the body must be {content_type}", accept)
    try:
        return adapter.validate_json(await request.body(), strict=True)
    except ValidationError as error:
        raise ProblemError(400, told(error.errors(include_url=False, include_input=False))) from error


def takes(*models: type[BaseModel], content_type: str = JSON) -> dict[str, Any]:
    """What the OpenAPI document says of a route's body (its `openapi_extra`), one of `models`; openapi.py adds their
    schemas.
    """
    either = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    schema = either[0] if len(either) == 1 else {"oneOf": either}
    return {"requestBody": {"required": True, "content": {content_type: {"schema": schema}}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of a route's errors."""
    return {status: {"model": ProblemDetails} for status in statuses}

"""Alarms: the list, one of them, its acknowledgement, escalation and clearing (SOL003, 7.4; SOL002 for escalate).

Invariant: what changes an alarm names the version it saw by If-Match, if it cares; the answer's ETag is the new one.
"""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel
from starlette.responses import JSONResponse

from vimha.alarms.service import bodies, links
from vimha.alarms.service.context import Asker, Context, Here, ask
from vimha.alarms.service.problems import ProblemError
from vimha.alarms.store.errors import UnknownAlarmError
from vimha.alarms.store.queries import Kept
from vimha.alarms.words import AckState, Severity

router = APIRouter(tags=["alarms"])
AlarmId = Annotated[str, Path(max_length=64)]
ETAG = re.compile(r'(?:W/)?"(\d{1,18})"')


class AlarmModifications(BaseModel):
    """What PATCH changes (SOL003, 7.5.2.8)."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    ack_state: AckState


class PerceivedSeverityRequest(BaseModel):
    """What escalate asks for (SOL002, 7.5.2.9)."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    proposed_perceived_severity: Annotated[Severity, Field(description="not CLEARED")]


MODIFICATIONS = TypeAdapter(AlarmModifications)
PROPOSAL = TypeAdapter(PerceivedSeverityRequest)


@router.get("/alarms/{alarm_id}", responses=bodies.problems(404))
async def alarm(alarm_id: AlarmId, request: Request, here: Here) -> Response:
    """One alarm, active or cleared; its ETag is its version. 304 when If-None-Match names that."""
    kept = await ask(here.store.alarm, alarm_id)
    if kept is None:
        raise UnknownAlarmError(f"there is no alarm {alarm_id}", "It may have aged out of the history.")
    if _version(kept) in request.headers.get("if-none-match", "").replace("W/", "").replace(" ", "").split(","):
        return Response(status_code=304, headers={"ETag": _version(kept)})
    return _shown(kept, here, request)


@router.patch(
    "/alarms/{alarm_id}", responses=bodies.problems(400, 404, 409, 412, 415, 503),
    openapi_extra=bodies.takes(AlarmModifications, content_type=bodies.MERGE_PATCH),
)  # fmt: skip
async def acknowledge(alarm_id: AlarmId, request: Request, here: Here, asker: Asker) -> Response:
    """Acknowledge an alarm, or take that back; 409 when it is in that state already."""
    wanted = await bodies.read(request, MODIFICATIONS, bodies.MERGE_PATCH)
    await ask(here.store.acknowledge, alarm_id, wanted.ack_state, asker.name, _expected(request))
    kept = await ask(here.store.alarm, alarm_id)
    headers = {"ETag": _version(kept)} if kept else {}
    return JSONResponse({"ackState": wanted.ack_state.value}, headers=headers)


@router.post(
    "/alarms/{alarm_id}/escalate", status_code=204, openapi_extra=bodies.takes(PerceivedSeverityRequest),
    responses=bodies.problems(400, 404, 409, 412, 415, 503),
)  # fmt: skip
async def escalate(alarm_id: AlarmId, request: Request, here: Here) -> Response:
    """A consumer finds the alarm worse, or less bad, than it is shown."""
    wanted = (await bodies.read(request, PROPOSAL)).proposed_perceived_severity
    if wanted is Severity.CLEARED:
        raise ProblemError(400, "proposedPerceivedSeverity: CLEARED is no severity to escalate to; POST .../clear")
    kept = await ask(here.store.escalate, alarm_id, wanted, _expected(request))
    return Response(status_code=204, headers={"ETag": _version(kept)})


@router.post("/alarms/{alarm_id}/clear", status_code=204, responses=bodies.problems(404, 409, 503))
async def clear(alarm_id: AlarmId, here: Here, asker: Asker) -> Response:
    """End an alarm by hand: one of clearing type MANUAL, or one whose source is gone."""
    kept = await ask(here.store.clear, alarm_id, asker.name)
    return Response(status_code=204, headers={"ETag": _version(kept)})


def _shown(kept: Kept, here: Context, request: Request) -> Response:
    body: dict[str, Any] = links.alarm(kept, links.base(here, request))
    return JSONResponse(body, headers={"ETag": _version(kept)})


def _version(kept: Kept) -> str:
    return f'"{kept.version}"'


def _expected(request: Request) -> int | None:
    """The version that If-Match names; ProblemError 412 when that can be none of ours."""
    given = request.headers.get("if-match", "*").strip()
    if given == "*":
        return None
    found = ETAG.fullmatch(given)
    if not found:
        raise ProblemError(412, "If-Match: it is none of this service's ETags")
    return int(found[1])

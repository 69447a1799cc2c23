"""How long the history is kept: the alarmServiceConfiguration of O-RAN's O2 interface (O-RAN.WG6.O2IMS-INTERFACE, 3.3).

Invariant: what is set holds on all nodes from their next sweep on, and never touches an active alarm.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from vimha.alarms.service import bodies
from vimha.alarms.service.context import Context, Here, ask
from vimha.alarms.service.problems import ProblemError
from vimha.alarms.store.retention import Retention
from vimha.alarms.words import Severity

PATH = "/O2ims_infrastructureMonitoring/v1/alarmServiceConfiguration"
Days = Annotated[int, Field(ge=1, le=36_500, strict=True, description="days")]
Counts = Annotated[
    dict[Severity, Annotated[int, Field(ge=0, le=10**12, strict=True)] | None],
    Field(description="the most cleared alarms that are kept of a severity, the last before the clearing; none: any"),
]
router = APIRouter(prefix=PATH, tags=["retention"])


class AlarmServiceConfiguration(BaseModel):
    """O2's attribute retentionPeriod, and counts of our own."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    retention_period: Days
    retention_counts: Counts = {}


class AlarmServiceConfigurationPatch(BaseModel):
    """What changes; a count of null takes a limit away."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    retention_period: Days | None = None
    retention_counts: Counts | None = None


WHOLE = TypeAdapter(AlarmServiceConfiguration)
PATCH = TypeAdapter(AlarmServiceConfigurationPatch)


@router.get("")
async def configuration(here: Here) -> AlarmServiceConfiguration:
    """How long cleared alarms are kept."""
    return _shown(await ask(here.store.retention))


@router.put("", openapi_extra=bodies.takes(AlarmServiceConfiguration), responses=bodies.problems(400, 415, 503))
async def replace(request: Request, here: Here) -> AlarmServiceConfiguration:
    """Set all of it."""
    wanted = await bodies.read(request, WHOLE)
    return await _set(here, wanted.retention_period, wanted.retention_counts)


@router.patch(
    "", openapi_extra=bodies.takes(AlarmServiceConfigurationPatch, content_type=bodies.MERGE_PATCH),
    responses=bodies.problems(400, 415, 503),
)  # fmt: skip
async def change(request: Request, here: Here) -> AlarmServiceConfiguration:
    """Set what is given."""
    wanted = await bodies.read(request, PATCH, bodies.MERGE_PATCH)
    if "retention_period" in wanted.model_fields_set and wanted.retention_period is None:
        raise ProblemError(400, "retentionPeriod: it cannot be taken away")
    known = await ask(here.store.retention)
    cleared = "retention_counts" in wanted.model_fields_set and wanted.retention_counts is None
    counts: dict[Severity, Any] = {} if cleared else {**known.most, **(wanted.retention_counts or {})}
    return await _set(here, wanted.retention_period or known.days, counts)


async def _set(here: Context, days: int, counts: dict[Severity, int | None]) -> AlarmServiceConfiguration:
    kept = Retention(days=days, most={severity: most for severity, most in counts.items() if most is not None})
    await ask(here.store.set_retention, kept)
    return _shown(kept)


def _shown(kept: Retention) -> AlarmServiceConfiguration:
    return AlarmServiceConfiguration(retention_period=kept.days, retention_counts=dict(kept.most))

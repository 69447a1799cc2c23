"""The OpenAPI document: what FastAPI finds in the routes, and what they read by themselves.

Invariant: every model that a route names is in it, and every route says how a caller proves who it is.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from vimha.alarms.service import alarms, events, problems, retention
from vimha.alarms.service.auth import OPEN
from vimha.alarms.sources.alertmanager import Webhook
from vimha.alarms.sources.native import NativeEvent
from vimha.alarms.sources.pacemaker import Report
from vimha.alarms.subscriptions import FmSubscriptionRequest

PROBLEM = problems.CONTENT
BODIES: tuple[type[BaseModel], ...] = (
    alarms.AlarmModifications, alarms.PerceivedSeverityRequest, events.EventBatch, events.DoctorReport,
    NativeEvent, FmSubscriptionRequest, retention.AlarmServiceConfiguration,
    retention.AlarmServiceConfigurationPatch, Webhook, Report,
)  # fmt: skip
SCHEMES = {
    "basic": {"type": "http", "scheme": "basic"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "keystone": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
    "certificate": {"type": "mutualTLS"},
}


def install(app: FastAPI) -> None:
    """Have /openapi.json answer with this document."""
    made: dict[str, Any] = {}

    def document() -> dict[str, Any]:
        if not made:
            made.update(_document(app))
        return made

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(title=app.title, version=app.version, routes=app.routes, description=ABOUT)
    components = found.setdefault("components", {})
    pairs = [(model, "validation") for model in BODIES]
    _, bodies = models_json_schema(pairs, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    components["schemas"] = {**bodies["$defs"], **components.get("schemas", {})}
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = SCHEMES
    for path, item in found["paths"].items():
        for operation in item.values():
            operation["security"] = [] if path in OPEN else [{name: []} for name in SCHEMES]
            operation["responses"] = _answers(operation["responses"])
    return found


def _answers(known: dict[str, Any]) -> dict[str, Any]:
    """With every error as what it is; FastAPI's own 422 is none of ours."""
    problem = {PROBLEM: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    told = {
        status: {**said, "content": problem} if status >= "400" else said
        for status, said in known.items()
        if "HTTPValidationError" not in str(said)
    }
    return {**told, "default": {"description": "Any other error", "content": problem}}


ABOUT = """Alarms of the VIM: ETSI GS NFV-SOL 003 fault management, API version 1.3.0, under /vimfm/v1; the same
resources are under /vnffm/v1 and /nsfm/v1. Every error is a ProblemDetails (RFC 7807)."""

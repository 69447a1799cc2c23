"""Subscriptions over HTTP (SOL003, 7.4.4 and 7.4.5).

Invariant: a subscription is made only after its callback answered the test; the same callback and filter are one
subscription; what it authenticates with is never shown.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import TypeAdapter
from starlette.responses import JSONResponse

from vimha.alarms.delivery.callback import CallbackError
from vimha.alarms.service import bodies, links
from vimha.alarms.service.context import Context, Here, ask
from vimha.alarms.service.problems import ProblemError
from vimha.alarms.subscriptions import FmSubscription, FmSubscriptionRequest, digest

MOST = 1000
"""Subscriptions: each costs a sender and its connections."""
REQUEST = TypeAdapter(FmSubscriptionRequest)
SubscriptionId = Annotated[str, Path(max_length=64)]
router = APIRouter(prefix="/subscriptions", tags=["subscriptions"])


@router.post(
    "", status_code=201, response_model=FmSubscription, openapi_extra=bodies.takes(FmSubscriptionRequest),
    responses={303: {"description": "There is this one already."}, **bodies.problems(400, 413, 415, 422, 503)},
)  # fmt: skip
async def subscribe(request: Request, here: Here) -> Response:
    """Be told of alarms. The callback is tested first: GET, which must answer 204."""
    wanted = await bodies.read(request, REQUEST)
    known = await ask(here.store.subscriptions)
    if any(each.digest == digest(wanted) for each in known):
        pass
    elif len(known) >= MOST:
        raise ProblemError(503, f"there are {MOST} subscriptions, as many as can be", {"Retry-After": "60"})
    else:
        await _test(here, wanted)
    asked = wanted.model_dump(mode="json", by_alias=True, exclude_none=True)
    made, new = await ask(here.store.subscribe, digest(wanted), asked)
    shown = links.subscription(made, links.base(here, request))
    place = {"Location": shown["_links"]["self"]["href"]}
    return JSONResponse(shown, 201, place) if new else Response(status_code=303, headers=place)


async def _test(here: Context, wanted: FmSubscriptionRequest) -> None:
    try:
        await here.delivery.test(wanted)
    except CallbackError as error:
        raise ProblemError(error.status, error.detail) from error


@router.get("", response_model=list[FmSubscription])
async def subscriptions(request: Request, here: Here) -> Response:
    """All subscriptions, the oldest first."""
    root = links.base(here, request)
    return JSONResponse([links.subscription(each, root) for each in await ask(here.store.subscriptions)])


@router.get("/{subscription_id}", response_model=FmSubscription, responses=bodies.problems(404))
async def subscription(subscription_id: SubscriptionId, request: Request, here: Here) -> Response:
    """One subscription."""
    found = await ask(here.store.subscription, subscription_id)
    if found is None:
        raise ProblemError(404, f"there is no subscription {subscription_id}")
    return JSONResponse(links.subscription(found, links.base(here, request)))


@router.delete("/{subscription_id}", status_code=204, responses=bodies.problems(404, 503))
async def unsubscribe(subscription_id: SubscriptionId, here: Here) -> Response:
    """Be told no more."""
    if not await ask(here.store.unsubscribe, subscription_id):
        raise ProblemError(404, f"there is no subscription {subscription_id}")
    return Response(status_code=204)

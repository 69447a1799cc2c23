"""What the page's buttons do: acknowledge an alarm, take that back, clear it.

Invariant: done only for a form that this browser got from us: a word in the form must be the one in a cookie that no
other site can read, set or have sent (double submit; SameSite=Strict); origin.py refuses foreign pages before that. An
alarm that has changed since it was shown is not acknowledged.
"""

import secrets
from typing import Annotated, Literal
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from vimha.alarms.service.problems import ProblemError, told
from vimha.alarms.store.store import Store
from vimha.alarms.words import AckState

COOKIE = "vimha-form"
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 10
ACKS = {"acknowledged": AckState.ACKNOWLEDGED, "unacknowledged": AckState.UNACKNOWLEDGED}


class Act(BaseModel):
    """The form. `back`: where to go then, a page of ours."""

    model_config = ConfigDict(extra="forbid")

    do: Literal["acknowledged", "unacknowledged", "cleared"]
    version: Annotated[int, Field(ge=0, lt=1 << 63)]
    token: Annotated[str, Field(max_length=64)]
    back: Annotated[str, Field(max_length=4096, pattern=r"^/(alarms/[\w-]+)?(\?[\w%&=+.~*-]*)?$")] = "/"

    @property
    def place(self) -> str:
        """Where to go when it is done, to be told so."""
        path, _, query = self.back.partition("?")
        kept = [each for each in query.split("&") if each and not each.startswith("done=")]
        return f"{path}?{'&'.join([*kept, f'done={self.do}'])}"


def token(request: Request) -> str:
    """The word for the forms of an answer; `remember` it with that."""
    return request.cookies.get(COOKIE, "") or secrets.token_urlsafe(24)


def remember(request: Request, answer: Response, word: str) -> Response:
    """Give the browser the word, if it has none."""
    if not request.cookies.get(COOKIE):
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, word, path="/", secure=secure, httponly=True, samesite="strict")
    return answer


async def form(request: Request) -> Act:
    """What a form of ours asks for; ProblemError 415, 400 or 403."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise ProblemError(415, f"the body must be {FORM}")
    try:
        fields = parse_qsl((await request.body()).decode(), max_num_fields=MOST_FIELDS, keep_blank_values=True)
        made = Act.model_validate(dict(fields))
    except ValidationError as error:
        raise ProblemError(400, told(error.errors(include_url=False, include_input=False))) from error
    except ValueError as error:
        raise ProblemError(400, "the body is no form") from error
    if not secrets.compare_digest(made.token.encode(), request.cookies.get(COOKIE, "").encode()) or not made.token:
        raise ProblemError(403, "this form is none of ours, or cookies are off; reload the page and try again")
    return made


def act(store: Store, alarm_id: str, wanted: Act, who: str) -> None:
    """Do it. UnknownAlarmError, AlreadySoError, ChangedError."""
    if wanted.do == "cleared":
        store.clear(alarm_id, who)
    else:
        store.acknowledge(alarm_id, ACKS[wanted.do], who, wanted.version)

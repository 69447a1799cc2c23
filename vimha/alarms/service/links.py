"""How alarms and subscriptions look to who asked: the kept JSON, with links of the tree that was asked.

Invariant: what is shown of an alarm is what is kept, and `_links`; of a subscription, nothing secret.
"""

import json
import re
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from vimha.alarms.service.context import Context
from vimha.alarms.store.outbox import Subscription
from vimha.alarms.store.queries import Kept

TREES = ("/vimfm", "/vnffm", "/nsfm")
"""The first is canonical; the others are where SOL003 and SOL005 have the same resources."""
VERSION = "/v1"
FIRST = re.compile(r'\{"id":"([\w-]+)",')


class Href(BaseModel):
    """A link."""

    href: str


def tree(request: Request) -> str:
    """The tree that was asked, as `/vimfm/v1`."""
    first = "/" + request.url.path.split("/")[1]
    return (first if first in TREES else TREES[0]) + VERSION


def base(here: Context, request: Request) -> str:
    """Where this answer's links begin."""
    return here.root(request) + tree(request)


def alarm(kept: Kept, root: str) -> dict[str, Any]:
    """Alarm (SOL003, 7.5.2.4) with its links."""
    body: dict[str, Any] = json.loads(kept.body)
    return {**body, "_links": {"self": {"href": f"{root}/alarms/{body['id']}"}}}


def text(kept: Kept, root: str) -> str:
    """The same as JSON text, not parsed: its id is the first of its attributes (alarms/sol.py)."""
    found = FIRST.match(kept.body)
    if not found:
        return json.dumps(alarm(kept, root))
    return f'{kept.body[:-1]},"_links":{{"self":{{"href":{json.dumps(f"{root}/alarms/{found[1]}")}}}}}}}'


def subscription(known: Subscription, root: str) -> dict[str, Any]:
    """FmSubscription (SOL003, 7.5.2.3)."""
    shown = {name: known.request[name] for name in ("filter", "callbackUri", "verbosity") if name in known.request}
    return {"id": known.id, **shown, "_links": {"self": {"href": f"{root}/subscriptions/{known.id}"}}}

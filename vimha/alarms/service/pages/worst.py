"""The active alarms with the worst first, and the newest first among equals, in pages.

Invariant: cut by key as every list is: what comes or goes between two pages neither repeats nor hides another alarm.
"""

import json
from collections.abc import Sequence

from vimha.alarms import times
from vimha.alarms.service.listing import key, marker
from vimha.alarms.service.problems import ProblemError
from vimha.alarms.store.queries import Kept, Key
from vimha.alarms.store.schema import ALARM
from vimha.alarms.store.store import Store, Where
from vimha.alarms.words import Severity

ORDER: list[Severity] = [each for each in Severity if each is not Severity.CLEARED]


def worst_first(store: Store, where: Where, after: str | None, limit: int) -> tuple[list[Kept], str | None]:
    """Up to `limit` active alarms that meet all conditions, those after `after`, and the word for where the next page
    begins; ProblemError 400 for a word that is none of ours.
    """
    severities, begin = _begin(after)
    found: list[Kept] = []
    for severity in severities:
        found += store.alarms([ALARM.c.severity == severity.value, *where], begin, limit + 1 - len(found)).items
        begin = None
        if len(found) > limit:
            return found[:limit], _marker(found[limit - 1])
    return found, None


def _marker(kept: Kept) -> str:
    body = json.loads(kept.body)
    return f"{body['perceivedSeverity']}.{marker((times.micros(body['alarmRaisedTime']), body['id']))}"


def _begin(after: str | None) -> tuple[Sequence[Severity], Key | None]:
    if after is None:
        return ORDER, None
    name, _, rest = after.partition(".")
    if name not in ORDER:
        raise ProblemError(400, "after: it is none of this service's; begin at the first page")
    return ORDER[ORDER.index(Severity(name)) :], key(rest)

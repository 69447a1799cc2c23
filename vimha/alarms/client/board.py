"""The active alarms that somebody looks at, kept up to date by the notifications that come.

Invariant: `alarms` is replaced, never changed in place, so another thread may show it at any time. An alarm that no
longer meets the filter leaves, and so does one that was cleared, whatever the filter says of severities. The list is
read after the stream is open, so nothing falls between them; what is told twice then changes nothing.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from vimha.alarms.client.client import Client, Json
from vimha.alarms.client.errors import UnavailableError, UnreachableError
from vimha.alarms.client.following import Broken, Connected, Told, follow
from vimha.alarms.filters import matches, parse
from vimha.alarms.words import NotificationType

AGAIN_S = 1.0
"""Until a list that could not be read is asked for again."""


@dataclass(frozen=True)
class Renewed:
    """The list was read anew."""


Change = Connected | Broken | Told | Renewed


class Board:
    """Alarms by id; `wanted` is a SOL013 filter. FilterError when that cannot be understood."""

    def __init__(self, client: Client, wanted: str | None) -> None:
        self._client = client
        self._wanted = wanted
        self._tree = parse(wanted) if wanted else ()
        self.alarms: Mapping[str, Json] = {}

    def changes(self, sleep: Callable[[float], None] = time.sleep) -> Iterator[Change]:
        """What happens to them, for ever; ClientError as for `follow`."""
        for each in follow(self._client, sleep):
            if not isinstance(each, Told) or self._take(each):
                yield each
            if each == Connected(again=False) or (isinstance(each, Told) and each.kind == NotificationType.REBUILT):
                yield from self._renew(sleep)

    def _renew(self, sleep: Callable[[float], None]) -> Iterator[Change]:
        while True:
            try:
                self.alarms = {each["id"]: each for each in self._client.alarms(self._wanted)}
            except (UnreachableError, UnavailableError) as error:
                yield Broken(error.message, AGAIN_S)
                sleep(AGAIN_S)
            else:
                yield Renewed()
                return

    def _take(self, told: Told) -> bool:
        """Whether a notification concerns what is looked at."""
        if told.kind not in (NotificationType.ALARM, NotificationType.CLEARED):
            return False
        alarm_id = told.body["id"]
        known = alarm_id in self.alarms
        rest = {each: body for each, body in self.alarms.items() if each != alarm_id}
        if told.kind == NotificationType.ALARM and matches(self._tree, told.body):
            self.alarms = {**rest, alarm_id: told.body}
            return True
        self.alarms = rest
        return known

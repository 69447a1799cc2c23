"""Following the alarm service's stream of notifications over failures of the service, its node and the network.

Invariant: after a break the stream goes on behind the last event that came (Last-Event-ID), so nothing is missed or
told twice; when the service cannot go on from there it says that the list was rebuilt: read it again then.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from httpx_sse import ServerSentEvent

from vimha.alarms.client.client import Client, Json
from vimha.alarms.client.errors import ClientError, RefusedError, UnavailableError
from vimha.alarms.delivery.backoff import pause_s

LONGEST_PAUSE_S = 3.0
"""A console that is looked at comes back soon."""


@dataclass(frozen=True)
class Connected:
    """The stream is open; `again`: it was before."""

    again: bool


@dataclass(frozen=True)
class Broken:
    """It is not; it is tried again in `pause_s` seconds."""

    why: str
    pause_s: float


@dataclass(frozen=True)
class Told:
    """One notification: its number, its NotificationType and the alarm ({} when it is about none)."""

    sequence: int
    kind: str
    body: Json


def follow(client: Client, sleep: Callable[[float], None] = time.sleep) -> Iterator[Connected | Told | Broken]:
    """What happens, for ever. ClientError when the very first try fails, or the service refuses: then it is no failure
    that passes.
    """
    last, failures, again = "", 0, False
    while True:
        try:
            with client.stream(last) as events:
                yield Connected(again)
                again, failures = True, 0
                for event in events:
                    last = event.id or last
                    if event.data:
                        yield _told(event)
            why = f"{client.url} ended the stream"
        except ClientError as error:
            if not again or (isinstance(error, RefusedError) and not isinstance(error, UnavailableError)):
                raise
            why = error.message
        failures += 1
        pause = min(pause_s(failures), LONGEST_PAUSE_S)
        yield Broken(why, pause)
        sleep(pause)


def _told(event: ServerSentEvent) -> Told:
    try:
        return Told(int(event.id), event.event, json.loads(event.data))
    except ValueError as error:
        raise RefusedError(f"the stream holds something that is no notification: {error}") from error

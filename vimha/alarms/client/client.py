"""The alarm service's API (ETSI NFV-SOL 003 and vimha's own resources) as Python calls.

Invariant: one request per call, and a list's pages as they are asked for; an answer that is no success is an exception
(errors.py). Only what was named is asked: redirects are not followed, and of a page's link nothing but its marker is
taken, so no answer can send the credentials elsewhere.
"""

import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx
from httpx_sse import ServerSentEvent, connect_sse

from vimha.alarms.client.access import Access
from vimha.alarms.client.errors import ClientError, refusal, unreachable
from vimha.alarms.words import AckState
from vimha.errors import UsageError

TREE = "/vimfm/v1"
STREAM = f"{TREE}/stream"
RETENTION = "/O2ims_infrastructureMonitoring/v1/alarmServiceConfiguration"
API = "1.3.0"
MERGE_PATCH = "application/merge-patch+json"
MARKER = "nextpage_opaque_marker"
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CONNECT_S = 3.0
ANSWER_S = 30.0
SILENCE_S = 20.0
"""The service says something on a stream every 15 s; one that hangs is noticed so."""
KEEP_ALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 2), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]
"""A stream whose node lost power, or whose VIP has moved, is noticed in 5 s; not all systems name these options."""
OTHER = "Is this the alarm service's address?"

Json = dict[str, Any]


class Client:
    """One service; close it, or use it as a context manager."""

    def __init__(self, url: str, auth: httpx.Auth | None, trust: ssl.SSLContext | bool) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=url, auth=auth, headers={"Version": API, "Accept": "application/json"},
            transport=httpx.HTTPTransport(verify=trust, socket_options=KEEP_ALIVE),
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S), trust_env=False,
        )  # fmt: skip

    @classmethod
    def open(cls, access: Access) -> "Client":
        """A client of the service that `access` names; VimhaError when a file that it names cannot be used."""
        return cls(access.url, access.auth(), access.tls())

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self.close()

    # Alarms

    def alarms(self, wanted: str | None = None) -> Iterator[Json]:
        """The active alarms that meet a SOL013 filter, newest first."""
        return self._pages(f"{TREE}/alarms", {"filter": wanted})

    def history(self, begin: str | None = None, end: str | None = None, wanted: str | None = None) -> Iterator[Json]:
        """Cleared alarms that were raised in [begin, end) (RFC 3339), the last raised first."""
        return self._pages(f"{TREE}/history", {"from": begin, "to": end, "filter": wanted})

    def alarm(self, alarm_id: str) -> Json:
        """The alarm of that id, active or cleared."""
        return _object(self._send("GET", _place("alarms", alarm_id)))

    def find(self, given: str) -> Json:
        """The alarm whose id is `given`, or the one whose id begins so: of the active ones, else of the cleared ones.
        UsageError when there are several, or none.
        """
        if ID.fullmatch(given):
            return self.alarm(given)
        _check(given)
        wanted = f"(gte,id,'{given}');(lt,id,'{given}~')"
        for found in (self.alarms(wanted), self.history(wanted=wanted)):
            if known := list(found):
                return _only(given, known, "alarm")
        raise UsageError(f"there is no alarm {given}, and none whose id begins so")

    def acknowledge(self, alarm_id: str, state: AckState) -> None:
        """Acknowledge an alarm, or take that back; ConflictError when it is so already."""
        self._send("PATCH", _place("alarms", alarm_id), {"ackState": state.value}, MERGE_PATCH)

    def clear(self, alarm_id: str) -> None:
        """End an active alarm by hand; ConflictError when it has ended."""
        self._send("POST", _place("alarms", alarm_id, "clear"))

    def report(self, events: Sequence[Json]) -> Json:
        """Have events taken in (docs/alarm-sources.md): how many came, and how many notifications they made."""
        return _object(self._send("POST", "/events", {"events": list(events)}))

    @contextmanager
    def stream(self, last: str = "") -> Iterator[Iterator[ServerSentEvent]]:
        """Notifications as they happen, those after the event with the id `last`; ends when the service ends it."""
        headers = {"Last-Event-ID": last} if last else {}
        timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
        with self._speaking(), connect_sse(self._http, "GET", STREAM, headers=headers, timeout=timeout) as source:
            if not source.response.is_success:
                source.response.read()
                raise refusal(source.response)
            if not source.response.headers.get("Content-Type", "").startswith("text/event-stream"):
                raise ClientError(f"{source.response.url} answered with something that is no stream", OTHER)
            yield source.iter_sse()

    # Subscriptions

    def subscribe(self, request: Mapping[str, Any]) -> tuple[Json, bool]:
        """A subscription (FmSubscriptionRequest), and whether it is new: the same one is not made twice."""
        answer = self._send("POST", f"{TREE}/subscriptions", request)
        if answer.status_code == httpx.codes.SEE_OTHER:
            return self.subscription(answer.headers["Location"].rpartition("/")[2]), False
        return _object(answer), True

    def subscriptions(self) -> list[Json]:
        """All subscriptions, the oldest first."""
        return _list(self._send("GET", f"{TREE}/subscriptions"))

    def subscription(self, subscription_id: str) -> Json:
        """The subscription of that id."""
        return _object(self._send("GET", _place("subscriptions", subscription_id)))

    def find_subscription(self, given: str) -> Json:
        """The subscription whose id is `given`, or the one whose id begins so."""
        if ID.fullmatch(given):
            return self.subscription(given)
        _check(given)
        known = [each for each in self.subscriptions() if each["id"].startswith(given)]
        if not known:
            raise UsageError(f"there is no subscription {given}, and none whose id begins so")
        return _only(given, known, "subscription")

    def unsubscribe(self, subscription_id: str) -> None:
        """Remove a subscription."""
        self._send("DELETE", _place("subscriptions", subscription_id))

    # How long cleared alarms are kept

    def retention(self) -> Json:
        """alarmServiceConfiguration: retentionPeriod in days, retentionCounts by severity."""
        return _object(self._send("GET", RETENTION))

    def change_retention(self, changes: Mapping[str, Any]) -> Json:
        """Set what `changes` names, and get all of it; a count of None takes a limit away."""
        return _object(self._send("PATCH", RETENTION, changes, MERGE_PATCH))

    def _pages(self, path: str, asked: Mapping[str, str | None]) -> Iterator[Json]:
        query = {name: value for name, value in asked.items() if value is not None}
        while True:
            answer = self._send("GET", path, query=query)
            yield from _list(answer)
            after = httpx.URL(answer.links.get("next", {}).get("url", "")).params.get(MARKER)
            if after is None:
                return
            query[MARKER] = after

    def _send(
        self, method: str, path: str, body: object = None, content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:  # fmt: skip
        kind = {"Content-Type": content_type} if body is not None else {}
        with self._speaking():
            answer = self._http.request(method, path, json=body, headers=kind, params=query)
        if not answer.is_success and answer.status_code != httpx.codes.SEE_OTHER:
            raise refusal(answer)
        return answer

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise unreachable(self.url, error) from error
        except UnicodeEncodeError as error:
            raise UsageError("what was given holds bytes that are no text of this machine's encoding") from error


def _place(*steps: str) -> str:
    return "/".join([TREE, *(quote(step, safe="") for step in steps)])


def _object(answer: httpx.Response) -> Json:
    found = _data(answer)
    if not isinstance(found, dict):
        raise ClientError(f"{answer.url} answered with JSON that is no object", OTHER)
    return found


def _list(answer: httpx.Response) -> list[Json]:
    found = _data(answer)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ClientError(f"{answer.url} answered with JSON that is no list of objects", OTHER)
    return found


def _data(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise ClientError(f"{answer.url} answered with something that is not JSON", OTHER) from error


def _check(prefix: str) -> None:
    if not re.fullmatch(r"[0-9a-f-]{1,35}", prefix):
        raise UsageError(f"{prefix!r} is no id, nor the beginning of one: hexadecimal digits such as 3fa91c07")


def _only(given: str, known: Sequence[Json], what: str) -> Json:
    if len(known) > 1:
        some = ", ".join(each["id"] for each in known[:5]) + (", ..." if len(known) > 5 else "")
        raise UsageError(f"{len(known)} {what}s begin with {given}: {some}", "Give more of the id.")
    return known[0]

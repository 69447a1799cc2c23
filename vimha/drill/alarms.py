"""The alarm path of a drill: what a subscriber outside of the nodes was told during a fault, and what it missed.

Invariant: a subscriber knows every alarm's last state: what is active was told as it is, what is over was told as over,
and of one alarm nothing came out of its order. The same notification may come twice; it has the same id then.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from vimha.drill.recorder import Recorder
from vimha.drill.subscriber import Order
from vimha.errors import ProcessError, VimhaError
from vimha.files import write_atomic
from vimha.lab.doors import Door
from vimha.process import run

CLEARED = "CLEARED"
SETTLE_S = 30.0
"""How long after healing the last notifications may take: as long as a store's own failover, and a flapping alarm's
quiet time, in which it is held (vimha/alarms/machine.py)."""
BEGIN_S = 15.0
LIST_S = 10.0
POLL_S = 0.25


@dataclass(frozen=True)
class Call:
    """A notification as it came: `at` in monotonic seconds, `epoch` by the clock. Of a cleared alarm only the id and
    the severity are known.
    """

    at: float
    epoch: float
    id: str
    stamp: str
    kind: str
    alarm_id: str
    definition: str
    about: str
    host: str
    severity: str
    event_time: str

    @property
    def lag_s(self) -> float:
        """From the event as Pacemaker told it, by the clock of its node, to this call."""
        return self.epoch - datetime.fromisoformat(self.event_time).timestamp() if self.event_time else 0.0


def raised(calls: Sequence[Call], definition: str, host: str) -> Call | None:
    """The first that tells of an alarm on `host` whose id begins with `definition`."""
    about = (call for call in calls if call.host == host and call.definition.startswith(definition))
    return next((call for call in about if call.severity != CLEARED), None)


def untold(calls: Sequence[Call], active: Sequence[Mapping[str, Any]], since: float) -> tuple[str, ...]:
    """What is wrong, in words, with what was told since `since` (seconds of the clock), as the list of active alarms is
    now.
    """
    told: dict[str, Call] = {}
    known: set[str] = set()
    problems = []
    for call in calls:
        if call.id in known or not call.alarm_id:
            continue
        known.add(call.id)
        if (before := told.get(call.alarm_id)) and (call.stamp < before.stamp or before.severity == CLEARED):
            problems.append(f"alarm {call.alarm_id} was told out of its order: {call.severity} after {before.severity}")
        told[call.alarm_id] = call
    for alarm in active:
        last = told.pop(alarm["id"], None)
        new = datetime.fromisoformat(alarm["alarmRaisedTime"]).timestamp() > since
        if (last is None and new) or (last and last.severity != alarm["perceivedSeverity"]):
            how = f"told as {last.severity}" if last else "never told"
            words = f"{alarm['alarmDefinitionId']} of {alarm['managedObjectId']}"
            problems.append(f"the alarm {words} is {alarm['perceivedSeverity']}, {how}")
    for last in told.values():
        if last.severity != CLEARED:
            problems.append(f"the end of {last.definition} of {last.about} was never told")
    return tuple(problems)


class AlarmService:
    """The site's alarm service, subscribed to by `address`, the client's own."""

    def __init__(self, door: Door, address: str) -> None:
        self.door, self.address = door, address

    def open(self, netns: str, work: Path) -> "AlarmBooks":
        return AlarmBooks(self, netns, work)


class AlarmBooks:
    """One round's subscriber, running; leaving ends it."""

    def __init__(self, service: AlarmService, netns: str, work: Path) -> None:
        self.calls: list[Call] = []
        self._netns = netns
        self._since = 0.0
        token = work / "alarms.token"
        write_atomic(token, service.door.token, 0o600)
        self._order = json.dumps(asdict(Order(service.door.url, service.door.ca_file, str(token), service.address)))
        self._recorder = Recorder("vimha.drill.subscriber", [self._order], work / "subscriber", netns)

    def __enter__(self) -> "AlarmBooks":
        end = time.monotonic() + BEGIN_S
        try:
            while not self._since:
                if time.monotonic() > end:
                    raise VimhaError("the alarm service took no subscription", "See vimha status.")
                time.sleep(POLL_S)
                self.read()
        except BaseException:
            self._recorder.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._recorder.stop()

    def settle(self, expected: str, host: str) -> tuple[str, ...]:
        """Wait until the subscriber knows what the service knows, and has been told of `expected` (the begin of an
        alarm's id; empty: of nothing) on `host`, and say in words what it does not know. Nothing is asked of the
        service before, while a fault lasts. VimhaError when the subscriber died.
        """
        end = time.monotonic() + SETTLE_S
        while True:
            found: tuple[str, ...] = ("the alarm service cannot be asked for its alarms",)
            with suppress(ProcessError, ValueError):
                active = self._active()
                self.read()
                found = untold(self.calls, active, self._since)
            heard = not expected or raised(self.calls, expected, host) is not None
            if (heard and not found) or time.monotonic() > end:
                return found
            time.sleep(POLL_S)

    def read(self) -> None:
        """Take in what the subscriber has recorded by now."""
        for record in self._recorder.fresh():
            if "subscribed" in record:
                self._since = record["subscribed"]
            else:
                self.calls.append(Call(**record))

    def _active(self) -> list[dict[str, Any]]:
        where = ["ip", "netns", "exec", self._netns, sys.executable, "-m", "vimha.drill.subscriber", "--list"]
        found: list[dict[str, Any]] = json.loads(run([*where, self._order], timeout_s=LIST_S).out)
        return found

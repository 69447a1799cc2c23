"""The store against a plain model of it: whatever is done in whatever order, both know and tell the same."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from alarm_store_tools import RULES, Clock, active, alarm, event, past
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vimha.alarms import machine
from vimha.alarms.machine import Entry, Step
from vimha.alarms.model import Alarm, Event
from vimha.alarms.store.errors import AlreadySoError, ChangedError
from vimha.alarms.store.store import Store
from vimha.alarms.times import SECOND
from vimha.alarms.words import AckState, Severity

OBJECTS = st.sampled_from(["vm/1", "vm/2", "vm/3"])
SEVERITIES = st.sampled_from([Severity.CRITICAL, Severity.MINOR, Severity.CLEARED])
AGO = st.sampled_from([0, 0, SECOND])
EVENTS = st.lists(st.tuples(st.integers(0, 60), OBJECTS, SEVERITIES, AGO), min_size=1, max_size=6)
ACKS = st.sampled_from(AckState)
PICK = st.integers(0, 10)


@cache
def empty_database() -> Path:
    """A database with its tables, to copy: making them takes longer than a history."""
    folder = Path(tempfile.mkdtemp(prefix="vimha-model-"))
    Store.open(f"sqlite:///{folder}/alarms.db").close()
    return folder


def teardown_module() -> None:
    shutil.rmtree(empty_database())


def nameless(alarm: Alarm) -> Alarm:
    """Without what the machine draws by lot."""
    return replace(alarm, id="")


class Model:
    """What a store should know: nothing is on a disk, everything is looked for from the beginning."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.past: list[Alarm] = []
        self.told: list[Alarm] = []
        self.seen: set[str] = set()

    def take_in(self, events: list[Event], now: int) -> None:
        for one in events:
            if one.id not in self.seen:
                self.seen.add(one.id)
                self.do(one.managed_object, lambda entry, one=one: machine.observe(entry, one, now, RULES))  # type: ignore[misc]

    def settle(self, now: int) -> None:
        for name in self.entries:
            self.do(name, lambda entry: machine.settle(entry, now, RULES))

    def do(self, name: str, work: Callable[[Entry], Step]) -> None:
        step = work(self.entries.get(name, Entry()))
        self.entries[name] = step.entry
        if step.told is not None:
            self.told.append(step.told)
            self.past += [] if step.told.active else [step.told]

    @property
    def active(self) -> list[Alarm]:
        return [entry.alarm for entry in self.entries.values() if entry.alarm]


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="vimha-model-"))
        shutil.copy(empty_database() / "alarms.db", self.folder)
        self.clock = Clock()
        self.model = Model()
        self.store = self.open()

    def open(self) -> Store:
        return Store.open(f"sqlite:///{self.folder}/alarms.db", RULES, clock=self.clock)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @rule(events=EVENTS)
    def report(self, events: list[tuple[int, str, Severity, int]]) -> None:
        """Ids are few, so some are repeated."""
        batch = [event(f"{name} {what}", what, severity, self.clock.now - ago) for name, what, severity, ago in events]
        before = len(self.model.told)
        self.model.take_in(batch, self.clock.now)
        assert self.store.submit(batch).result(10) == len(self.model.told) - before

    @rule(gap=st.sampled_from([1, SECOND, 6 * SECOND, 60 * SECOND]))
    def wait(self, gap: int) -> None:
        self.clock.now += gap
        self.store.settle()
        self.model.settle(self.clock.now)

    @rule(pick=PICK, state=ACKS)
    def acknowledge(self, pick: int, state: AckState) -> None:
        if (found := self.pick(self.model.active, pick)) is None:
            return
        ours, theirs = found
        if self.done(ours.ack is state, lambda: self.store.acknowledge(theirs, state, "me")):
            name = ours.managed_object
            self.model.do(name, lambda entry: machine.acknowledge(entry, state, "me", self.clock.now))

    @rule(pick=PICK, severity=st.sampled_from([Severity.CRITICAL, Severity.WARNING]))
    def escalate(self, pick: int, severity: Severity) -> None:
        if (found := self.pick(self.model.active, pick)) is None:
            return
        ours, theirs = found
        if self.done(ours.severity is severity, lambda: self.store.escalate(theirs, severity)):
            self.model.do(ours.managed_object, lambda entry: machine.escalate(entry, severity, self.clock.now))

    @rule(pick=PICK)
    def clear(self, pick: int) -> None:
        if (found := self.pick(self.model.active, pick)) is None:
            return
        ours, theirs = found
        self.store.clear(theirs, "me")

        def seen_and_cleared(entry: Entry) -> Step:
            seen = machine.acknowledge(entry, AckState.ACKNOWLEDGED, "me", self.clock.now).entry
            return machine.clear(seen, self.clock.now)

        self.model.do(ours.managed_object, seen_and_cleared)

    @rule(pick=PICK)
    def ask_for_an_old_version(self, pick: int) -> None:
        if (found := self.pick(self.model.active, pick)) is not None:
            try:
                self.store.acknowledge(found[1], AckState.ACKNOWLEDGED, "me", 0)
            except ChangedError:
                return
            raise AssertionError("no alarm has version 0")

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = self.open()

    @rule()
    def sweep(self) -> None:
        """Nothing is old enough."""
        assert self.store.sweep() == Counter()

    @invariant()
    def both_know_the_same(self) -> None:
        assert Counter(map(nameless, active(self.store))) == Counter(map(nameless, self.model.active))
        assert Counter(map(nameless, past(self.store))) == Counter(map(nameless, self.model.past))

    @invariant()
    def both_told_the_same(self) -> None:
        notices = self.store.notices(0, 100_000)
        assert [notice.sequence for notice in notices] == list(range(1, len(notices) + 1))
        told = [alarm(notice) for notice in notices]
        for name in {one.managed_object for one in self.model.told}:
            ours = [nameless(one) for one in self.model.told if one.managed_object == name]
            assert [nameless(one) for one in told if one.managed_object == name] == ours
        assert len(told) == len(self.model.told)

    @invariant()
    def versions_are_of_the_last_notification(self) -> None:
        last = {notice.alarm_id: notice.sequence for notice in self.store.notices(0, 100_000)}
        for page in (self.store.alarms(limit=1000), self.store.history(limit=1000)):
            for kept in page.items:
                assert last[alarm(kept).id] == kept.version

    def pick(self, alarms: list[Alarm], pick: int) -> tuple[Alarm, str] | None:
        """One of the model's alarms, and the store's id of the same."""
        if not alarms:
            return None
        ours = alarms[pick % len(alarms)]
        return ours, next(one.id for one in active(self.store) if nameless(one) == nameless(ours))

    def done(self, already: bool, work: Callable[[], Any]) -> bool:
        try:
            work()
        except AlreadySoError:
            assert already
            return False
        assert not already
        return True


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow],
)

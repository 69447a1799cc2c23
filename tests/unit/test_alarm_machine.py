"""The alarm's life under random histories: what its docstring promises, whatever comes in whatever order."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from vimha.alarms import machine
from vimha.alarms.catalogue import definitions
from vimha.alarms.machine import Entry, Rules, Step
from vimha.alarms.model import Alarm, Event
from vimha.alarms.times import SECOND
from vimha.alarms.words import AckState, Severity

RULES = Rules(changes=3, window_us=20 * SECOND, quiet_us=5 * SECOND)
START = 1_000_000 * SECOND
DEFINITION = definitions()["compute.vm.failed"]
SEVERITIES = [Severity.CRITICAL, Severity.MAJOR, Severity.WARNING, Severity.CLEARED, Severity.CLEARED]


def event(severity: Severity, event_us: int, details: str = "") -> Event:
    return Event("e", DEFINITION, "vm/1", severity, event_us, details=(details,) if details else ())


@dataclass
class Life:
    """One key's history: it plays steps, keeps what was told, and what the source last said."""

    entry: Entry = field(default_factory=Entry)
    now: int = START
    told: list[tuple[int, Alarm]] = field(default_factory=list)
    by_source: list[int] = field(default_factory=list)
    said: Event | None = None
    said_at: int = 0

    def do(self, work: Callable[[Entry], Step], *, source: bool = False) -> Alarm | None:
        step = work(self.entry)
        if step.told is not None:
            self.told.append((self.now, step.told))
            if source:
                self.by_source.append(self.now)
        self.entry = step.entry
        return step.told

    def observe(self, severity: Severity, ago_us: int = 0, details: str = "") -> Alarm | None:
        one = event(severity, self.now - ago_us, details)
        at = min(one.event_us, max(self.now, self.said_at))
        if at >= self.said_at:
            self.said, self.said_at = one, at
        return self.do(lambda entry: machine.observe(entry, one, self.now, RULES), source=True)

    def settle(self) -> Alarm | None:
        return self.do(lambda entry: machine.settle(entry, self.now, RULES), source=True)

    def calm(self) -> None:
        """Let the hold end, if there is one."""
        if self.entry.due_us is not None:
            self.now = max(self.now, self.entry.due_us)
            self.settle()


GAP = st.sampled_from([0, 1, SECOND // 10, SECOND, 4 * SECOND, 6 * SECOND, 30 * SECOND])
EVENT = st.tuples(
    st.just("event"), GAP, st.sampled_from(SEVERITIES), st.sampled_from([0, 0, 0, 2 * SECOND, -3600 * SECOND]),
    st.sampled_from(["", "", "x"]),
)  # fmt: skip
SETTLE = st.tuples(st.just("settle"), GAP)
OPERATOR = st.one_of(
    st.tuples(st.just("ack"), GAP, st.sampled_from(list(AckState))),
    st.tuples(st.just("escalate"), GAP, st.sampled_from([Severity.CRITICAL, Severity.MINOR])),
    st.tuples(st.just("clear"), GAP),
)
BY_SOURCE = st.lists(st.one_of(EVENT, EVENT, EVENT, SETTLE), max_size=40)
BY_ALL = st.lists(st.one_of(EVENT, EVENT, EVENT, SETTLE, OPERATOR), max_size=40)


def play(life: Life, step: tuple[object, ...]) -> Alarm | None:
    match step:
        case ("event", int(gap), Severity() as severity, int(ago), str(details)):
            life.now += gap
            return life.observe(severity, ago, details)
        case ("settle", int(gap)):
            life.now += gap
            return life.settle()
        case ("ack", int(gap), AckState() as state):
            life.now += gap
            return life.do(lambda entry: machine.acknowledge(entry, state, "me", life.now))
        case ("escalate", int(gap), Severity() as severity):
            life.now += gap
            return life.do(lambda entry: machine.escalate(entry, severity, life.now))
        case _:
            return life.do(lambda entry: machine.clear(entry, life.now))


@given(BY_SOURCE)
def test_what_is_published_ends_up_as_what_was_last_said(steps: list[tuple[object, ...]]) -> None:
    life = Life()
    for step in steps:
        play(life, step)
    life.calm()
    if life.said is None or life.said.severity is Severity.CLEARED:
        assert life.entry.alarm is None
    else:
        assert life.entry.alarm is not None
        assert (life.entry.alarm.severity, life.entry.alarm.details) == (life.said.severity, life.said.details)
        assert not life.entry.alarm.flapping


@given(BY_ALL)
def test_what_was_told_last_is_what_is_kept(steps: list[tuple[object, ...]]) -> None:
    life = Life()
    for step in steps:
        play(life, step)
        last = life.told[-1][1] if life.told else None
        if life.entry.alarm is None:
            assert last is None or not last.active
        else:
            assert last == replace(life.entry.alarm, events=last.events if last else 0)
            assert last.event_us <= last.changed_us if last.changed_us else last.event_us <= last.raised_us


@given(BY_ALL)
def test_an_identifier_is_one_life(steps: list[tuple[object, ...]]) -> None:
    life = Life()
    for step in steps:
        play(life, step)
    over: set[str] = set()
    running: Alarm | None = None
    for _, alarm in life.told:
        assert alarm.id not in over
        assert running is None or (alarm.id, alarm.raised_us) == (running.id, running.raised_us)
        assert running is not None or alarm.active
        assert alarm.events >= (running.events if running else 1)
        if not alarm.active:
            over.add(alarm.id)
        running = alarm if alarm.active else None


@given(BY_ALL)
def test_held_means_active_and_flapping(steps: list[tuple[object, ...]]) -> None:
    """And nothing else is: neither the mark nor what waits is ever left behind."""
    life = Life()
    for step in steps:
        play(life, step)
        held = life.entry.due_us is not None
        assert held == (life.entry.latest is not None)
        assert held == (life.entry.alarm is not None and life.entry.alarm.flapping)
        assert life.entry.alarm is None or life.entry.alarm.active


@given(BY_SOURCE)
def test_a_source_is_told_in_bounds(steps: list[tuple[object, ...]]) -> None:
    """What is told without a hold leaves no more than the allowed changes in the window; while it is held, only a worse
    severity is told, or its end.
    """
    life = Life()
    for step in steps:
        before, times = life.entry, list(life.by_source)
        told = play(life, step)
        if told is None:
            continue
        if before.due_us is None:
            assert told.flapping == (sum(life.now - each < RULES.window_us for each in times) >= RULES.changes)
        elif told.flapping:
            assert before.alarm is not None
            assert told.severity.rank > before.alarm.severity.rank
        else:
            assert life.now >= before.due_us


def test_what_is_told_while_it_is_held_counts_as_a_change() -> None:
    """Else a burst right after a hold would be told beyond the allowed changes."""
    life = Life()
    for severity in (Severity.WARNING, Severity.MAJOR, Severity.WARNING, Severity.MAJOR):
        life.observe(severity)
    assert life.entry.alarm is not None
    assert life.entry.alarm.flapping
    life.now += 4 * SECOND
    life.observe(Severity.CRITICAL)
    life.calm()
    assert life.entry.changes == (START, START + 4 * SECOND, START + 9 * SECOND)


@given(BY_SOURCE)
def test_a_hold_ends_the_quiet_time_after_the_last_change(steps: list[tuple[object, ...]]) -> None:
    life, changed = Life(), 0
    for step in steps:
        latest = life.entry.latest
        play(life, step)
        if life.entry.due_us is None:
            continue
        now = life.entry.latest
        if latest is None or now is None or (latest.severity, latest.details) != (now.severity, now.details):
            changed = life.now
        assert life.entry.due_us == changed + RULES.quiet_us


@given(BY_ALL)
def test_an_acknowledgement_holds_until_it_gets_worse(steps: list[tuple[object, ...]]) -> None:
    life = Life()
    for step in steps:
        before = life.entry.alarm
        told = play(life, step)
        if before is None or told is None or before.ack is not AckState.ACKNOWLEDGED or step[0] == "ack":
            continue
        worse = told.severity.rank > before.severity.rank
        assert told.ack is (AckState.UNACKNOWLEDGED if worse else AckState.ACKNOWLEDGED)


def test_a_late_report_does_not_raise_again() -> None:
    life = Life()
    life.observe(Severity.MAJOR)
    life.now += SECOND
    assert life.observe(Severity.CLEARED) is not None
    assert life.observe(Severity.MAJOR, ago_us=SECOND // 2) is None
    assert life.entry.alarm is None


def test_a_clearing_that_came_first_outlives_its_raise() -> None:
    life = Life()
    assert life.observe(Severity.CLEARED) is None
    assert life.observe(Severity.MAJOR, ago_us=1) is None
    assert life.entry.alarm is None


def test_an_operator_does_not_mute_a_source() -> None:
    """What was observed before an operator cleared, and arrives after, raises again: nothing newer is known."""
    life = Life()
    life.observe(Severity.MAJOR, ago_us=10 * SECOND)
    assert life.do(lambda entry: machine.clear(entry, life.now)) is not None
    assert life.observe(Severity.MAJOR, ago_us=SECOND) is not None


def test_a_clock_of_the_future_does_not_mute_the_others() -> None:
    life = Life()
    life.observe(Severity.MAJOR, ago_us=-86_400 * SECOND)
    assert life.entry.alarm is not None
    assert life.entry.alarm.event_us == life.now
    life.now += SECOND
    assert life.observe(Severity.CLEARED) is not None


def test_a_clock_that_runs_ahead_of_this_node_keeps_its_order() -> None:
    """Of two nodes' clocks one is ahead: what comes by the other one is not late for that."""
    life = Life()
    life.observe(Severity.MAJOR)
    life.now -= SECOND
    assert life.observe(Severity.CLEARED, ago_us=-SECOND) is not None


def test_repetitions_do_not_prolong_a_hold() -> None:
    """A source that says "cleared" every second is believed in the end."""
    life = Life()
    while life.entry.due_us is None:
        life.observe(Severity.MAJOR if life.entry.alarm is None else Severity.CLEARED)
    life.observe(Severity.CLEARED)
    for _ in range(6):
        life.now += SECOND
        life.observe(Severity.CLEARED)
        life.settle()
    assert life.entry.alarm is None


def test_a_worse_severity_is_told_while_it_is_held() -> None:
    life = Life()
    while life.entry.due_us is None:
        life.observe(Severity.WARNING if life.entry.alarm is None else Severity.CLEARED)
    told = life.observe(Severity.CRITICAL)
    assert told is not None
    assert (told.severity, told.flapping) == (Severity.CRITICAL, True)


def test_an_escalation_outlives_the_hold() -> None:
    """What the source said before the operator spoke does not undo it."""
    life = Life()
    while life.entry.due_us is None or life.entry.latest is None or life.entry.latest.severity is Severity.CLEARED:
        life.observe(Severity.CLEARED if life.said and life.said.severity is Severity.MAJOR else Severity.MAJOR)
    life.do(lambda entry: machine.escalate(entry, Severity.CRITICAL, life.now))
    life.calm()
    assert life.entry.alarm is not None
    assert life.entry.alarm.severity is Severity.CRITICAL

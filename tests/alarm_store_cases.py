"""What a store of alarms does, on whatever database: the fixture `new_store` opens one on an empty database, and again
on the same one.
"""

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from vimha.alarms import sol
from vimha.alarms.catalogue import definitions
from vimha.alarms.machine import Rules
from vimha.alarms.model import Alarm, Event, Location
from vimha.alarms.store.errors import AlreadySoError, ChangedError, StoreError, UnknownAlarmError
from vimha.alarms.store.queries import Kept
from vimha.alarms.store.retention import CHUNK, DAY, Retention
from vimha.alarms.store.schema import ALARM, ENTRY, HISTORY, METADATA, NOTIFICATION, SEEN
from vimha.alarms.store.store import Store
from vimha.alarms.times import SECOND
from vimha.alarms.words import AckState, NotificationType, Severity

START = 1_800_000_000 * SECOND
RULES = Rules(changes=3, window_us=20 * SECOND, quiet_us=5 * SECOND)
ACKED, UNACKED = AckState.ACKNOWLEDGED, AckState.UNACKNOWLEDGED


class Clock:
    """A wall clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


NewStore = Callable[..., Store]


def event(name: str, object_: str = "vm/1", severity: Severity = Severity.MAJOR, at: int = START, **more: Any) -> Event:
    return Event(name, definitions()["compute.vm.failed"], object_, severity, at, **more)


def raised(store: Store, object_: str = "vm/1", severity: Severity = Severity.MAJOR, at: int = START) -> str:
    """Raise an alarm; its id."""
    store.submit([event(f"raise {object_} {at}", object_, severity, at)]).result()
    return next(alarm.id for alarm in active(store) if alarm.managed_object == object_)


def cleared(store: Store, object_: str = "vm/1", at: int = START) -> None:
    store.submit([event(f"clear {object_} {at}", object_, Severity.CLEARED, at)]).result()


def alarm(kept: Kept | None) -> Alarm:
    assert kept is not None
    return sol.alarm(json.loads(kept.body))


def active(store: Store) -> list[Alarm]:
    return [alarm(kept) for kept in store.alarms(limit=100_000).items]


def past(store: Store) -> list[Alarm]:
    return [alarm(kept) for kept in store.history(limit=100_000).items]


def count(store: Store, table: Any) -> int:
    with store._database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def told(store: Store, after: int = 0) -> list[tuple[int, str, str]]:
    """Sequence, kind and severity of each notification."""
    return [
        (notice.sequence, notice.kind, json.loads(notice.body).get("perceivedSeverity", ""))
        for notice in store.notices(after)
    ]


class Alarms:
    """Events, and what operators do."""

    def test_an_alarm_is_raised_changed_and_cleared(self, new_store: NewStore) -> None:
        store = new_store()
        assert (
            store.submit([event("1", at=START - 2), event("2", severity=Severity.CRITICAL, at=START - 1)]).result() == 2
        )
        (one,) = active(store)
        assert (one.severity, one.events, one.event_us) == (Severity.CRITICAL, 2, START - 1)
        assert store.submit([event("3", severity=Severity.CLEARED)]).result() == 1
        assert active(store) == []
        assert [(each.id, each.severity) for each in past(store)] == [(one.id, Severity.CLEARED)]
        kinds = [(1, "AlarmNotification", "MAJOR"), (2, "AlarmNotification", "CRITICAL"),
                 (3, "AlarmClearedNotification", "CLEARED")]  # fmt: skip
        assert told(store) == kinds
        assert store.head() == 3

    def test_a_repeated_batch_changes_nothing(self, new_store: NewStore) -> None:
        store = new_store()
        batch = [event("1"), event("1"), event("2", "vm/2"), event("3", "vm/2", Severity.CLEARED)]
        assert store.submit(batch).result() == 3
        before = (active(store), past(store), told(store))
        assert store.submit(batch).result() == 0
        assert store.submit([*batch, event("4", "vm/4")]).result() == 1
        assert (len(active(store)), past(store), told(store)[:3]) == (len(before[0]) + 1, *before[1:])

    def test_names_that_differ_in_case_or_space_are_different(self, new_store: NewStore) -> None:
        store = new_store()
        names = ["x", "X", "x ", "\u00e9", "e", "\U0001f525", "x" * 300]
        assert store.submit([event(name, f"vm/{name}") for name in names]).result() == len(names)
        found = store.alarms([ALARM.c.managed_object == "vm/x"]).items
        assert [alarm(kept).managed_object for kept in found] == ["vm/x"]
        assert sorted(each.managed_object for each in active(store)) == sorted(f"vm/{name}" for name in names)

    def test_everything_of_an_alarm_comes_back(self, new_store: NewStore) -> None:
        store = new_store()
        full = event(
            "1", specific_problem="<&\"'\\%_;--", location=Location("s", "z", "r", "h", "4"), detector="d",
            details=("a", "\u2028\n"), correlated=("x", "y"), root_cause=True,
        )  # fmt: skip
        store.submit([full]).result()
        (one,) = active(store)
        same = ("specific_problem", "location", "details", "detector", "correlated", "root_cause", "event_us")
        assert [getattr(one, name) for name in same] == [getattr(full, name) for name in same]

    def test_one_bad_event_does_not_take_others_with_it(self, new_store: NewStore) -> None:
        """They may well be in one commit; only the asker of the bad one is told."""
        store = new_store()
        pending: list[Future[int]] = []
        for index in range(40):
            pending.append(store.submit([event(f"good {index}", f"vm/{index}")]))
            pending.append(store.submit([event(f"bad {index}", f"vm/{index}\ud800")]))
        for good, bad in zip(pending[::2], pending[1::2], strict=True):
            assert good.result() == 1
            assert isinstance(bad.exception(), UnicodeError)
        assert len(active(store)) == 40
        assert store.waiting == 0

    def test_a_flapping_alarm_is_settled_by_the_store_itself(self, new_store: NewStore) -> None:
        clock = Clock()
        store = new_store(clock=clock)
        for index in range(6):
            severity = Severity.CLEARED if index % 2 else Severity.MAJOR
            store.submit([event(str(index), severity=severity)]).result()
        (one,) = active(store)
        assert one.flapping
        clock.now += RULES.quiet_us - 1
        assert store.settle() == 0
        clock.now += 1
        store.settle()
        assert active(store) == []
        assert one.id in {each.id for each in past(store)}
        assert len(told(store)) == RULES.changes + 2

    def test_acknowledging(self, new_store: NewStore) -> None:
        store = new_store()
        one = raised(store)
        kept = store.acknowledge(one, ACKED, "ann", 1)
        assert (alarm(kept).ack, alarm(kept).acknowledged_by, kept.version, kept.active) == (ACKED, "ann", 2, True)
        with pytest.raises(AlreadySoError):
            store.acknowledge(one, ACKED, "bob")
        with pytest.raises(ChangedError):
            store.acknowledge(one, UNACKED, "bob", 1)
        assert store.acknowledge(one, UNACKED, "bob", 2).version == 3
        with pytest.raises(UnknownAlarmError):
            store.acknowledge("none", ACKED, "ann")
        assert store.head() == 3

    def test_acknowledging_what_is_cleared(self, new_store: NewStore) -> None:
        store = new_store()
        one = raised(store)
        cleared(store)
        kept = store.acknowledge(one, ACKED, "ann", 2)
        assert (kept.version, kept.active, alarm(kept).ack) == (3, False, ACKED)
        assert store.alarm(one) == kept
        assert told(store)[-1] == (3, "AlarmNotification", "CLEARED")
        with pytest.raises(AlreadySoError):
            store.acknowledge(one, ACKED, "ann")

    def test_escalating_and_clearing(self, new_store: NewStore) -> None:
        store = new_store()
        one = raised(store)
        with pytest.raises(ChangedError):
            store.escalate(one, Severity.CRITICAL, 7)
        assert alarm(store.escalate(one, Severity.CRITICAL, 1)).severity is Severity.CRITICAL
        with pytest.raises(AlreadySoError):
            store.escalate(one, Severity.CRITICAL)
        kept = store.clear(one, "ann")
        assert (kept.active, alarm(kept).severity, alarm(kept).acknowledged_by) == (False, Severity.CLEARED, "ann")
        for again in (lambda: store.clear(one, "ann"), lambda: store.escalate(one, Severity.MINOR)):
            with pytest.raises(AlreadySoError):
                again()
        with pytest.raises(UnknownAlarmError):
            store.clear("none", "ann")
        assert [each.severity for each in past(store)] == [Severity.CLEARED]

    def test_two_operators_at_once(self, new_store: NewStore) -> None:
        """Of many that saw the same version exactly one changes it."""
        store = new_store()
        one = raised(store)

        def work(index: int) -> str:
            try:
                store.acknowledge(one, ACKED, str(index), 1)
            except (ChangedError, AlreadySoError) as error:
                return type(error).__name__
            return str(index)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(work, range(8)))
        won = [answer for answer in answers if answer.isdigit()]
        assert [alarm(store.alarm(one)).acknowledged_by] == won
        assert store.head() == 2

    def test_what_was_kept_is_there_after_a_restart(self, new_store: NewStore) -> None:
        store = new_store()
        one = raised(store)
        before = (active(store), told(store))
        store.close()
        again = new_store()
        assert (active(again), told(again)) == before
        cleared(again)
        assert [each.id for each in past(again)] == [one]

    def test_what_waits_is_taken_in_before_it_closes(self, new_store: NewStore) -> None:
        store = new_store()
        pending = [store.submit([event(str(index), f"vm/{index}")]) for index in range(300)]
        store.close()
        assert [each.result(0) > 0 for each in pending] == [True] * 300
        with pytest.raises(StoreError):
            store.submit([event("late")]).result(1)

    def test_pages_are_whole(self, new_store: NewStore) -> None:
        """Of alarms that were raised at the same time too; what comes meanwhile repeats nothing."""
        clock = Clock()
        store = new_store(clock=clock)
        for index in range(4):
            clock.now = START + index // 2
            store.submit([event(f"{index} {each}", f"vm/{index} {each}") for each in range(5)]).result()
        found, after = [], None
        while True:
            page = store.alarms(after=after, limit=3)
            found += [(alarm(kept).raised_us, alarm(kept).id) for kept in page.items]
            after = page.after
            if after is None:
                break
            clock.now += 1
            store.submit([event(f"new {after}", f"vm/new {after}")]).result()
        assert len(found) == len(set(found)) == 20
        assert found == sorted(found, reverse=True)

    def test_conditions_and_times(self, new_store: NewStore) -> None:
        clock = Clock()
        store = new_store(clock=clock)
        for index in range(6):
            clock.now = START + index
            raised(store, f"vm/{index}", Severity.MAJOR if index % 2 else Severity.MINOR, clock.now)
        assert len(store.alarms([ALARM.c.severity == "MINOR"]).items) == 3
        for index in range(6):
            cleared(store, f"vm/{index}", START + index)
        inside = store.history(START + 1, START + 5, [HISTORY.c.severity == "MAJOR"]).items
        assert [alarm(kept).managed_object for kept in inside] == ["vm/3", "vm/1"]
        assert len(store.history(from_us=START + 4).items) == 2


class Telling:
    """Subscriptions, leases, settings."""

    def test_a_subscription_is_told_what_comes_from_now_on(self, new_store: NewStore) -> None:
        store = new_store()
        raised(store)
        asked = {"callbackUri": "https://x", "authentication": {"password": "p"}}
        made, new = store.subscribe("d" * 32, asked)
        assert (new, made.request, made.cursor, made.dead) == (True, asked, 1, False)
        assert store.subscribe("d" * 32, {"other": 1}) == (made, False)
        other, _ = store.subscribe("e" * 32, {})
        assert sorted(store.subscriptions(), key=lambda each: each.digest) == [made, other]
        assert store.notices(made.cursor) == []
        cleared(store)
        assert [notice.sequence for notice in store.notices(made.cursor)] == [2]
        store.move({made.id: 2, other.id: 1})
        store.move({made.id: 1})
        assert {each.id: each.cursor for each in store.subscriptions()} == {made.id: 2, other.id: 1}
        assert store.unsubscribe(made.id)
        assert not store.unsubscribe(made.id)
        assert store.subscription(made.id) is None
        assert store.subscription(other.id) is not None

    def test_a_dead_subscriber_returns(self, new_store: NewStore) -> None:
        store = new_store()
        made, _ = store.subscribe("d" * 32, {})
        raised(store)
        store.mark(made.id, START, dead=True)
        assert store.subscription(made.id) == replace(made, failing_since_us=START, dead=True)
        assert store.revive(made.id)
        assert not store.revive(made.id)
        now = store.subscription(made.id)
        assert now == replace(made, cursor=1)
        (rebuilt,) = store.notices(1, subscription_id=made.id)
        assert (rebuilt.sequence, rebuilt.kind, rebuilt.alarm_id) == (2, NotificationType.REBUILT.value, None)
        assert store.notices(1) == []
        assert store.head() == 2

    def test_a_notification_is_the_same_for_all(self, new_store: NewStore) -> None:
        store = new_store()
        got: list[Any] = []
        store.on_commit(got.extend)
        raised(store)
        raised(store, "vm/2")
        rows = [(row["sequence"], row["id"], row["kind"], row["alarm_id"], row["body"]) for row in got]
        read = [(each.sequence, each.id, each.kind, each.alarm_id, each.body) for each in store.notices(0)]
        assert rows == read
        assert [each.sequence for each in store.notices(0, most=1)] == [1]

    def test_a_callback_that_fails_harms_nobody(self, new_store: NewStore) -> None:
        store = new_store()
        store.on_commit(lambda _: 1 // 0)
        raised(store)
        assert raised(store, "vm/2")

    def test_a_lease_has_one_owner(self, new_store: NewStore) -> None:
        store, other = new_store(), new_store()
        assert store.lease("a", "me", 1000)
        assert store.lease("a", "me", 1000)
        assert not other.lease("a", "you", 1000)
        assert other.lease_all(["a", "b", "c"], "you", 1000) == {"b", "c"}
        assert store.lease_all(["a", "b", "c"], "me", 1000) == {"a"}
        other.release("a", "you")
        assert not other.lease("a", "you", 1000)
        store.release("a", "me")
        assert other.lease("a", "you", 1000)

    def test_a_lease_that_is_not_renewed_ends(self, new_store: NewStore) -> None:
        """Judged by whoever wants it, on its own clock: first it must have seen it unrenewed."""
        store, other = new_store(), new_store()
        now = 0.0
        other._leases.clock = lambda: now
        store.lease("a", "me", 2)
        assert not other.lease("a", "you", 2)
        now = 1.9
        store.lease("a", "me", 2)
        now = 2.0
        assert not other.lease("a", "you", 2)
        now = 3.9
        assert not other.lease("a", "you", 2)
        now = 4.0
        assert other.lease("a", "you", 2)
        assert not store.lease("a", "me", 2)

    def test_many_want_one_lease(self, new_store: NewStore) -> None:
        stores = [new_store() for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            got = list(pool.map(lambda pair: pair[1].lease("x", str(pair[0]), 1000), enumerate(stores)))
        assert sum(got) == 1

    def test_settings(self, new_store: NewStore) -> None:
        store = new_store()
        assert store.setting("a", 5) == 5
        store.set_setting("a", {"b": [1, None]})
        store.set_setting("a", {"b": [2, "\u00e9"]})
        assert new_store().setting("a") == {"b": [2, "\u00e9"]}

    def test_it_says_that_it_can_write(self, new_store: NewStore) -> None:
        assert new_store().health() == ""


class Ageing:
    """Retention, by age and by count."""

    def test_the_history_ages_and_active_alarms_do_not(self, new_store: NewStore) -> None:
        clock = Clock()
        store = new_store(clock=clock)
        raised(store, "vm/old")
        for index in range(3):
            clock.now = START + index * DAY
            raised(store, f"vm/{index}", at=clock.now)
            cleared(store, f"vm/{index}", clock.now)
        clock.now = START + 15 * DAY
        assert store.sweep()["history"] == 1
        assert [each.managed_object for each in past(store)] == ["vm/2", "vm/1"]
        store.set_retention(Retention(days=1))
        clock.now = START + 4000 * DAY
        assert store.sweep()["history"] == 2
        assert [each.managed_object for each in active(store)] == ["vm/old"]
        cleared(store, "vm/old", clock.now)
        assert [each.managed_object for each in past(store)] == ["vm/old"]

    def test_the_history_is_cut_by_count_for_each_severity(self, new_store: NewStore) -> None:
        clock = Clock()
        store = new_store(clock=clock)
        for index in range(12):
            clock.now = START + index // 4
            severity = Severity.MAJOR if index % 2 else Severity.MINOR
            raised(store, f"vm/{index}", severity, clock.now)
            cleared(store, f"vm/{index}", clock.now)
        store.set_retention(Retention(most={Severity.MAJOR: 3, Severity.CRITICAL: 0}))
        assert new_store().retention() == store.retention()
        assert store.sweep()["history"] == 3
        assert store.sweep()["history"] == 0
        left = [each.managed_object for each in past(store)]
        assert len(left) == 9
        assert {"vm/9", "vm/11"} < set(left)
        store.set_retention(Retention(most={Severity.MAJOR: 0, Severity.MINOR: 0}))
        assert store.sweep()["history"] == 9

    def test_many_are_removed_chunk_by_chunk(self, new_store: NewStore) -> None:
        store = new_store()
        names = [f"vm/{index}" for index in range(CHUNK + 10)]
        store.submit([event(f"r{name}", name) for name in names]).result()
        store.submit([event(f"c{name}", name, Severity.CLEARED) for name in names]).result()
        store.set_retention(Retention(most={Severity.MAJOR: 5}))
        assert store.sweep(lambda: count(store, HISTORY) > CHUNK)["history"] == CHUNK
        assert store.sweep()["history"] == 5
        assert count(store, HISTORY) == 5

    def test_what_the_store_remembers_ages_too(self, new_store: NewStore) -> None:
        clock = Clock()
        store = new_store(clock=clock)
        raised(store, "vm/stays")
        raised(store, "vm/goes")
        cleared(store, "vm/goes")
        clock.now += DAY
        assert store.sweep()["seen"] == 0
        clock.now += 1
        removed = store.sweep()
        assert (removed["seen"], removed["entry"], removed["history"]) == (3, 1, 0)
        assert (count(store, SEEN), count(store, ENTRY), count(store, ALARM)) == (0, 1, 1)
        cleared(store, "vm/stays", clock.now)
        assert len(past(store)) == 2

    def test_a_notification_waits_for_the_living(self, new_store: NewStore) -> None:
        clock = Clock()
        store = new_store(clock=clock)
        living, dead = store.subscribe("l" * 32, {})[0], store.subscribe("d" * 32, {})[0]
        raised(store)
        raised(store, "vm/2")
        store.mark(dead.id, START, dead=True)
        store.move({living.id: 1})
        store.set_setting("cursor/snmp", 2)
        clock.now += 2 * 3600 * SECOND
        raised(store, "vm/3", at=clock.now)
        assert store.sweep()["notification"] == 1
        store.move({living.id: 3})
        assert store.sweep()["notification"] == 1
        clock.now += 7 * DAY + 1
        assert store.sweep()["notification"] == 1
        assert (count(store, NOTIFICATION), store.head()) == (0, 3)

    def test_a_new_subscription_misses_nothing_to_ageing(self, new_store: NewStore) -> None:
        clock = Clock()
        store = new_store(clock=clock)
        raised(store)
        clock.now += 2 * 3600 * SECOND
        assert store.sweep()["notification"] == 1
        made, _ = store.subscribe("l" * 32, {})
        cleared(store, at=clock.now)
        assert [each.sequence for each in store.notices(made.cursor)] == [2]


class Tables:
    """Migrations."""

    def test_migrations_make_what_the_code_asks_for(self, new_store: NewStore) -> None:
        from alembic.autogenerate import compare_metadata
        from alembic.runtime.migration import MigrationContext

        store = new_store()
        with store._database.reading() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, METADATA) == []

    def test_many_services_start_at_once(self, new_store: NewStore) -> None:
        with ThreadPoolExecutor(4) as pool:
            stores = list(pool.map(lambda _: new_store(), range(4)))
        for index, store in enumerate(stores):
            raised(store, f"vm/{index}")
        assert [each[0] for each in told(stores[0])] == [1, 2, 3, 4]

    def test_tables_of_a_later_version_are_refused(self, new_store: NewStore) -> None:
        store = new_store()
        store._database.small(
            lambda connection: connection.exec_driver_sql("UPDATE alembic_version SET version_num='9'")
        )
        with pytest.raises(StoreError, match="later version"):
            new_store()

"""What a store of alarms does, on whatever database: the fixture `new_store` opens one on an empty database, and again
on the same one.
"""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from alarm_store_tools import (
    ACKED,
    RULES,
    START,
    UNACKED,
    Clock,
    NewStore,
    active,
    alarm,
    cleared,
    event,
    past,
    raised,
    told,
)

from vimha.alarms.model import Location
from vimha.alarms.store.errors import AlreadySoError, ChangedError, StoreError, UnknownAlarmError
from vimha.alarms.store.schema import ALARM, HISTORY, METADATA
from vimha.alarms.words import Severity


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

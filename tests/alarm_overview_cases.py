"""What a console is told of a store's alarms, on whatever database; see alarm_store_cases.py."""

from alarm_store_tools import ACKED, START, UNACKED, Clock, NewStore, cleared, event, past, raised

from vimha.alarms.service.pages.asked import Filters
from vimha.alarms.store.overview import DAY
from vimha.alarms.store.schema import ALARM, HISTORY
from vimha.alarms.times import SECOND
from vimha.alarms.words import NotificationType, Severity

HOUR = 3600 * SECOND


class Overview:
    """A test class that derives from it gives the fixture `new_store`."""

    def test_active_alarms_are_counted_by_severity_and_acknowledgement(self, new_store: NewStore) -> None:
        store = new_store()
        assert store.counts() == {}
        first = raised(store, "vm/1", Severity.CRITICAL)
        for number in (2, 3):
            raised(store, f"vm/{number}", Severity.CRITICAL)
        raised(store, "vm/4")
        cleared(store, "vm/3", START + 1)
        store.acknowledge(first, ACKED, "alice")
        wanted = {(Severity.CRITICAL, ACKED): 1, (Severity.CRITICAL, UNACKED): 1, (Severity.MAJOR, UNACKED): 1}
        assert store.counts() == wanted
        assert store.counts([ALARM.c.managed_object == "vm/4"]) == {(Severity.MAJOR, UNACKED): 1}

    def test_what_was_active_in_a_time(self, new_store: NewStore) -> None:
        clock = Clock()
        store = new_store(clock=clock)
        lives = {"vm/before": (0, 1), "vm/into": (1, 3), "vm/over": (0, 9), "vm/in": (3, 4), "vm/after": (7, 8)}
        lives["vm/long"] = (-2 * DAY // HOUR, 3)
        changes = [(hour, name, end) for name, life in lives.items() for end, hour in enumerate(life)]
        for hour, name, end in sorted([*changes, (4, "vm/on", 0), (8, "vm/late", 0)]):
            clock.now = START + hour * HOUR
            (cleared if end else raised)(store, name, at=clock.now)
        span = START + 2 * HOUR, START + 6 * HOUR
        found = store.cleared_spans(*span)
        assert [each.managed_object for each in found] == ["vm/in", "vm/into", "vm/over", "vm/long"]
        assert (found[0].raised_us, found[0].cleared_us) == (START + 3 * HOUR, START + 4 * HOUR)
        assert {each.severity for each in found} == {Severity.MAJOR}
        assert [each.managed_object for each in store.cleared_spans(*span, most=2)] == ["vm/in", "vm/into"]
        assert store.cleared_spans(*span, [HISTORY.c.managed_object == "vm/none"]) == []
        (on,) = store.active_spans(span[1])
        assert (on.managed_object, on.raised_us, on.cleared_us) == ("vm/on", START + 4 * HOUR, None)

    def test_what_became_of_an_alarm(self, new_store: NewStore) -> None:
        clock = Clock()
        store = new_store(clock=clock)
        alarm_id = raised(store, "vm/1")
        clock.now += HOUR
        store.acknowledge(alarm_id, ACKED, "alice")
        cleared(store, "vm/1", clock.now)
        kinds = [each.kind for each in store.told(alarm_id, START)]
        assert kinds == [NotificationType.ALARM, NotificationType.ALARM, NotificationType.CLEARED]
        assert len(store.told(alarm_id, clock.now)) == 2
        assert [each.kind for each in store.told(alarm_id, START, most=1)] == [NotificationType.CLEARED]

    def test_a_text_is_found_wherever_a_person_reads_it(self, new_store: NewStore) -> None:
        store = new_store()
        store.submit([
            event("a", "vm/Web-1", details=("Disk full", "inodes: 100%", "C:\\dev é")),
            event("b", "vm/2", specific_problem="O'Reilly \"quoted\""),
            event("c", "vm/3"),
        ]).result()  # fmt: skip
        once = ("WEB", "disk FULL", "100%", "o'reilly", '"quoted"', "c:\\DEV é")
        for text, wanted in {**dict.fromkeys(once, 1), "vm.failed": 3, "vm_": 0, "faultDetails": 0}.items():
            assert len(store.alarms(Filters(text=text).where(ALARM)).items) == wanted, text
        cleared(store, "vm/Web-1", START + 1)
        assert len(past(store)) == len(store.history(where=Filters(text="inodes").where(HISTORY)).items) == 1

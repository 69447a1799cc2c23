"""How a store of alarms tells, leases and forgets, on whatever database; `new_store` as in alarm_store_cases.py."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from alarm_store_tools import START, Clock, NewStore, active, cleared, count, event, past, raised

from vimha.alarms.store.retention import CHUNK, DAY, Retention
from vimha.alarms.store.schema import ALARM, ENTRY, HISTORY, NOTIFICATION, SEEN
from vimha.alarms.times import SECOND
from vimha.alarms.words import NotificationType, Severity


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

"""Delivery to real HTTP receivers: in order per alarm, many alarms at once, nothing lost."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from alarm_receivers import LOCAL, Receiver, delivering, event, new_store, play, receiving, submit, subscribe, until

from vimha.alarms.words import Severity

MAJOR, CRITICAL, CLEARED = Severity.MAJOR, Severity.CRITICAL, Severity.CLEARED
WORSE = ("MAJOR", "CRITICAL")
BOTH = {"service/nova/n1": ["MAJOR", "CRITICAL", "CLEARED"], "service/nova/n2": ["MAJOR"]}


def test_an_alarm_is_told_as_sol003_says(tmp_path: Path) -> None:
    async def work() -> None:
        store = new_store(tmp_path)
        async with receiving(Receiver()) as receiver, delivering(store):
            subscription = subscribe(store, receiver.url)
            await submit(store, event("nova/n1"))
            await submit(store, event("nova/n1", CLEARED))
            await until(lambda: len(receiver.told) == 2)
        raised, cleared = receiver.told
        alarm = raised["alarm"]
        assert raised["notificationType"] == "AlarmNotification"
        assert raised["subscriptionId"] == subscription
        assert raised["_links"] == {"subscription": {"href": f"/vimfm/v1/subscriptions/{subscription}"}}
        assert alarm["managedObjectId"] == "service/nova/n1"
        assert alarm["_links"] == {"self": {"href": f"/vimfm/v1/alarms/{alarm['id']}"}}
        assert cleared["notificationType"] == "AlarmClearedNotification"
        assert cleared["alarmId"] == alarm["id"]
        assert cleared["alarmClearedTime"] == cleared["timeStamp"]
        assert cleared["_links"]["alarm"] == alarm["_links"]["self"]
        assert receiver.headers[0]["Version"] == "1.3.0"
        assert receiver.headers[0]["Content-Type"] == "application/json"
        store.close()

    play(work())


def test_all_subscribers_are_told_with_the_same_id_and_those_of_one_alarm_in_order(tmp_path: Path) -> None:
    async def work() -> None:
        store = new_store(tmp_path)
        async with receiving(Receiver()) as one, receiving(Receiver()) as other, delivering(store):
            subscribe(store, one.url)
            subscribe(store, other.url)
            for severity in (MAJOR, CRITICAL, MAJOR, CRITICAL, CLEARED):
                await submit(store, *(event(f"s{number}/n1", severity) for number in range(20)))
            await until(lambda: len(one.told) == len(other.told) == 100)
        assert {each["id"] for each in one.told} == {each["id"] for each in other.told}
        assert len({each["id"] for each in one.told}) == 100
        for receiver in (one, other):
            assert set(map(tuple, receiver.by_object().values())) == {
                ("MAJOR", "CRITICAL", "MAJOR", "CRITICAL", "CLEARED")
            }
        store.close()

    play(work())


def test_alarms_go_out_at_once_but_never_two_of_one(tmp_path: Path) -> None:
    async def work() -> None:
        gate = asyncio.Event()

        async def waits(_: web.Request) -> web.StreamResponse:
            await gate.wait()
            return web.Response(status=204)

        store = new_store(tmp_path)
        async with receiving(Receiver(waits)) as receiver, delivering(store):
            subscribe(store, receiver.url)
            for severity in (MAJOR, CRITICAL, CLEARED):
                await submit(store, *(event(f"s{number}/n1", severity) for number in range(3)))
            await until(lambda: receiver.at_once == 3)
            assert not receiver.told
            gate.set()
            await until(lambda: len(receiver.told) == 9)
            assert receiver.most_at_once == 3
        store.close()

    play(work())


def test_no_more_calls_at_once_than_the_window(tmp_path: Path) -> None:
    async def work() -> None:
        gate = asyncio.Event()

        async def waits(_: web.Request) -> web.StreamResponse:
            await gate.wait()
            return web.Response(status=204)

        store = new_store(tmp_path)
        async with receiving(Receiver(waits)) as receiver, delivering(store):
            subscribe(store, receiver.url)
            await submit(store, *(event(f"s{number}/n1") for number in range(40)))
            await until(lambda: receiver.at_once == LOCAL.in_flight)
            gate.set()
            await until(lambda: len(receiver.told) == 40)
            assert receiver.most_at_once == LOCAL.in_flight
        store.close()

    play(work())


def test_a_filter_decides_who_is_told_and_the_cursor_moves_on_all_the_same(tmp_path: Path) -> None:
    async def work() -> None:
        store = new_store(tmp_path)
        async with receiving(Receiver()) as receiver, delivering(store):
            subscription = subscribe(store, receiver.url, filter={"hosts": ["n2"]})
            await submit(store, event("nova/n1"), event("nova/n2"), event("nova/n3"))
            await until(lambda: len(receiver.told) == 1)
            assert receiver.told[0]["alarm"]["location"] == {"host": "n2"}
            await until(lambda: store.subscription(subscription).cursor == store.head())  # type: ignore[union-attr]
        store.close()

    play(work())


def test_what_was_delivered_is_not_told_again_after_a_restart_and_what_was_not_is(tmp_path: Path) -> None:
    async def work() -> None:
        store = new_store(tmp_path)
        async with receiving(Receiver()) as receiver:
            subscribe(store, receiver.url)
            async with delivering(store) as delivery:
                await submit(store, event("nova/n1"))
                await until(lambda: delivery.counters.delivered == 1)
            await submit(store, event("nova/n1", CRITICAL), event("nova/n2"))
            async with delivering(store):
                await submit(store, event("nova/n1", CLEARED))
                await until(lambda: len(receiver.told) == 4)
        assert receiver.by_object() == BOTH
        store.close()

    play(work())


@pytest.mark.parametrize("crash", [True, False])
def test_a_killed_sender_repeats_at_most_what_it_had_not_written_with_the_same_ids(tmp_path: Path, crash: bool) -> None:
    """Crash: the cursors are never written."""

    async def work() -> None:
        store = new_store(tmp_path)
        async with receiving(Receiver()) as receiver:
            subscription = subscribe(store, receiver.url)
            async with delivering(store) as delivery:
                if crash:
                    delivery._ledger.moved = lambda *_: None  # type: ignore[method-assign]
                for severity in (MAJOR, CRITICAL, CLEARED):
                    await submit(store, event("nova/n1", severity))
                await until(lambda: delivery.counters.delivered == 3)
            assert store.subscription(subscription).cursor == (0 if crash else 3)  # type: ignore[union-attr]
            async with delivering(store):
                await submit(store, event("nova/n2"))
                await until(lambda: len(receiver.told) == (7 if crash else 4))
        assert receiver.by_object() == BOTH
        store.close()

    play(work())


def test_two_nodes_share_the_work_and_one_takes_over_from_the_other(tmp_path: Path) -> None:
    async def work() -> None:
        store, other_store = new_store(tmp_path), new_store(tmp_path)
        async with receiving(Receiver()) as receiver, delivering(other_store, owner="node two") as other:
            subscribe(store, receiver.url)
            async with delivering(store, owner="node one") as one:
                await until(lambda: one.senders + other.senders == 1)
                await submit(store, *(event(f"s{number}/n1") for number in range(50)))
                await submit(other_store, *(event(f"s{number}/n1", CRITICAL) for number in range(50)))
                await until(lambda: len(receiver.first) == 100)
                await other.stop()
                await submit(store, *(event(f"s{number}/n1", CLEARED) for number in range(50)))
                await until(lambda: len(receiver.first) == 150)
                assert one.senders == 1
        assert set(map(tuple, receiver.by_object().values())) == {("MAJOR", "CRITICAL", "CLEARED")}
        store.close()
        other_store.close()

    play(work())


def test_a_node_that_cannot_renew_its_leases_stops_by_itself(tmp_path: Path) -> None:
    """As if its store were out of reach for it alone: the other node takes over, and no two send at once."""

    async def work() -> None:
        store, other_store = new_store(tmp_path), new_store(tmp_path)
        async with receiving(Receiver()) as receiver, delivering(store, owner="node one") as one:
            subscribe(store, receiver.url)
            await until(lambda: one.senders == 1)
            async with delivering(other_store, owner="node two") as other:
                one._loops[2].cancel()
                await until(lambda: other.senders == 1)
                assert all(sender.paused for sender in one._senders.values())
                await submit(store, event("nova/n1"))
                await until(lambda: other.counters.delivered == 1)
                assert one.counters.delivered == 0
                assert len(receiver.told) == 1
        store.close()
        other_store.close()

    play(work())


def test_a_node_whose_leases_ended_goes_on_when_it_has_them_again(tmp_path: Path) -> None:
    async def work() -> None:
        store, gate = new_store(tmp_path), asyncio.Event()

        async def waits(_: web.Request) -> web.StreamResponse:
            await gate.wait()
            return web.Response(status=204)

        async with receiving(Receiver(waits)) as receiver, delivering(store) as delivery:
            subscribe(store, receiver.url)
            for severity in (MAJOR, CRITICAL, CLEARED):
                await submit(store, *(event(f"s{number}/n1", severity) for number in range(5)))
            await until(lambda: receiver.at_once == 5)
            delivery._expire()
            assert delivery.waiting
            gate.set()
            await until(lambda: len(receiver.first) == 15)
            assert set(map(tuple, receiver.by_object().values())) == {("MAJOR", "CRITICAL", "CLEARED")}
        store.close()

    play(work())

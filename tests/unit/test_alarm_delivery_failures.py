"""Subscribers that hang, refuse, redirect, trickle, die and come back; nobody else waits for them."""

import asyncio
import itertools
from pathlib import Path

import pytest
from aiohttp import web
from alarm_receivers import LOCAL, Receiver, delivering, event, new_store, play, receiving, submit, subscribe, until
from sqlalchemy.sql.expression import ColumnElement

from vimha.alarms.store.schema import ALARM
from vimha.alarms.words import Severity

MAJOR, CRITICAL, CLEARED = Severity.MAJOR, Severity.CRITICAL, Severity.CLEARED
IMPATIENT = LOCAL.model_copy(update={"answer_s": 0.3})
UNREACHABLE: ColumnElement[bool] = ALARM.c.definition == "alarms.subscriber.unreachable"


async def hangs(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


async def trickles(request: web.Request) -> web.StreamResponse:
    """One byte now and then, for ever: no read of its own ever times out."""
    response = web.StreamResponse(status=204 if request.method == "GET" else 200)
    await response.prepare(request)
    while True:
        await response.write(b".")
        await asyncio.sleep(0.05)


async def floods(request: web.Request) -> web.StreamResponse:
    """An answer without an end."""
    response = web.StreamResponse(status=200)
    await response.prepare(request)
    while True:
        await response.write(bytes(65536))


async def redirects(_: web.Request) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": "http://169.254.169.254/latest/meta-data"})


async def refuses(_: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


@pytest.mark.parametrize("answer", [hangs, trickles, redirects, refuses])
def test_one_that_does_not_take_its_notifications_delays_nobody(tmp_path: Path, answer: object) -> None:
    async def work() -> None:
        store = new_store(tmp_path)
        async with (
            receiving(Receiver(answer)) as bad, receiving(Receiver()) as good, delivering(store, IMPATIENT) as delivery
        ):  # fmt: skip
            subscription = subscribe(store, bad.url)
            subscribe(store, good.url)
            await submit(store, *(event(f"s{number}/n1") for number in range(30)))
            await until(lambda: len(good.told) == 30)
            await until(lambda: delivery.counters.failed > 0)
            assert not bad.told
            assert store.subscription(subscription).cursor == 0  # type: ignore[union-attr]
            bad.answer = None
            await until(lambda: len(bad.told) >= 30)
            assert bad.by_object() == good.by_object()
        store.close()

    play(work())


def test_an_answer_without_an_end_is_taken_by_its_status_and_read_no_further(tmp_path: Path) -> None:
    async def work() -> None:
        store = new_store(tmp_path)
        async with receiving(Receiver(floods)) as receiver, delivering(store) as delivery:
            subscribe(store, receiver.url)
            await submit(store, event("nova/n1"))
            await until(lambda: delivery.counters.delivered == 1)
        store.close()

    play(work())


def test_errors_now_and_then_neither_lose_nor_reorder_anything(tmp_path: Path) -> None:
    async def work() -> None:
        numbers = itertools.count()

        async def moody(_: web.Request) -> web.StreamResponse:
            return web.Response(status=(204, 503, 204, 429)[next(numbers) % 4])

        store = new_store(tmp_path)
        async with receiving(Receiver(moody)) as receiver, delivering(store):
            subscribe(store, receiver.url)
            for severity in (MAJOR, CRITICAL, CLEARED):
                await submit(store, *(event(f"s{number}/n1", severity) for number in range(15)))
            await until(lambda: len(receiver.first) == 45)
            assert set(map(tuple, receiver.by_object().values())) == {("MAJOR", "CRITICAL", "CLEARED")}
        store.close()

    play(work())


def test_one_notification_that_is_refused_delays_its_own_alarm_alone(tmp_path: Path) -> None:
    async def work() -> None:
        async def picky(request: web.Request) -> web.StreamResponse:
            return web.Response(status=400 if "service/bad/n1" in await request.text() else 204)

        store = new_store(tmp_path)
        async with receiving(Receiver(picky)) as receiver, delivering(store) as delivery:
            subscribe(store, receiver.url)
            await submit(store, event("bad/n1"), event("good/n1"))
            await submit(store, event("bad/n1", CLEARED), event("good/n1", CRITICAL))
            await until(lambda: len(receiver.told) == 2)
            await until(lambda: delivery.counters.failed >= 3)
            assert receiver.by_object() == {"service/good/n1": ["MAJOR", "CRITICAL"]}
            receiver.answer = None
            await until(lambda: len(receiver.told) == 4)
            assert receiver.by_object()["service/bad/n1"] == ["MAJOR", "CLEARED"]
        store.close()

    play(work())


def test_one_that_was_down_is_told_when_it_is_back(tmp_path: Path) -> None:
    async def work() -> None:
        store = new_store(tmp_path)
        async with delivering(store) as delivery:
            async with receiving(Receiver()) as receiver:
                subscribe(store, receiver.url)
                await submit(store, event("nova/n1"))
                await until(lambda: delivery.counters.delivered == 1)
            await submit(store, event("nova/n1", CRITICAL), event("nova/n2"))
            await until(lambda: delivery.counters.failed > 0)
            async with receiving(receiver, receiver.port):
                await until(lambda: len(receiver.told) == 3)
        assert receiver.by_object() == {"service/nova/n1": ["MAJOR", "CRITICAL"], "service/nova/n2": ["MAJOR"]}
        store.close()

    play(work())


def test_a_lagging_one_is_told_the_first_and_the_last_of_each_alarm(tmp_path: Path) -> None:
    """40 alarms change 30 times while it hangs: 1,200 notifications, of which it takes a fraction in the end."""

    async def work() -> None:
        severities = [MAJOR, CRITICAL] * 15
        store = new_store(tmp_path)
        async with (
            receiving(Receiver(hangs)) as slow, receiving(Receiver()) as good,
            delivering(store, LOCAL.model_copy(update={"answer_s": 2.0})) as delivery,
        ):  # fmt: skip
            subscribe(store, slow.url)
            await until(lambda: delivery.senders == 1)
            for severity in severities:
                await submit(store, *(event(f"s{number}/n1", severity) for number in range(40)))
            await submit(store, *(event(f"s{number}/n1", CLEARED) for number in range(40)))
            subscribe(store, good.url)
            await until(lambda: delivery.counters.passed_over > 600)
            slow.answer = None
            await submit(store, event("last/n1"))
            await until(lambda: "service/last/n1" in slow.by_object() and not delivery.waiting)
        told = slow.by_object()
        assert len(told) == 41
        assert all(told[f"service/s{number}/n1"][0] == "MAJOR" for number in range(40))
        assert all(told[f"service/s{number}/n1"][-1] == "CLEARED" for number in range(40))
        assert len(slow.first) < 700
        assert good.by_object() == {"service/last/n1": ["MAJOR"]}
        store.close()

    play(work())


def test_one_that_is_dead_for_long_has_an_alarm_and_is_told_to_read_the_list_when_it_is_back(tmp_path: Path) -> None:
    async def work() -> None:
        settings = LOCAL.model_copy(update={"dead_after_s": 0.5, "test_every_s": 0.2})
        store = new_store(tmp_path)
        async with receiving(Receiver()) as good, delivering(store, settings) as delivery:
            async with receiving(Receiver()) as receiver:
                dead = subscribe(store, receiver.url)
            subscribe(store, good.url)
            await submit(store, event("nova/n1"))
            await until(lambda: delivery.dead == 1)
            await until(lambda: f"subscription/{dead}" in good.by_object())
            assert [kept.active for kept in store.alarms([UNREACHABLE]).items] == [True]
            await submit(store, event("nova/n2"))
            async with receiving(receiver, receiver.port):
                await until(lambda: receiver.told)
                await until(lambda: not store.alarms([UNREACHABLE]).items)
                await until(lambda: delivery.dead == 0)
                await submit(store, event("nova/n3"))
                await until(lambda: "service/nova/n3" in receiver.by_object())
            assert receiver.told[0]["notificationType"] == "AlarmListRebuiltNotification"
            assert receiver.told[0]["_links"]["alarms"] == {"href": "/vimfm/v1/alarms"}
            assert "service/nova/n1" not in receiver.by_object()
            assert "service/nova/n2" not in receiver.by_object()
            assert good.by_object()[f"subscription/{dead}"] == ["WARNING", "CLEARED"]
        store.close()

    play(work())


def test_one_that_died_is_known_to_be_dead_after_a_restart(tmp_path: Path) -> None:
    async def work() -> None:
        settings = LOCAL.model_copy(update={"dead_after_s": 0.5, "test_every_s": 0.2})
        store = new_store(tmp_path)
        async with receiving(Receiver()) as receiver:
            subscription = subscribe(store, receiver.url)
        async with delivering(store, settings) as delivery:
            await submit(store, event("nova/n1"))
            await until(lambda: delivery.dead == 1)
        assert store.subscription(subscription).dead  # type: ignore[union-attr]
        async with receiving(receiver, receiver.port), delivering(store, settings):
            await until(lambda: receiver.told)
            assert receiver.tests >= 1
            assert receiver.told[0]["notificationType"] == "AlarmListRebuiltNotification"
        store.close()

    play(work())


def test_a_dead_one_that_is_deleted_takes_its_alarm_with_it(tmp_path: Path) -> None:
    async def work() -> None:
        settings = LOCAL.model_copy(update={"dead_after_s": 0.3})
        store = new_store(tmp_path)
        async with receiving(Receiver()) as receiver:
            subscription = subscribe(store, receiver.url)
        async with delivering(store, settings) as delivery:
            await submit(store, event("nova/n1"))
            await until(lambda: delivery.dead == 1)
            store.unsubscribe(subscription)
            await until(lambda: not store.alarms([UNREACHABLE]).items)
            await until(lambda: delivery.senders == 0)
        store.close()

    play(work())

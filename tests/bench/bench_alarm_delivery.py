"""From a POST of an event to the call of a subscriber's callback, through the whole service: HTTP, store, delivery.

- idle: one event at a time; time from before the POST until the callback's call has come in.
- at once: 50 and 500 virtual machines' alarms in one POST; the last callback.
- take-in: single events by 16 clients at once, one subscriber; and the same in POSTs of 50.
- storm: 100,000 events on 10,000 objects, 20 subscribers of which 5 never answer; until the 15 know all final states.
- takeover: two services over one store; the one that sends is killed, an event is POSTed to the other at once.

The store is SQLite in a temporary folder, or, with --galera, a Galera cluster of three. Service, receivers and this
program share the machine. Prints a table; writes reports/bench-alarm-delivery.json; exit 1 when a bar of issue 4 is
missed.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alarm_rig import Receivers, Service, known, observation, rig, send, subscribe
from galera_rig import galera_of_three

ROOT = Path(__file__).parents[2]
VM = "compute.vm.failed"
STORM_S = 1500
"""As long the 15 may take to be told of all of it."""


@dataclass(frozen=True)
class Figure:
    """One result; `bar`: what issue 4 asks for; empty: nothing."""

    what: str
    value: str
    bar: str
    met: bool = True


def quantile(values: Sequence[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


async def idle(service: Service, receivers: Receivers, rounds: int) -> Figure:
    """Half of the rounds raise, half clear."""
    took = []
    async with service.session() as session:
        for number in range(rounds):
            event = observation(f"idle{number // 2}/n1", "CLEARED" if number % 2 else "MAJOR")
            start = time.monotonic_ns()
            await send([event], session)
            ((entered, _),) = await asyncio.to_thread(receivers.times, "/one", 1, 10)
            took.append((entered - start) / 1e6)
            await asyncio.sleep(random.uniform(0.02, 0.08))  # noqa: S311
    p50, p99 = statistics.median(took), quantile(took, 0.99)
    spread = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {max(took):.1f} ms of {rounds}"
    return Figure("POST to callback, idle", spread, "p50 <= 50 ms, p99 <= 200 ms", p50 <= 50 and p99 <= 200)


async def at_once(service: Service, receivers: Receivers, size: int, rounds: int, bar_s: float) -> Figure:
    took = []
    async with service.session() as session:
        for turn in range(rounds):
            for severity in ("MAJOR", "CLEARED"):
                start = time.monotonic_ns()
                await send([observation(f"{size}-{turn}-{number}", severity, VM) for number in range(size)], session)
                entered = await asyncio.to_thread(receivers.times, "/one", size, 60)
                if severity == "MAJOR":
                    took.append((max(at for at, _ in entered) - start) / 1e9)
            await asyncio.sleep(0.3)
    value = f"median {statistics.median(took):.3f} s, worst {max(took):.3f} s of {rounds}"
    return Figure(f"{size} alarms at once, last callback", value, f"<= {bar_s:g} s", max(took) <= bar_s)


async def take_in(service: Service, receivers: Receivers, batch: int, seconds: float, least: int) -> Figure:
    """Each client raises and clears alarms of its own, by turns."""
    sent, cpu = 0, service.cpu_s()

    async def client(session: Any, number: int, end: float) -> None:
        nonlocal sent
        turn = 0
        while time.monotonic() < end:
            severity = "CLEARED" if turn % 2 else "MAJOR"
            names = [f"in{batch}-{number}-{turn // 2}-{each}/n1" for each in range(batch)]
            await send([observation(name, severity) for name in names], session)
            sent, turn = sent + batch, turn + 1

    start = time.monotonic()
    async with service.session() as session:
        await asyncio.gather(*(client(session, number, start + seconds) for number in range(16)))
    taken = time.monotonic() - start
    cpu = service.cpu_s() - cpu
    await asyncio.to_thread(receivers.times, "/one", sent, 60)
    delivered = time.monotonic() - start
    rates = f"{sent / taken:.0f}/s taken in, {sent / delivered:.0f}/s delivered"
    value = f"{rates}, {1000 * cpu / sent:.2f} ms CPU each, none lost"
    met = batch == 1 or sent / delivered >= least
    return Figure(f"take-in, POSTs of {batch}", value, f">= {least}/s" if batch > 1 else "", met)


async def storm(service: Service, receivers: Receivers, events: int, objects: int) -> Figure:
    """Objects change at random; the last state of each is known."""
    chance = random.Random(4)  # noqa: S311  # the same each time
    final: dict[str, str] = {}
    before, _ = service.memory_mib()
    async with service.session() as session:
        for number in range(20):
            await subscribe(session, receivers.url(f"/hang{number}" if number < 5 else f"/good{number}"))
        await asyncio.sleep(1.0)
        start = time.monotonic()
        for first in range(0, events, 500):
            some = []
            for number in range(first, first + 500):
                name = f"storm{number % objects}/n1"
                severity = chance.choice(("MAJOR", "CRITICAL", "CLEARED"))
                final[f"service/{name}"] = severity
                some.append(observation(name, severity))
            await send(some, session)
        taken = time.monotonic() - start
    good = [f"/good{number}" for number in range(5, 20)]
    late = await known(receivers, good, final, STORM_S)
    if late:
        return Figure(
            "storm", f"{late[0]}: {late[1]} objects are told wrongly after {STORM_S} s", "all final states", False
        )
    seconds, (_, most) = time.monotonic() - start, service.memory_mib()
    calls = sum(receivers.ask("state", path)[0] for path in good)
    reordered = sum(receivers.ask("state", path)[2] for path in good)
    value = (
        f"taken in in {taken:.1f} s ({events / taken:.0f}/s); the 15 know all after {seconds:.1f} s, by {calls} calls, "
        f"{reordered} reordered; memory {before:.0f} -> at most {most:.0f} MiB"
    )
    return Figure(f"storm, {events} events on {objects} objects", value, "all final states at the 15", reordered == 0)


async def takeover(service: Service, other: Service, receivers: Receivers, rounds: int) -> Figure:
    """The killed one is started again, and is the one that waits in the next round."""
    took, sender = [], service
    other.start()
    try:
        async with service.session() as session:
            await subscribe(session, receivers.url("/taken"))
        for number in range(rounds):
            await asyncio.sleep(3.0)
            waits = other if sender is service else service
            start = time.monotonic_ns()
            sender.kill()
            async with waits.session() as session:
                await send([observation(f"take{number}/n1", "MAJOR")], session)
            entered = await asyncio.to_thread(receivers.times, "/taken", 1, 30)
            took.append((entered[-1][0] - start) / 1e9)
            await asyncio.to_thread(sender.start)
            sender = waits
    finally:
        other.kill()
    if sender is not service:
        service.kill()
        service.start()
    value = f"median {statistics.median(took):.2f} s, worst {max(took):.2f} s of {rounds}"
    return Figure("kill of the sending node to callback by the other", value, "")


def parts(
    service: Service, other: Service, receivers: Receivers, options: argparse.Namespace
) -> list[tuple[str, Callable[[], Awaitable[Figure]]]]:
    """What is measured, in its order, each with its name."""
    least = 300 if options.galera else 1000
    return [
        ("idle", lambda: idle(service, receivers, options.rounds)),
        ("once", lambda: at_once(service, receivers, 50, 20, 0.5)),
        ("once", lambda: at_once(service, receivers, 500, 10, 3.0)),
        ("in", lambda: take_in(service, receivers, 1, options.seconds, least)),
        ("in", lambda: take_in(service, receivers, 50, options.seconds, least)),
        ("storm", lambda: storm(service, receivers, options.events, options.events // 10)),
        ("takeover", lambda: takeover(service, other, receivers, 10)),
    ]


async def work(options: argparse.Namespace) -> list[Figure]:
    figures = []
    with rig() as (folder, receivers), galera_of_three() if options.galera else nullcontext() as members:
        store = members.url(0) if members else f"sqlite:///{folder}/alarms.db"
        service, other = Service(folder, store), Service(folder, store, "two")
        service.start()
        try:
            async with service.session() as session:
                await subscribe(session, receivers.url("/one"))
            await asyncio.sleep(1.0)
            for name, part in parts(service, other, receivers, options):
                if options.only in ("", name):
                    figures.append(await part())
                    print(figures[-1], file=sys.stderr, flush=True)
        finally:
            service.kill()
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--galera", action="store_true", help="on a Galera cluster of three; needs root")
    parser.add_argument("--rounds", type=int, default=300, help="single events")
    parser.add_argument("--seconds", type=float, default=10.0, help="of take-in")
    parser.add_argument("--events", type=int, default=100_000, help="of the storm")
    parser.add_argument("--only", default="", help="one part: idle, once, in, storm or takeover")
    figures = asyncio.run(work(parser.parse_args()))
    report = ROOT / "reports" / "bench-alarm-delivery.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")
    for figure in figures:
        print(f"{'ok ' if figure.met else 'NOT'} {figure.what:42} {figure.value}  [{figure.bar}]")
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())

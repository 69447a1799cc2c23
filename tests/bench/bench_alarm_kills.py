"""SIGKILL in the middle of a storm, over a Galera cluster of three: of the service, of its node, of its store's node.

Two services share the list, each over its own member, with the next one as its fallback. Events go to the first service
that answers, as behind a VIP, and again until one has taken them. Each round sends for some two seconds; at a random
moment of it a random service is killed, or its member of the cluster, or both at once, which is its node; what was
killed is brought back after the round. In the end the subscriber must know the last state of every object, with nothing
out of order; how long it heard nothing in a round, while events came, is told by kind.

Needs root. Prints a table; writes reports/bench-alarm-kills.json; exit 1 when something was lost or reordered.
Run it: .venv/bin/python tests/bench/bench_alarm_kills.py [--rounds 20]
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from alarm_rig import Receivers, Service, known, observation, rig, send, subscribe
from galera_rig import Members, galera_of_three

ROOT = Path(__file__).parents[2]
PATH = "/told"
KINDS = ("service", "node", "store's node")
POSTS = 60
"""Of 25 events each, in a round."""
TOLD_S = 120
"""As long the subscriber may take to be told of a round."""


class Site:
    """Two services, each over its own member."""

    def __init__(self, folder: Path, members: Members) -> None:
        self.members = members
        self.services = [
            Service(folder, members.url(number, fallback=number + 1), name)
            for number, name in enumerate(("one", "two"))
        ]

    def kill(self, kind: str, number: int) -> None:
        """End what the kind says, of the service of this number."""
        if kind != "store's node":
            self.services[number].kill()
        if kind != "service":
            self.members.kill(number)

    def bring_back(self, kind: str, number: int) -> None:
        """All is as it was before `kill`."""
        if kind != "service":
            self.members.bring_back(number)
        if kind != "store's node":
            self.services[number].start()


async def play(site: Site, receivers: Receivers, kind: str, chance: random.Random, final: dict[str, str]) -> float:
    """One round; the longest silence at the subscriber while events came, seconds."""
    number = chance.randrange(2)
    sessions = [service.session() for service in site.services]
    receivers.ask("times", PATH)

    async def killing() -> None:
        await asyncio.sleep(chance.uniform(0.1, 1.5))
        await asyncio.to_thread(site.kill, kind, number)

    killer = asyncio.create_task(killing())
    for turn in range(POSTS):
        some = []
        for each in chance.sample(range(1000), 25):
            name, severity = f"kill{each}/n1", chance.choice(("MAJOR", "CRITICAL", "CLEARED"))
            final[f"service/{name}"] = severity
            some.append(observation(name, severity))
        await send(some, *sessions)
        await asyncio.sleep(0.02 * (turn % 3))
    sent = time.monotonic_ns()
    await killer
    for session in sessions:
        await session.close()
    await known(receivers, [PATH], final, TOLD_S)
    heard = [at for at, _ in receivers.ask("times", PATH) if at <= sent]
    await asyncio.to_thread(site.bring_back, kind, number)
    return max(later - earlier for earlier, later in pairwise([*heard, sent])) / 1e9


async def work(rounds: int) -> dict[str, Any]:
    chance, final, silences = random.Random(7), {}, defaultdict(list)  # noqa: S311
    with rig() as (folder, receivers), galera_of_three() as members:
        site = Site(folder, members)
        try:
            for service in site.services:
                service.start()
            async with site.services[0].session() as session:
                await subscribe(session, receivers.url(PATH))
            for turn in range(rounds):
                kind = KINDS[turn % len(KINDS)]
                silence = await play(site, receivers, kind, chance, final)
                silences[kind].append(silence)
                print(
                    f"{turn + 1:2} of {rounds}: {kind} killed, {silence:.2f} s of silence", file=sys.stderr, flush=True
                )
        finally:
            for service in site.services:
                service.kill()
        late = await known(receivers, [PATH], final, 0)
        calls, repeated, reordered, _ = receivers.ask("state", PATH)
    return {
        "rounds": rounds, "objects": len(final), "lost": late[1] if late else 0, "reordered": reordered,
        "repeated": repeated, "calls": calls, "silence_s": silences,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    found = asyncio.run(work(parser.parse_args().rounds))
    report = ROOT / "reports" / "bench-alarm-kills.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps(found, indent=2) + "\n")
    print(
        f"{found['lost']} lost, {found['reordered']} reordered, {found['repeated']} of {found['calls']} calls repeated"
    )
    for kind, silences in found["silence_s"].items():
        print(f"{kind:14} silent for {statistics.median(silences):.2f} s, at most {max(silences):.2f} s")
    return 1 if found["lost"] or found["reordered"] else 0


if __name__ == "__main__":
    sys.exit(main())

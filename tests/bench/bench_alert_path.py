"""From Pacemaker's alert to the call of a subscriber's callback: vimha-alert, spool, drain, service, store, delivery.

- idle: one alert at a time, from before the agent is started until the callback's call has come in.
- at once: 20 alerts, as a lost node brings about; the last callback.
- away: 500 alerts while the service is killed (SIGKILL); from its start until the last callback.

The store is SQLite in a temporary folder; everything shares the machine. The table goes to standard error, JSON to
standard output; exit 1 when a bar is missed or an event is lost.

Run it as: .venv/bin/python tests/bench/bench_alert_path.py [ROUNDS]
"""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from alarm_rig import Receivers, Service, rig, subscribe
from bench_monitors import script

from vimha.process import spawn
from vimha.render import agents

P50_MS, P99_MS = 50.0, 200.0
"""Issue 4: Pacemaker alert to callback entered, idle."""
AT_ONCE, AT_ONCE_S = 20, 0.5
AWAY = 500
DRAIN = """#!/usr/bin/python3 -IS
import sys
sys.path.insert(0, {library!r})
from pathlib import Path
from resource_agents.alert.drain import Drain, Service, load
Drain(Path({spool!r}), Service(load(Path({config!r})), "control-1").post).run()
"""


@dataclass(frozen=True)
class Figure:
    what: str
    p50_ms: float
    p99_ms: float
    worst_ms: float
    rounds: int
    met: bool


class Pacemaker:
    """Starts the alert agent as Pacemaker does."""

    def __init__(self, folder: Path) -> None:
        self.spool = folder / "spool"
        self._launcher = script(
            folder / "vimha-alert",
            agents.ALERT_LAUNCHER.format(
                python=agents.PYTHON, library=folder / "usr/lib/vimha", name="vimha-alert",
                module="resource_agents.alert.agent",
            ),
        )  # fmt: skip
        self._number = 0

    def alert(self, resource: str, rc: int) -> int:
        """An alert of a monitor's result; the agent's process."""
        self._number += 1
        now_us = time.time_ns() // 1000
        said = {
            "kind": "resource", "node": "control-1", "rsc": resource, "task": "monitor", "interval": "1000",
            "rc": str(rc), "target_rc": "0", "status": "0", "desc": "as it was", "recipient": str(self.spool),
            "timestamp_epoch": str(now_us // 1_000_000), "timestamp_usec": f"{now_us % 1_000_000:06d}",
            "node_sequence": str(self._number),
        }  # fmt: skip
        env = {f"CRM_alert_{name}": value for name, value in said.items()}
        return os.posix_spawn(self._launcher, [self._launcher], env)


@contextmanager
def drain(folder: Path, service: Service, spool: Path) -> Iterator[None]:
    config = folder / "drain.json"
    config.touch(0o600)
    config.write_text(json.dumps({"urls": [f"http://127.0.0.1:{service.port}"], "token": service.token}))
    text = DRAIN.format(library=str(folder / "usr/lib/vimha"), spool=str(spool), config=str(config))
    process = spawn([script(folder / "vimha-drain", text)], log=str(folder / "drain.log"))
    try:
        yield
    finally:
        process.kill()
        process.wait()


def idle(pacemaker: Pacemaker, receivers: Receivers, rounds: int) -> Figure:
    """Half of the rounds raise, half clear."""
    took = []
    for number in range(rounds):
        start = time.monotonic_ns()
        pid = pacemaker.alert(f"idle{number // 2}", 0 if number % 2 else 7)
        ((entered, _),) = receivers.times("/one", 1, 10)
        took.append((entered - start) / 1e6)
        os.waitpid(pid, 0)
        time.sleep(0.05)
    figure = figures("idle", took)
    return Figure(**{**asdict(figure), "met": figure.p50_ms <= P50_MS and figure.p99_ms <= P99_MS})


def at_once(pacemaker: Pacemaker, receivers: Receivers, rounds: int) -> Figure:
    took = []
    for turn in range(rounds):
        for rc in (7, 0):
            start = time.monotonic_ns()
            pids = [pacemaker.alert(f"once{turn}-{number}", rc) for number in range(AT_ONCE)]
            took.append((max(at for at, _ in receivers.times("/one", AT_ONCE, 30)) - start) / 1e6)
            for pid in pids:
                os.waitpid(pid, 0)
    figure = figures(f"{AT_ONCE} at once, the last", took)
    return Figure(**{**asdict(figure), "met": figure.worst_ms <= AT_ONCE_S * 1000})


def away(pacemaker: Pacemaker, receivers: Receivers, service: Service) -> Figure:
    """Each of the events raises an alarm of its own: none may be missing."""
    service.kill()
    for number in range(AWAY):
        os.waitpid(pacemaker.alert(f"away{number}", 7), 0)
    start = time.monotonic_ns()
    service.start()
    entered = receivers.times("/one", AWAY, 60)
    if {name for _, name in entered} != {f"service/away{number}/control-1" for number in range(AWAY)}:
        raise SystemExit("events were lost")
    return figures(f"{AWAY} after the service was away, the last", [(max(at for at, _ in entered) - start) / 1e6])


def figures(what: str, took: list[float]) -> Figure:
    p99 = sorted(took)[int(0.99 * (len(took) - 1))]
    return Figure(what, round(statistics.median(took), 1), round(p99, 1), round(max(took), 1), len(took), met=True)


async def subscribed(service: Service, receivers: Receivers) -> None:
    async with service.session() as session:
        await subscribe(session, receivers.url("/one"))


def measure(rounds: int) -> list[Figure]:
    with rig() as (folder, receivers):
        agents.install(folder)
        service = Service(folder, f"sqlite:///{folder}/alarms.db")
        service.start()
        try:
            asyncio.run(subscribed(service, receivers))
            pacemaker = Pacemaker(folder)
            with drain(folder, service, pacemaker.spool):
                time.sleep(1)
                idle(pacemaker, receivers, 4)
                return [
                    idle(pacemaker, receivers, rounds), at_once(pacemaker, receivers, max(rounds // 20, 3)),
                    away(pacemaker, receivers, service),
                ]  # fmt: skip
        finally:
            service.kill()


def main() -> None:
    found = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
    for each in found:
        spread = f"p50 {each.p50_ms:.1f} ms, p99 {each.p99_ms:.1f} ms, worst {each.worst_ms:.1f} ms of {each.rounds}"
        print(f"{each.what:<42} {spread}{'' if each.met else '  MISSED'}", file=sys.stderr)
    load = os.getloadavg()[0]
    print(json.dumps({"cores": os.cpu_count(), "load": load, "figures": [asdict(each) for each in found]}, indent=2))
    sys.exit(0 if all(each.met for each in found) else 1)


if __name__ == "__main__":
    main()

"""How soon haproxy knows what a Galera member can do, and what the knowing costs.

A real member, the health endpoint and three haproxies as rendered; the other members are made up. The member and the
endpoint are frozen and thawed in turn. The table goes to standard error, JSON to standard output; exit 1 when haproxy
took longer than 500 ms (issue 3).

Run it as root: .venv/bin/python tests/bench/bench_detection.py [ROUNDS]
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))

from fake_members import FakeMember, Haproxy
from galera_member import GaleraMember
from ocf_calls import free_port, wait_until

from resource_agents.health import DAEMON
from vimha.render.fronts import ENDPOINT_PORT, section
from vimha.site.loading import parse
from vimha.timing.solve import solve

BAR_MS = 500
COST_S = 10.0
SITE = """\
site: t
vip: 127.79.1.100
nodes:
  c1: {{addresses: [127.79.1.11, 127.79.2.11], bmc: 127.79.9.11}}
  c2: {{addresses: [127.79.1.12, 127.79.2.12], bmc: 127.79.9.12, fencing_delay: 1s}}
database: {{port: {port}, reader_port: 0}}
"""


def took_ms(true: Callable[[], bool]) -> int:
    begun = time.monotonic()
    while not true():
        if time.monotonic() > begun + 10:
            raise SystemExit("haproxy never knew")
        time.sleep(0.004)
    return round((time.monotonic() - begun) * 1000)


def cpu_s(pid: int) -> float:
    """What all threads of `pid` have run so far (proc(5), schedstat), in seconds."""
    return sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def rounds(pid: int, haproxy: Haproxy, number: int) -> dict[str, list[int]]:
    """Freeze and thaw `pid`: milliseconds until haproxy has the member DOWN, and UP again."""
    found: dict[str, list[int]] = {"frozen": [], "thawed": []}
    for _ in range(number):
        time.sleep(0.3 + random.random() * 0.2)  # noqa: S311 (anywhere between two checks)
        os.kill(pid, signal.SIGSTOP)
        found["frozen"].append(took_ms(lambda: haproxy.states("database")["c1"] == "DOWN"))
        os.kill(pid, signal.SIGCONT)
        found["thawed"].append(took_ms(lambda: haproxy.states("database")["c1"] == "UP"))
    return {name: sorted(values) for name, values in found.items()}


def measure(number: int) -> tuple[dict[str, dict[str, list[int]]], dict[str, float]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        folder.chmod(0o755)
        data = folder / "member"
        data.mkdir()
        member = GaleraMember(data, "127.79.1.11")
        stack.callback(member.kill)
        endpoint = free_port()
        argv = [
            "/usr/bin/python3",
            "-IS",
            DAEMON,
            "--listen",
            f"{member.address}:{endpoint}",
            "--galera",
            member.socket,
        ]
        daemon = subprocess.Popen(["setpriv", "--reuid", "mysql", "--clear-groups", *argv])
        stack.callback(daemon.kill)
        stack.enter_context(closing(FakeMember("c2", "127.79.1.12", (member.port,), endpoint)))
        site = parse(SITE.format(port=member.port).encode(), "site.yaml").site
        assert site
        text = (
            section(site, "c1", solve(site).members, 250)
            .decode()
            .replace(f"port {ENDPOINT_PORT} ", f"port {endpoint} ")
        )
        haproxies = []
        for last in (100, 101, 102):
            home = folder / str(last)
            home.mkdir()
            haproxies.append(Haproxy(text.replace("127.79.1.100", f"127.79.1.{last}"), home))
            stack.enter_context(closing(haproxies[-1]))
        wait_until(lambda: haproxies[0].states("database")["c1"] == "UP", 60)
        pids = {"endpoint": daemon.pid, "haproxy": haproxies[0].process.pid, "mariadbd": member.process.pid}
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        time.sleep(COST_S)
        cost = {name: round(100 * (cpu_s(pid) - before[name]) / COST_S, 2) for name, pid in pids.items()}
        found = {name: rounds(pids[name], haproxies[0], number) for name in ("mariadbd", "endpoint")}
    return found, cost


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    found, cost = measure(number)
    for name, each in found.items():
        for change, values in each.items():
            print(f"{name} {change:<7} p50 {values[len(values) // 2]:4} ms   worst {values[-1]:4} ms", file=sys.stderr)
    for name, share in cost.items():
        print(f"{name:<9} {share:5.2f} % of one core", file=sys.stderr)
    worst = max(values[-1] for each in found.values() for values in each.values())
    print(json.dumps({"bar_ms": BAR_MS, "worst_ms": worst, "detection_ms": found, "cpu_percent": cost}, indent=2))
    sys.exit(1 if worst > BAR_MS else 0)


if __name__ == "__main__":
    main()

"""What a monitor costs: process CPU of each agent's monitor beside IPaddr2's shell monitor, in the same run.

The rounds are interleaved, so that whatever else the machine does falls on all alike. The table goes to standard
error, JSON to standard output; exit 1 when an agent's median is over 15 ms or not below IPaddr2's.

Run it as root: .venv/bin/python tests/bench/bench_monitors.py [ROUNDS]
"""

import json
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

from vimha.render import agents

BAR_MS = 15.0
"""Design: "budget 15 ms of CPU for monitor"."""
SHELL_AGENT = "/usr/lib/ocf/resource.d/heartbeat/IPaddr2"
MEMBER = "\nSlave Interface: {name}\nMII Status: up\nSpeed: 10000 Mbps\nDuplex: full\nLink Failure Count: 0\n"
BOND = (
    "Ethernet Channel Bonding Driver: v6.1.0\n\nBonding Mode: fault-tolerance (active-backup)\nPrimary Slave: None\n"
    "Currently Active Slave: eth0\nMII Status: up\nMII Polling Interval (ms): 100\n"
    + MEMBER.format(name="eth0")
    + MEMBER.format(name="eth1")
)
BOND_LAUNCHER = """#!/usr/bin/python3 -IS
import sys
sys.path.insert(0, "{library}")
from resource_agents.bond import AGENT
from resource_agents.ocf import runtime, system
class Host(system.System):
    def __init__(self):
        super().__init__("{root}")
    def run(self, argv, timeout_s):
        return 0, ""
runtime.System = Host
runtime.main(AGENT)
"""
"""The bond agent over files that look like a host with a bond, so that the figure does not need one."""


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds (user and system, children included) of one agent's monitor."""

    agent: str
    median_ms: float
    p10_ms: float
    p90_ms: float
    rounds: int


def cpu_ms(argv: list[str], env: dict[str, str]) -> tuple[float, int]:
    """CPU time that `argv` used, and its exit code."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    pid = os.posix_spawn(argv[0], argv, env, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    return (usage.ru_utime + usage.ru_stime) * 1000, os.waitstatus_to_exitcode(status)


def environment(**parameters: str) -> dict[str, str]:
    """What Pacemaker would set for a monitor that runs too seldom for standing looks: the agent looks itself."""
    given = {f"OCF_RESKEY_{name}": value for name, value in parameters.items()}
    meta = {"OCF_RESKEY_CRM_meta_interval": "60000", "OCF_RESKEY_CRM_meta_timeout": "5000"}
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "OCF_ROOT": "/usr/lib/ocf", "OCF_RA_VERSION_MAJOR": "1",
        "OCF_RA_VERSION_MINOR": "1", "OCF_RESOURCE_INSTANCE": "bench", **meta, **given,
    }  # fmt: skip


def launcher(folder: Path, name: str) -> str:
    """A launcher of agent `name` for the installation under `folder`."""
    agent = agents.find(name)
    return script(folder / name, agents.launcher(agent, folder / "usr/lib/vimha"))


def script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Healthcheck(BaseHTTPRequestHandler):
    """Answers 200, as glance-api's healthcheck does; only the asking is measured."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def haproxy(folder: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """A real haproxy, started and stopped by its agent."""
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"
        f"frontend health\n  bind 127.0.0.1:{port}\n  monitor-uri /health\n"
    )
    env = environment(config=str(config), pid=str(folder / "haproxy.pid"), health=f"127.0.0.1:{port}")
    argv = launcher(folder, "haproxy")
    if cpu_ms([argv, "start"], env)[1]:
        raise SystemExit("haproxy does not start: is it installed?")
    try:
        yield [argv, "monitor"], env
    finally:
        cpu_ms([argv, "stop"], env)


@contextmanager
def door(folder: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """The same, answered from a standing look's verdict; what that looks cost is in bench_idle.py."""
    own = folder / "door"
    own.mkdir()
    (own / "usr").symlink_to(folder / "usr")
    with haproxy(own) as (argv, env):
        yield argv, env | {"OCF_RESKEY_CRM_meta_interval": "1000", "OCF_RESOURCE_INSTANCE": "bench-door"}
        cpu_ms([argv[0], "stop"], env | {"OCF_RESOURCE_INSTANCE": "bench-door"})


@contextmanager
def glance(folder: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """The glance-api agent beside a small HTTP server; a sleeping process stands for the daemon."""
    server = HTTPServer(("127.0.0.1", 0), Healthcheck)
    Thread(target=server.serve_forever, daemon=True).start()
    pid = os.posix_spawn("/bin/sleep", ["/bin/sleep", "600"], {})
    time.sleep(0.1)
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    (folder / "glance.pid").write_text(f"{pid}\n{ticks}\n")
    url = f"http://127.0.0.1:{server.server_port}/healthcheck"
    try:
        yield [launcher(folder, "glance-api"), "monitor"], environment(url=url, pid=str(folder / "glance.pid"))
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        server.shutdown()


@contextmanager
def bond(folder: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    root = folder / "host"
    for path, text in {
        "proc/net/bonding/bond0": BOND, "run/resource-agents/vimha-ports.attribute": "2\n\n",
        **{f"sys/class/net/{name}/flags": "0x1003\n" for name in ("bond0", "eth0", "eth1")},
        **{f"sys/class/net/{name}/carrier": "1\n" for name in ("bond0", "eth0", "eth1")},
    }.items():  # fmt: skip
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    text = BOND_LAUNCHER.format(library=folder / "usr/lib/vimha", root=root)
    yield [script(folder / "bond", text), "monitor"], environment()


@contextmanager
def vip(folder: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """The VIP's agent asked for the same address as IPaddr2 is."""
    yield [launcher(folder, "vip"), "monitor"], environment(ip="127.0.0.1", nic="lo", cidr_netmask="8")


def measure(rounds: int) -> list[Cost]:
    """The monitors' costs, IPaddr2's last; every monitor must have found its service healthy."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vimha-bench-")))
        agents.install(folder)
        subjects = {make.__name__: stack.enter_context(make(folder)) for make in (haproxy, door, glance, bond, vip)}
        subjects["IPaddr2"] = ([SHELL_AGENT, "monitor"], environment(ip="127.0.0.1", nic="lo", cidr_netmask="8"))
        taken: dict[str, list[float]] = {name: [] for name in subjects}
        for _ in range(rounds):
            for name, (argv, env) in subjects.items():
                spent, code = cpu_ms(argv, env)
                if code:
                    raise SystemExit(f"{name}: monitor exits {code} on a healthy service")
                taken[name].append(spent)
    return [cost(name, values) for name, values in taken.items()]


def cost(name: str, values: list[float]) -> Cost:
    tenths = statistics.quantiles(values, n=10)
    return Cost(name, round(statistics.median(values), 2), round(tenths[0], 2), round(tenths[8], 2), len(values))


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    costs = measure(rounds)
    shell = costs[-1]
    for found in costs:
        line = f"{found.agent:<10} {found.median_ms:6.2f} ms   (p10 {found.p10_ms:.2f}, p90 {found.p90_ms:.2f})"
        print(line, file=sys.stderr)
    over = [found.agent for found in costs[:-1] if found.median_ms > min(BAR_MS, shell.median_ms)]
    print(json.dumps({"bar_ms": BAR_MS, "missed": over, "costs": [asdict(found) for found in costs]}, indent=2))
    sys.exit(1 if over else 0)


if __name__ == "__main__":
    main()

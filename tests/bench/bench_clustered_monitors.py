"""What the monitors of the clustered services cost: process CPU beside the shell agents of Debian, in the same run.

Real daemons, a fake attribute daemon: two Galera members with an arbitrator, three brokers, a health endpoint. Rounds
are interleaved, so that whatever else the machine does falls on all alike. The table goes to standard error, JSON to
standard output and reports/bench-clustered-monitors.json; exit 1 when a bar of issue 3 or of the design is missed.

The shell agents run without Pacemaker here, so their calls of crm_attribute and cibadmin fail at once; with a cluster
they cost more. rabbitmq-cluster does all of its rabbitmqctl calls; galera asks for wsrep_cluster_status.

Run it as root: .venv/bin/python tests/bench/bench_clustered_monitors.py [ROUNDS]
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))

from bench_monitors import BAR_MS, Cost, cost, cpu_ms, environment
from galera_nodes import Node as Member
from galera_nodes import galera_nodes
from installation import installed_agents
from ocf_calls import Resource, wait_until
from rabbit_nodes import Node as Broker
from rabbit_nodes import site_of

from vimha.render import agents

ROOT = Path(__file__).parents[2]
SHELL = "/usr/lib/ocf/resource.d/heartbeat"
WHOLE_S = 180.0
RUNNING_MASTER = 8
"""What ocf:heartbeat:galera says of a member of a primary component."""
BROKERS = 3


@dataclass(frozen=True)
class Monitor:
    """A monitor to measure: in which prefix, and what it exits with on a healthy service. Its median may be `share` of
    the monitor `against`; without one it is there to be compared with.
    """

    name: str
    prefix: tuple[str, ...]
    argv: tuple[str, ...]
    env: dict[str, str]
    against: str = ""
    share: float = 1.0
    code: int = 0


class Meter:
    """A process inside a namespace that runs monitors there, so that entering it is not measured with them."""

    def __init__(self, prefix: Sequence[str]) -> None:
        argv = [*prefix, sys.executable, __file__, "--meter"]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def cpu_ms(self, monitor: Monitor) -> tuple[float, int]:
        assert self._process.stdin and self._process.stdout
        print(json.dumps([monitor.argv, monitor.env]), file=self._process.stdin, flush=True)
        spent, code = json.loads(self._process.stdout.readline())
        return spent, code

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def serve() -> None:
    """What the process of a `Meter` does."""
    for line in sys.stdin:
        argv, env = json.loads(line)
        print(json.dumps(cpu_ms(argv, env)), flush=True)


def ours(name: str, resource: Resource, against: str = "", share: float = 1.0, depth: int = 0) -> Monitor:
    """The recurring monitor of an agent of ours, as Pacemaker calls it."""
    env = environment(**resource.parameters) | {"OCF_RESOURCE_INSTANCE": f"test-{resource.agent}"}
    level = {"OCF_CHECK_LEVEL": str(depth)} if depth else {}
    argv = (str(agents.OCF_FOLDER / resource.agent), "monitor")
    return Monitor(name, resource.prefix, argv, env | level, against, share)


@contextmanager
def galera_monitors(folder: Path) -> Iterator[list[Monitor]]:
    """Those of a member and of the health endpoint beside it, and of the arbitrator."""
    with galera_nodes(2, arbiter=True) as nodes:
        nodes.start()
        first, arbiter = nodes.nodes[0], nodes.arbiter
        assert arbiter
        if arbiter.agent("start").code:
            raise SystemExit("garbd does not start")
        wait_until(nodes.whole, WHOLE_S)
        wait_until(lambda: arbiter.monitor().code == 0, WHOLE_S)
        health = Resource(
            "health", first.agent.prefix, listen="127.0.0.1:8406", galera=first.agent.parameters["socket"],
            pid=str(first.folder / "pid" / "health.pid"),
        )  # fmt: skip
        if health("start").code:
            raise SystemExit("the health endpoint does not start")
        yield [
            ours("galera", first.agent, "heartbeat:galera", 0.5),
            ours("health", health),
            ours("garbd", arbiter.agent, "heartbeat:garbd"),
            shell_galera(first, folder),
            shell_garbd(arbiter, folder),
        ]


def shell_galera(member: Member, folder: Path) -> Monitor:
    """ocf:heartbeat:galera for the member that our agent has started."""
    own = member.agent.parameters
    pid = folder / "mariadbd.pid"
    pid.write_text(f"{member.agent.pid}\n")
    env = environment(
        binary="/usr/sbin/mariadbd", client_binary=f"mariadb --no-defaults -S {own['socket']}", config=own["config"],
        datadir=own["datadir"], socket=own["socket"], pid=str(pid), log=own["log"], user="mysql", group="mysql",
        wsrep_cluster_address="gcomm://c1,c2",
    )  # fmt: skip
    name = "heartbeat:galera"
    return Monitor(name, member.agent.prefix, (f"{SHELL}/galera", "monitor"), env, code=RUNNING_MASTER)


def shell_garbd(arbiter: Member, folder: Path) -> Monitor:
    """ocf:heartbeat:garbd for the arbitrator that our agent has started."""
    pid = folder / "garbd.pid"
    pid.write_text(f"{arbiter.agent.pid}\n")
    env = environment(
        binary="/usr/bin/garbd", user="nobody", group="nogroup", log=arbiter.agent.parameters["log"], pid=str(pid),
        wsrep_cluster_address="gcomm://c1:4567,c2:4567", wsrep_cluster_name="vimha-test",
    )  # fmt: skip
    return Monitor("heartbeat:garbd", arbiter.agent.prefix, (f"{SHELL}/garbd", "monitor"), env)


@contextmanager
def rabbitmq_monitors() -> Iterator[list[Monitor]]:
    """Those of a broker among three."""
    with site_of(BROKERS) as site:
        for node in site.nodes:
            node("start")
        for node in site.nodes:
            node.up(WHOLE_S)
        first = site.nodes[0]
        yield [
            ours("rabbitmq", first.resource, "heartbeat:rabbitmq-cluster", 0.1),
            ours("rabbitmq, depth 10", first.resource, "heartbeat:rabbitmq-cluster", 0.1, depth=10),
            shell_rabbitmq(first),
        ]


def shell_rabbitmq(broker: Broker) -> Monitor:
    """ocf:heartbeat:rabbitmq-cluster: its rabbitmqctl takes node, home and cookie to be those of Debian's package."""
    home = f"mount --bind {broker.home} /var/lib/rabbitmq"
    prefix = (*broker.resource.prefix, "unshare", "--mount", "sh", "-ec", f'{home}; exec "$@"', "sh")
    env = environment() | {
        "RABBITMQ_NODENAME": f"rabbit@{broker.name}", "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "ERL_INETRC": str(broker.folder / "run-vimha/test-rabbitmq.d/inetrc"),
    }  # fmt: skip
    return Monitor("heartbeat:rabbitmq-cluster", prefix, (f"{SHELL}/rabbitmq-cluster", "monitor"), env)


def measure(monitors: Sequence[Monitor], rounds: int) -> list[Cost]:
    """The monitors' costs; every monitor must have found its service healthy."""
    with ExitStack() as stack:
        meters = {}
        for monitor in monitors:
            if monitor.prefix not in meters:
                meters[monitor.prefix] = Meter(monitor.prefix)
                stack.callback(meters[monitor.prefix].close)
        taken: dict[str, list[float]] = {monitor.name: [] for monitor in monitors}
        for number in range(rounds + 1):
            for monitor in monitors:
                spent, code = meters[monitor.prefix].cpu_ms(monitor)
                if code != monitor.code:
                    raise SystemExit(f"{monitor.name}: monitor exits {code} on a healthy service")
                if number:  # the first round reads files that the later ones find in memory
                    taken[monitor.name].append(spent)
    return [cost(name, values) for name, values in taken.items()]


def missed(monitors: Sequence[Monitor], costs: Sequence[Cost]) -> list[str]:
    """The monitors over their bars: the design's for all of ours, and their share of the shell agent's."""
    medians = {found.agent: found.median_ms for found in costs}
    found = []
    for monitor in monitors:
        own = monitor.argv[0].startswith(str(agents.OCF_FOLDER))
        allowed = min([BAR_MS, *([monitor.share * medians[monitor.against]] if monitor.against else [])])
        if own and medians[monitor.name] > allowed:
            found.append(f"{monitor.name}: {medians[monitor.name]:.2f} ms, {allowed:.2f} ms allowed")
    return found


def main() -> int:
    if sys.argv[1:] == ["--meter"]:
        serve()
        return 0
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with ExitStack() as stack:
        stack.enter_context(installed_agents())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vimha-bench-", dir="/var/tmp")))
        folder.chmod(0o755)
        monitors = [*stack.enter_context(galera_monitors(folder)), *stack.enter_context(rabbitmq_monitors())]
        costs = measure(monitors, rounds)
    medians = {found.agent: found.median_ms for found in costs}
    for monitor, found in zip(monitors, costs, strict=True):
        beside = f"{found.median_ms / medians[monitor.against]:6.3f} of {monitor.against}" if monitor.against else ""
        spread = f"(p10 {found.p10_ms:.2f}, p90 {found.p90_ms:.2f})"
        print(f"{found.agent:<28}{found.median_ms:8.2f} ms   {spread:<28}{beside}", file=sys.stderr)
    over = missed(monitors, costs)
    print("\n".join(over), file=sys.stderr)
    text = json.dumps({"bar_ms": BAR_MS, "load": os.getloadavg(), "missed": over,
                       "costs": [asdict(found) for found in costs]}, indent=2)  # fmt: skip
    (ROOT / "reports").mkdir(exist_ok=True)
    (ROOT / "reports" / "bench-clustered-monitors.json").write_text(text + "\n")
    print(text)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())

"""What rendering and validating a site costs: `vimha render` and `vimha validate`, from start to exit.

Sites: three nodes as in the examples, and a generated one of 1,000 resources (three VIPs, else services). The table
goes to standard error, JSON to standard output; exit 1 when a median is over its bar. CPU time stands beside the wall
clock's, which the machine's other work lengthens.

Run it as: .venv/bin/python tests/bench/bench_render.py [ROUNDS]
"""

import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
VIMHA = Path(sys.executable).parent / "vimha"
RESOURCES = 1000
SMALL_BAR_S, LARGE_BAR_S = 0.6, 4.0


@dataclass(frozen=True)
class Cost:
    """Seconds of one command on one site: wall clock (median and range) and the median's CPU, children included."""

    command: str
    site: str
    bar_s: float
    wall_s: float
    least_s: float
    most_s: float
    cpu_s: float
    rounds: int

    @property
    def missed(self) -> bool:
        return self.wall_s > self.bar_s


def generated(resources: int) -> str:
    """A large site of three nodes whose CIB has `resources` VIPs and services. (More VIPs than a few per node fit no
    budget: a survivor starts its share of them one after another.)
    """
    nodes = [f"  c{n}: {{addresses: [10.64.0.1{n}, 10.65.0.1{n}], bmc: 10.66.0.1{n}, rack: r{n}}}" for n in (1, 2, 3)]
    vips = [f"  v{n}: 10.64.1.{n}" for n in (1, 2, 3)]
    services = [f"  s{n}: {{port: {10000 + n}, backend_port: {20000 + n}}}" for n in range(resources - 3)]
    planes = ["planes:", "  a: {subnet: 10.64.0.0/16}", "  b: {subnet: 10.65.0.0/16}"]
    parts = ["site: generated", "scale: large", *planes, "nodes:", *nodes, "vips:", *vips, "services:", *services]
    return "\n".join(parts) + "\n"


def once(argv: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one run; a run that fails ends the benchmark."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    start = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    if code := os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(argv)}: exit {code}")
    return wall, usage.ru_utime + usage.ru_stime


def cost(command: str, site: Path, bar_s: float, rounds: int, options: list[str]) -> Cost:
    argv = [str(VIMHA), command, str(site), *options]
    once(argv)
    taken = [once(argv) for _ in range(rounds)]
    walls, cpus = [wall for wall, _ in taken], [cpu for _, cpu in taken]
    figures = [round(figure, 3) for figure in (statistics.median(walls), min(walls), max(walls))]
    return Cost(command, site.stem, bar_s, *figures, round(statistics.median(cpus), 3), rounds)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory(prefix="vimha-bench-") as name:
        folder = Path(name)
        large = folder / "generated.yaml"
        large.write_text(generated(RESOURCES))
        out = ["--out", str(folder / "out")]
        costs = [
            cost(command, site, bar_s, rounds, out if command == "render" else [])
            for site, bar_s in ((ROOT / "examples/site-small.yaml", SMALL_BAR_S), (large, LARGE_BAR_S))
            for command in ("render", "validate")
        ]
    for each in costs:
        span = f"({each.least_s:.2f} to {each.most_s:.2f}), CPU {each.cpu_s:.2f} s, bar {each.bar_s:.1f} s"
        print(f"{each.command:<9} {each.site:<11} {each.wall_s:6.2f} s  {span}", file=sys.stderr)
    missed = [f"{each.command} {each.site}" for each in costs if each.missed]
    print(json.dumps({"missed": missed, "costs": [asdict(each) for each in costs]}, indent=2))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()

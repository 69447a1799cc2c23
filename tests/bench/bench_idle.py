"""What monitors cost a cluster that has nothing to do: CPU of the agents per node, and whether they ever cry wolf.

A lab with the site applied is left alone. Wanted: no operation fails, corosync sees no change of membership, and all
agents of a node with their long-lived helpers use less than 3 % of one core (issue 3 asks for an hour of that).

Run as root: `python tests/bench/bench_idle.py [--minutes 60] [--site FILE]`. Prints a table; writes
reports/bench-idle.json. Exit 1 when a bar is missed, or when too few monitors ran for the figures to mean anything.

An agent is a child of pacemaker-execd or, for fencing, of pacemaker-fenced; either waits for its children, so its
cumulative children's CPU (proc(5), cutime and cstime) grows by all that an agent used, and by nothing of a daemon that
an agent left behind. Such a helper, a standing look too, is measured by itself; of one that begins and ends meanwhile
(the broker's look for missing replicas) the kernel's taskstats tell, as its node's init buries it. They tell the same
per agent, with counts and exit codes: the column `by exit` is their sum, about a tenth lower, for they are told before
the kernel takes the process's memory apart. What the daemons spend on answering monitors is theirs, and part of the
node's column alone.
"""

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from task_exits import TaskExits

from resource_agents.ocf import standing
from vimha.cluster.cib import Cib
from vimha.cluster.document import parse_cib
from vimha.cluster.live import read_cib
from vimha.cluster.status import status
from vimha.drill import journal, session
from vimha.drill.stage import Stage
from vimha.errors import VimhaError
from vimha.lab.cgroups import Group
from vimha.lab.labs import Lab
from vimha.process import checked
from vimha.site.loading import load_valid

ROOT = Path(__file__).parents[2]
BAR_PERCENT = 3.0
TRIED = 0.7
"""So much of the number that the intervals alone give must have run: Pacemaker starts an interval when the monitor
before it has ended, and a busy host makes monitors long."""
READY_S = 180.0
PARENTS = ("pacemaker-execd", "pacemaker-fenced")
OWN = ("/ocf/resource.d/vimha/", "/resource_agents/", "/vimha/alerts/")
"""What is in the command line of every process of vimha on a node."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """CPU seconds on one node so far: its agents', by process each helper's, and everybody's."""

    agents: float
    helpers: Mapping[tuple[int, str], float]
    node: float


@dataclass
class Runs:
    """One agent's runs on one node, apart from others that the executor starts (`expected` is 0 for those)."""

    expected: float = 0.0
    count: int = 0
    cpu_s: float = 0.0
    codes: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeFigures:
    """Shares of one core in percent, and each agent's runs."""

    node: str
    agents: float
    helpers: dict[str, float]
    whole: float
    runs: dict[str, Runs]

    @property
    def own(self) -> float:
        return self.agents + sum(self.helpers.values())


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def program(pid: int) -> str:
    """The base name of what a process runs."""
    return command(pid).partition(" ")[0].rpartition("/")[2]


def parents(group: Group) -> list[int]:
    """The node's executor and fencer; their children look like them until they run an agent."""
    named = {pid: stat(pid) for pid in group.pids() if program(pid) in PARENTS}
    return [pid for pid, fields in named.items() if fields and int(fields[1]) not in named]


def used(group: Group, executors: list[int]) -> Used:
    """What the node has used by now; a helper is a process of vimha that no executor waits for."""
    agents = sum(int(stat(pid)[13]) + int(stat(pid)[14]) for pid in executors) / TICKS
    helpers = {}
    for pid in group.pids():
        line, fields = command(pid), stat(pid)
        if fields and any(path in line for path in OWN) and int(fields[1]) not in executors:
            helpers[pid, line] = (int(fields[11]) + int(fields[12])) / TICKS
    counted = next(folder / "cpu.stat" for folder in group.folders() if (folder / "cpu.stat").exists())
    whole = dict(line.split() for line in counted.read_text().splitlines())
    return Used(agents, helpers, int(whole["usage_usec"]) / 1e6)


def helper_name(line: str) -> str:
    """The endpoint by its package; another is what an agent forked, and bears that agent's name."""
    return "endpoint" if "/endpoint/" in line else f"{line.rpartition(OWN[0])[2].partition(' ')[0]}'s"


def expected_runs(lab: Lab, seconds: float) -> dict[str, dict[str, Runs]]:
    """For each node, by the agent's name as the kernel keeps it, how many monitors its resources' intervals give."""
    runner = lab.runner(next(iter(lab.site.nodes)))
    cib = Cib(parse_cib(read_cib(runner).encode(), "the live CIB"))
    found: dict[str, dict[str, Runs]] = {node: defaultdict(Runs) for node in lab.site.nodes}
    for resource in status(runner).resources:
        for operation in cib.primitives[resource.id].operations:
            if operation.name == "monitor" and operation.interval_ms:
                for node in resource.nodes:
                    name = resource.agent.rpartition(":")[2][:15]
                    found[node][name].expected += seconds * 1000 / operation.interval_ms
    return found


def failures(lab: Lab, since: float) -> Iterator[str]:
    """Failed operations in the CIB's history since the wall-clock time `since`."""
    root = parse_cib(read_cib(lab.runner(next(iter(lab.site.nodes)))).encode(), "the live CIB")
    for operation in root.iterfind("status/node_state/lrm/lrm_resources/lrm_resource/lrm_rsc_op"):
        wanted = operation.get("transition-key", "").split(":")[2:3]
        code = operation.get("rc-code", "")
        if code not in (*wanted, "0", "190") and int(operation.get("last-rc-change", "0")) >= int(since):
            yield f"{operation.get('id')} on {operation.get('on_node')}: exit {code} {operation.get('exit-reason', '')}"


def events(lab: Lab, since: float) -> Iterator[str]:
    """What the nodes' logs tell of corosync and Pacemaker since the monotonic time `since`: an idle cluster is silent.

    VimhaError when a journal does not even tell of the cluster's beginning: silence would mean nothing.
    """
    for node in lab.site.nodes:
        told = journal.read(lab.runner(node), node, 0.0, time.monotonic())
        if not journal.of_kind(told, "membership"):
            raise VimhaError(f"the journal of {node} does not go back to the cluster's beginning")
        yield from (f"{each.node} {each.kind}: {each.text}" for each in told if each.at >= since)


def warnings(lab: Lab, minutes: float) -> dict[str, list[str]]:
    """Per node, the log lines of priority warning and worse: for context."""
    argv = ["journalctl", "--no-pager", "--output=cat", "--priority=warning", f"--since=-{minutes * 60:.0f}s"]
    return {node: checked(lab.runner(node)(argv)).out.splitlines() for node in lab.site.nodes}


def wait_ready(lab: Lab) -> None:
    """Until the cluster is healthy and idle."""
    stage, end = Stage(lab, session.vip_of(lab.site, "haproxy")), time.monotonic() + READY_S
    while found := session.health(stage):
        if time.monotonic() > end:
            raise VimhaError(f"not healthy after {READY_S:g} s: {'; '.join(found)}")
        time.sleep(1)


def watch(lab: Lab, seconds: float) -> list[NodeFigures]:
    """Leave the lab alone for `seconds`, and tell what its nodes did meanwhile."""
    groups = {node: Group(f"{lab.name}/{node}") for node in lab.site.nodes}
    executors = {node: parents(group) for node, group in groups.items()}
    home = {pid: node for node, pids in executors.items() for pid in pids}
    inits = {init_of(pids[0]): node for node, pids in executors.items()}
    runs = expected_runs(lab, seconds)
    buried: dict[str, dict[str, float]] = {node: defaultdict(float) for node in groups}
    exits = TaskExits({*home, *inits})
    begun = time.monotonic()
    before = {node: used(group, executors[node]) for node, group in groups.items()}
    for ended in exits.read(seconds):
        if node := inits.get(ended.parent):
            if ended.name in (*runs[node], standing.NAME):
                buried[node][ended.name] += ended.cpu_s
            continue
        entry = runs[home[ended.parent]][ended.name]
        entry.count += 1
        entry.cpu_s += ended.cpu_s
        entry.codes[ended.code] = entry.codes.get(ended.code, 0) + 1
    after = {node: used(group, executors[node]) for node, group in groups.items()}
    share = 100 / (time.monotonic() - begun)
    exits.close()
    return [figures(node, before[node], after[node], share, runs=runs[node], buried=buried[node]) for node in groups]


def init_of(executor: int) -> int:
    """The process that buries what the executor's agents leave behind: the parent of pacemakerd, which is its own."""
    return int(stat(int(stat(executor)[1]))[1])


def figures(
    node: str, before: Used, after: Used, share: float, *, runs: dict[str, Runs], buried: Mapping[str, float]
) -> NodeFigures:  # fmt: skip
    """`share` makes CPU seconds of the window percent of one core; `buried`: what ended helpers used, by name."""
    helpers: dict[str, float] = defaultdict(float)
    for helper, spent in after.helpers.items():
        helpers[helper_name(helper[1])] += share * (spent - before.helpers.get(helper, 0.0))
    for name, spent in buried.items():
        helpers[f"{name}'s, ended"] += share * spent
    agents, whole = share * (after.agents - before.agents), share * (after.node - before.node)
    return NodeFigures(node, agents, dict(helpers), whole, dict(runs))


def complaints(found: list[NodeFigures], seconds: float) -> Iterator[str]:
    """The bars that a node missed, and monitors that failed or did not run."""
    for each in found:
        if each.own >= BAR_PERCENT:
            yield f"{each.node}: agents and helpers use {each.own:.2f} % of a core, the bar is {BAR_PERCENT:g} %"
        for name, runs in each.runs.items():
            if runs.count < TRIED * runs.expected - 1:
                yield f"{each.node}: {name} ran {runs.count} times in {seconds:g} s, expected {runs.expected:.0f}"
            if failed := {code: number for code, number in runs.codes.items() if code}:
                yield f"{each.node}: {name} did not exit 0: {failed} (exit code: times)"


def table(found: list[NodeFigures], seconds: float) -> str:
    lines = [
        f"{'node':<14}{'agents':>9}{'by exit':>9}{'helpers':>9}{'both':>9}{'whole node':>12}   (percent of one core)"
    ]
    for each in found:
        by_exit = 100 * sum(runs.cpu_s for runs in each.runs.values()) / seconds
        shares = f"{each.agents:>9.2f}{by_exit:>9.2f}{each.own - each.agents:>9.2f}{each.own:>9.2f}{each.whole:>12.2f}"
        lines.append(f"{each.node:<14}{shares}")
    lines.append(f"\n{'node':<14}{'agent':<18}{'runs':>7}{'expected':>10}{'ms each':>9}{'percent':>9}")
    for each in found:
        for name, runs in sorted(each.runs.items(), key=lambda item: -item[1].cpu_s):
            ms = 1000 * runs.cpu_s / runs.count if runs.count else 0.0
            percent = 100 * runs.cpu_s / seconds
            lines.append(f"{each.node:<14}{name:<18}{runs.count:>7}{runs.expected:>10.0f}{ms:>9.1f}{percent:>9.2f}")
        lines += [f"{each.node:<14}{name:<18}{'':>26}{spent:>9.2f}" for name, spent in sorted(each.helpers.items())]
    return "\n".join(lines)


def measure(site: Path, minutes: float) -> tuple[list[NodeFigures], list[str], dict[str, object]]:
    """The nodes' figures, what is wrong, and what else the JSON tells."""
    seconds, load = minutes * 60, os.getloadavg()
    with session.lab_for(load_valid(site), None, say) as lab:
        wait_ready(lab)
        since, wall = time.monotonic(), time.time()
        say(f"healthy; leaves it alone for {minutes:g} minutes")
        found = watch(lab, seconds)
        wrong = [*failures(lab, wall), *events(lab, since), *complaints(found, seconds)]
        logged = warnings(lab, minutes)
    context = {"load_before": load, "load_after": os.getloadavg(), "warnings": logged}
    return found, wrong, context


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--site", type=Path, default=ROOT / "examples" / "site-stateful.yaml")
    options = parser.parse_args()
    found, wrong, context = measure(options.site, options.minutes)
    print(table(found, options.minutes * 60))
    print("\n".join(wrong) if wrong else f"\nnothing failed and nothing moved in {options.minutes:g} minutes")
    nodes = [{**asdict(each), "own": each.own} for each in found]
    data = {"minutes": options.minutes, "bar_percent": BAR_PERCENT, "nodes": nodes, "wrong": wrong, **context}
    path = ROOT / "reports" / "bench-idle.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

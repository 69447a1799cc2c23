"""How long an off takes until it is verified: ours and Debian's fence agents against the same BMCs, in turn.

The table goes to standard error, JSON to standard output; exit 1 when ours is not the quickest by median.
Run it as root: .venv/bin/python tests/bench/bench_fencing.py [ROUNDS]
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[1] / "agents"))

from fake_power import FakePower
from lab_bmcs import ALL, NODES, Fence, bmcs

OURS = "fence_vimha_redfish"


def measure(fence: Fence, rounds: int) -> dict[str, list[float]]:
    """Seconds of every off, agent by agent, each begun on a node that is on."""
    times: dict[str, list[float]] = {agent: [] for agent in ALL}
    for _ in range(rounds):
        for agent in ALL:
            fence.act(OURS, "on", "c1")
            began = time.monotonic()
            done = fence.act(agent, "off", "c1")
            times[agent].append(time.monotonic() - began)
            if done.returncode:
                raise SystemExit(f"{agent}: {done.stderr}")
    return times


def main(argv: list[str]) -> int:
    rounds = int(argv[0]) if argv else 10
    with tempfile.TemporaryDirectory() as folder, bmcs(FakePower(NODES), Path(folder)) as fence:
        times = measure(fence, rounds)
    rows = {
        agent: {"median_s": statistics.median(each), "min_s": min(each), "max_s": max(each)}
        for agent, each in times.items()
    }
    for agent, row in rows.items():
        ratio = row["median_s"] / rows[OURS]["median_s"]
        print(
            f"{agent:22}{row['median_s']:7.3f} s  ({row['min_s']:.3f} .. {row['max_s']:.3f})  {ratio:.1f}x",
            file=sys.stderr,
        )
    print(json.dumps({"rounds": rounds, "off_verified": rows}, indent=2))
    return 0 if rows[OURS]["median_s"] == min(row["median_s"] for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

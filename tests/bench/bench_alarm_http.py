"""What a console or an OSS waits for: lists, filters, pages and acknowledgements over HTTP, with 10,000 active alarms.

The service is a process of its own on SQLite; the asker has one connection and reads each answer to its end. Writes
reports/bench-alarm-http.json; exit 1 when a bar is missed.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from alarm_service import MERGE, OPERATOR, answers, bearer, entries, event, free_port, until  # noqa: E402

ALARMS = "/vimfm/v1/alarms"
BAR_MS = 100.0
"""p95 of a list or a filter (issue 4)."""
QUERIES = {
    "first page of 1,000": "",
    "by host (an index)": "filter=(eq,location/host,h777)",
    "by severity and domain": "filter=(gte,perceivedSeverity,MAJOR);(eq,faultDomain,HOST_HW)",
    "by a text in a detail (JSON)": "filter=(cont,faultDetails,port 77)",
    "by rack (JSON)": "filter=(eq,location/rack,r7)",
    "first page, short": "exclude_default&fields=faultType",
}


def timed(work: Callable[[], Any], rounds: int) -> list[float]:
    """Milliseconds of each round."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - began))
    return found


def figure(what: str, times_ms: list[float], bar_ms: float | None) -> dict[str, Any]:
    ordered = sorted(times_ms)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    met = bar_ms is None or p95 <= bar_ms
    print(f"{'ok ' if met else 'NOT'} {what:36} median {statistics.median(ordered):7.1f} ms  p95 {p95:7.1f} ms")
    return {"what": what, "median_ms": statistics.median(ordered), "p95_ms": p95, "bar_ms": bar_ms, "met": met}


def fill(client: httpx.Client, count: int) -> None:
    for start in range(0, count, 500):
        batch = [
            event(
                f"e{number}", f"h{number}", faultDetails=[f"port {number} is down"],
                location={"host": f"h{number}", "rack": f"r{number % 50}"},
            )
            for number in range(start, start + 500)
        ]  # fmt: skip
        client.post("/events", json={"events": batch}).raise_for_status()


def measured(client: httpx.Client, rounds: int) -> list[dict[str, Any]]:
    figures = []
    for what, query in QUERIES.items():
        times_ms = timed(lambda query=query: client.get(f"{ALARMS}?{query}").raise_for_status(), rounds)  # type: ignore[misc]
        figures.append(figure(what, times_ms, BAR_MS))
    ids = [each["id"] for each in client.get(ALARMS).json()[:rounds]]
    names = iter(ids)
    figures.append(figure("one alarm", timed(lambda: client.get(f"{ALARMS}/{ids[0]}"), rounds), BAR_MS))

    def acknowledge() -> None:
        changed = {"ackState": "ACKNOWLEDGED"}
        client.patch(f"{ALARMS}/{next(names)}", json=changed, headers=MERGE).raise_for_status()

    figures.append(figure("acknowledge", timed(acknowledge, len(ids)), BAR_MS))
    figures.append(figure("all pages", timed(lambda: every_page(client), 5), None))
    return figures


def every_page(client: httpx.Client) -> None:
    url = ALARMS
    while url:
        url = client.get(url).links.get("next", {}).get("url", "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alarms", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=100)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vimha-bench-") as name:
        folder, port = Path(name), free_port()
        config = folder / "alarms.yaml"
        config.write_text(
            f"auth: {{files: [{entries(folder)}]}}\nstore: sqlite:///{folder}/alarms.db\nlisten: {{port: {port}}}\n"
        )
        argv = [sys.executable, "-m", "vimha_cli.main", "alarms", "serve", "--config", str(config)]
        with Popen(argv, stderr=DEVNULL) as process:
            until(lambda: answers(port), 60)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=bearer(OPERATOR), timeout=60) as client:
                fill(client, chosen.alarms)
                figures = measured(client, chosen.rounds)
            process.terminate()
    report = ROOT / "reports" / "bench-alarm-http.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps({"alarms": chosen.alarms, "figures": figures}, indent=2) + "\n")
    return 0 if all(each["met"] for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())

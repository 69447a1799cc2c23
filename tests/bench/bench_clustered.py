"""The database and the message queue, timed: what a writer and a publisher behind the VIP see of each fault.

Run as root: `python tests/bench/bench_clustered.py [--rounds 10]`. Prints a table; writes reports/bench-clustered.json.
Exit 1 when a bar is missed or an acknowledged write is lost. The references are Galera's and RabbitMQ's own, without
Pacemaker: 6.1-6.4 s and 7-8.7 s in their stock settings.
"""

import argparse
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from vimha.drill import session
from vimha.drill.session import Order
from vimha.drill.verdict import Outcome
from vimha.site.loading import load_valid

ROOT = Path(__file__).parents[2]
SQL, AMQP = "database sql", "messaging amqp"
EVERYTHING = ""


@dataclass(frozen=True)
class Bar:
    """What an order must reach, as `probe` sees it (EVERYTHING: the longest of all): its worst outage, and its median
    where one is asked for.
    """

    what: str
    order: Order
    probe: str
    worst_s: float
    p50_s: float | None = None


def bars(rounds: int) -> tuple[Bar, ...]:
    """The figures that the project promises; bars of one order share its rounds."""
    few = max(1, rounds // 3)
    power, switch = Order("node-power-off", rounds), Order("switchover", few)
    broker = [Order(fault, few, service="messaging") for fault in ("service-kill", "service-freeze")]
    return (
        Bar("SQL: writer's node powered off", power, SQL, 3.5, 2.0),
        Bar("AMQP: node in use powered off", power, AMQP, 4.5),
        Bar("SQL: mariadbd killed", Order("service-kill", rounds, service="database"), SQL, 3.5, 2.0),
        Bar("SQL: mariadbd frozen", Order("service-freeze", rounds, service="database"), SQL, 3.5, 2.0),
        Bar("SQL: a non-writer powered off", Order("member-power-off", few), SQL, 1.0),
        Bar("SQL: planned switchover", switch, SQL, 1.0),
        Bar("AMQP: broker killed", broker[0], AMQP, 1.5),
        Bar("AMQP: broker frozen", broker[1], AMQP, 4.5),
        Bar("AMQP: port down", Order("port-down", few), AMQP, 4.5),
        Bar("all powered off, back in random order", Order("site-power-loss-random", rounds), EVERYTHING, 60.0),
    )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def report(measured: list[tuple[Bar, Outcome]]) -> bool:
    """Print the table and write the JSON; False when a bar was missed or a write lost."""
    print(f"{'what':<40}{'rounds':>7}{'p50':>9}{'worst':>9}{'bar':>9}{'lost':>6}  met")
    good, rows = True, []
    for bar, outcome in measured:
        seen = [dict(entry.outages).get(bar.probe, entry.outage_s) for entry in outcome.rounds]
        lost = sum(entry.lost_writes or 0 for entry in outcome.rounds)
        checked = all(entry.lost_writes is not None for entry in outcome.rounds)
        p50, worst = statistics.median(seen), max(seen)
        met = worst < bar.worst_s and (bar.p50_s is None or p50 <= bar.p50_s) and checked and not lost
        good = good and met
        print(f"{bar.what:<40}{len(seen):>7}{p50:>8.2f}s{worst:>8.2f}s{bar.worst_s:>8.2f}s"
              f"{lost if checked else '?':>6}  {'yes' if met else 'NO'}")  # fmt: skip
        rows.append({"what": bar.what, "worst_s": bar.worst_s, "p50_s": bar.p50_s, "seen_s": seen, "lost": lost})
    path = ROOT / "reports" / "bench-clustered.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(rows, indent=2) + "\n")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--site", type=Path, default=ROOT / "examples" / "site-stateful.yaml")
    options = parser.parse_args()
    chosen = bars(options.rounds)
    orders = list(dict.fromkeys(bar.order for bar in chosen))
    outcomes, _ = session.play(load_valid(options.site), orders, say)
    played = dict(zip(orders, outcomes, strict=True))
    return 0 if report([(bar, played[bar.order]) for bar in chosen]) else 1


if __name__ == "__main__":
    sys.exit(main())

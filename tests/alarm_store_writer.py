"""A process that reports alarms into a store until it is killed; each event's name is printed once it is acknowledged.

Run as: python alarm_store_writer.py URL PREFIX
"""

import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor

from alarm_store_tools import RULES, event

from vimha.alarms import times
from vimha.alarms.store.store import Store
from vimha.alarms.words import Severity

THREADS = 4


def report(store: Store, prefix: str) -> None:
    """Raise and clear, in batches of any size; an object's events are this thread's alone."""
    draw = random.Random(prefix)  # noqa: S311
    count = 0
    while True:
        batch = []
        for _ in range(draw.randrange(1, 30)):
            severity = draw.choice([Severity.MAJOR, Severity.CRITICAL, Severity.CLEARED])
            batch.append(event(f"{prefix} {count}", f"vm/{prefix} {draw.randrange(40)}", severity, times.now()))
            count += 1
        store.submit(batch).result()
        os.write(1, "".join(f"{one.id}\t{one.managed_object}\t{one.severity}\n" for one in batch).encode())


def main() -> None:
    url, prefix = sys.argv[1:]
    store = Store.open(url, RULES)
    with ThreadPoolExecutor(THREADS) as pool:
        for thread in range(THREADS):
            pool.submit(report, store, f"{prefix}-{thread}").add_done_callback(lambda done: done.result())


if __name__ == "__main__":
    main()

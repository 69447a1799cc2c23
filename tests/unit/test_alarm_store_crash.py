"""kill -9 of a process that writes into the store: what it acknowledged is there, and everything fits together."""

import os
import random
import subprocess
import sys
from pathlib import Path

from alarm_store_tools import RULES, active, alarm, past
from sqlalchemy import select

from vimha.alarms.store.schema import ALARM, ENTRY, SEEN
from vimha.alarms.store.store import Store
from vimha.alarms.store.writing import digest

WRITER = Path(__file__).parents[1] / "alarm_store_writer.py"
ROUNDS = 4


def written(url: str, prefix: str, enough: int) -> list[list[str]]:
    """Run the writer, kill it once it acknowledged `enough` events; those that it did: id, object, severity."""
    process = subprocess.Popen([sys.executable, str(WRITER), url, prefix], stdout=subprocess.PIPE)
    assert process.stdout is not None
    got = b""
    while got.count(b"\n") < enough:
        chunk = os.read(process.stdout.fileno(), 65536)
        assert chunk, "the writer ended by itself"
        got += chunk
    process.kill()
    got += process.stdout.read()
    process.wait()
    process.stdout.close()
    return [line.split("\t") for line in got.decode().splitlines()]


def test_kill_9_loses_nothing_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/alarms.db"
    draw = random.Random(7)  # noqa: S311
    acknowledged = []
    for index in range(ROUNDS):
        acknowledged += written(url, f"r{index}", draw.randrange(1, 600))
        store = Store.open(url, RULES)
        try:
            check(store, acknowledged)
        finally:
            store.close()


def check(store: Store, acknowledged: list[list[str]]) -> None:
    with store._database.reading() as connection:
        seen = set(connection.execute(select(SEEN.c.id)).scalars())
        entries = set(connection.execute(select(ENTRY.c.alarm_id).where(ENTRY.c.alarm_id.is_not(None))).scalars())
        alarms = set(connection.execute(select(ALARM.c.id)).scalars())
    assert {digest(name) for name, *_ in acknowledged} <= seen
    assert entries == alarms
    notices = store.notices(0, 1_000_000)
    assert [notice.sequence for notice in notices] == list(range(1, store.head() + 1))
    last = {notice.alarm_id: alarm(notice) for notice in notices}
    kept = {one.id: one for one in [*active(store), *past(store)]}
    assert kept.keys() == last.keys()
    assert all(kept[name].severity is last[name].severity for name in kept)
    raised = {what for _, what, severity in acknowledged if severity != "CLEARED"}
    assert raised <= {one.managed_object for one in kept.values()}

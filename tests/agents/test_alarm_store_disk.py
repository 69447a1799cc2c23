"""The store of alarms on SQLite whose disk is full: it says so, keeps what it has, goes on when there is room."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alarm_store_tools import RULES, active, event
from small_disk import fill, small_disk

from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.store import Store

pytestmark = pytest.mark.agents


@pytest.fixture
def folder(root_user: None, tmp_path: Path) -> Iterator[Path]:
    """The root of a file system of 16 MiB."""
    made = tmp_path / "disk"
    made.mkdir()
    with small_disk(made, 16, "root"):
        yield made


def test_a_full_disk_is_told_and_what_was_acknowledged_stays(folder: Path) -> None:
    store = Store.open(f"sqlite:///{folder}/alarms.db", RULES)
    try:
        store.submit([event("1")]).result()
        filler = fill(folder, leave_mib=1)
        done = 0
        with pytest.raises(StoreError, match="full"):
            for done in range(10_000):
                store.submit([event(f"{done} {each}", f"vm/{done} {each}") for each in range(20)]).result(30)
        assert "full" in store.health()
        kept = {alarm.managed_object for alarm in active(store)}
        assert kept >= {"vm/1", *(f"vm/{batch} {each}" for batch in range(done) for each in range(20))}
        assert not any(name.startswith(f"vm/{done} ") for name in kept)
        filler.unlink()
        assert store.submit([event("later", "vm/later")]).result(30) == 1
        assert store.health() == ""
        assert [notice.sequence for notice in store.notices(0, 100_000)] == list(range(1, store.head() + 1))
        assert store.head() == len(kept) + 1
    finally:
        store.close()

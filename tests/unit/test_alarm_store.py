"""The store of alarms on SQLite."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from alarm_store_cases import RULES, Ageing, Alarms, Clock, NewStore, Tables, Telling, raised

from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.store import Store


@pytest.fixture
def new_store(tmp_path: Path) -> Iterator[NewStore]:
    opened: list[Store] = []

    def new(clock: Clock | None = None) -> Store:
        opened.append(Store.open(f"sqlite:///{tmp_path}/alarms.db", RULES, clock=clock or Clock()))
        return opened[-1]

    yield new
    for store in opened:
        store.close()


class TestAlarms(Alarms):
    pass


class TestTelling(Telling):
    pass


class TestAgeing(Ageing):
    pass


class TestTables(Tables):
    pass


def test_its_files_are_for_its_user_alone(new_store: NewStore, tmp_path: Path) -> None:
    raised(new_store())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(modes, 0o600)
    assert "alarms.db" in modes


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        Store.open(f"sqlite:///{tmp_path}/none/alarms.db")

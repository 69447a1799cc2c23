"""A service whose database is not there yet: it lives, says why it does not work, and works once the database is."""

import threading
from collections.abc import Callable
from pathlib import Path

import alarm_service
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from vimha.alarms.service.app import make_app
from vimha.alarms.service.late import Late
from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.store import Store
from vimha.errors import UsageError


class Door:
    """Opens a store once it is let."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/alarms.db"
        self.free = threading.Event()
        self.asked = threading.Event()

    def open(self) -> Store:
        if not self.free.is_set():
            self.asked.set()
            raise StoreError("the store does not answer: nobody is there")
        return Store.open(self.url)


def late(folder: Path, door: Door, failures: list[Exception], make: Callable[[Store], FastAPI] | None = None) -> Late:
    settings = alarm_service.settings(folder)
    return Late(door.open, make or (lambda store: make_app(store, settings)), failures.append)


def test_it_says_what_it_waits_for_and_works_once_it_is_there(tmp_path: Path) -> None:
    door, failures = Door(tmp_path), []
    with TestClient(late(tmp_path, door, failures)) as client:
        assert door.asked.wait(10)
        assert client.get("/livez").status_code == 200
        for path in ("/healthz", "/vimfm/v1/alarms"):
            answer = client.get(path)
            assert answer.status_code == 503
            assert "the store" in answer.json()["detail"]
            assert answer.headers["Retry-After"] == "1"
        door.free.set()
        while client.get("/healthz").status_code == 503:
            pass
        assert client.get("/livez").status_code == 200
        assert client.get("/vimfm/v1/alarms").status_code == 401
    assert failures == []


def test_it_ends_while_it_waits(tmp_path: Path) -> None:
    door = Door(tmp_path)
    with TestClient(late(tmp_path, door, [])) as client:
        assert door.asked.wait(10)
        assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("error", [UsageError("a file cannot be read"), RuntimeError("a defect")])
def test_what_no_second_attempt_mends_is_told(tmp_path: Path, error: Exception) -> None:
    door, failures, told = Door(tmp_path), [], threading.Event()
    door.free.set()

    def make(store: Store) -> FastAPI:
        raise error

    app = Late(door.open, make, lambda said: (failures.append(said), told.set()))
    with TestClient(app) as client:
        assert told.wait(10)
        assert client.get("/livez").status_code == 200
    assert failures == [error]

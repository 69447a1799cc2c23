"""vimha/lab/remains: which labs are leftovers, and whose."""

import json
import os
from pathlib import Path

import pytest

from vimha.errors import UsageError, VimhaError
from vimha.lab import remains
from vimha.lab.labs import Lab
from vimha.lab.machines import start_time


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host without labs, whose kernel shows none either."""
    monkeypatch.setattr(remains, "STATE", tmp_path / "run")
    monkeypatch.setattr(remains, "DISKS", tmp_path / "lib")
    monkeypatch.setattr(remains, "NETNS", tmp_path / "netns")
    return tmp_path


def lab(name: str, **record: object) -> None:
    place = remains.record(name)
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"ready": True, "owner": None, **record}))


@pytest.mark.parametrize("name", ["", "Lab", "a-b", "1st", "a" * 13, "../etc", "a.b"])
def test_a_name_that_could_mislead_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        remains.check_name(name)


def test_a_lab_that_is_up_is_nobodys_leftover(host: Path) -> None:
    lab("one")
    assert remains.sweep() == ()
    assert remains.names() == ("one",)


def test_a_lab_that_never_came_up_is_removed(host: Path) -> None:
    lab("half", ready=False)
    assert remains.sweep() == ("half",)
    assert remains.names() == ()


def test_disks_that_a_reboot_left_are_removed(host: Path) -> None:
    (host / "lib" / "old" / "control-1").mkdir(parents=True)
    assert remains.sweep() == ("old",)
    assert not (host / "lib" / "old").exists()


def test_a_broken_record_is_a_leftover(host: Path) -> None:
    lab("broken")
    remains.record("broken").write_text("{")
    assert remains.is_leftover("broken")


def test_a_lab_for_one_run_lives_as_long_as_the_run(host: Path) -> None:
    me = {"pid": os.getpid(), "start": start_time(os.getpid())}
    lab("mine", owner=me)
    lab("gone", owner={**me, "start": me["start"] - 1})
    assert remains.sweep() == ("gone",)


def test_a_lab_that_another_run_is_busy_with_is_left_alone(host: Path) -> None:
    lab("busy", ready=False)
    with remains.locked("busy"):
        assert remains.sweep() == ()
        with pytest.raises(remains.BusyError, match="another run"), remains.locked("busy"):
            pass
    assert remains.sweep() == ("busy",)


def test_a_failure_to_remove_is_told(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise VimhaError(f"{name} stays")

    lab("stuck", ready=False)
    monkeypatch.setattr(remains, "teardown", fail)
    with pytest.raises(VimhaError, match="stuck stays"):
        remains.sweep()


def test_a_lab_of_another_version_is_told_of(host: Path) -> None:
    lab("old", site={"knob": "of another version"})
    with pytest.raises(VimhaError, match="lab old was made by another version of vimha") as caught:
        Lab.open("old")
    assert "vimha lab down --all" in caught.value.remedy

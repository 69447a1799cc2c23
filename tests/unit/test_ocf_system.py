"""The agents' door to the real host: commands with time-outs, daemons in their own session, files by rename."""

import os
import time
from pathlib import Path

import pytest

from resource_agents.ocf.process import parse_stat
from resource_agents.ocf.system import KILL, System

HOST = System()


def test_a_command_gives_code_and_all_of_its_words() -> None:
    code, text = HOST.run(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], 5)
    assert (code, text) == (3, "out\nerr\n")


def test_a_long_answer_is_read_to_its_end() -> None:
    code, text = HOST.run(["/bin/sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x; exit 0"], 10)
    assert (code, len(text)) == (0, 300000)


def test_a_command_inherits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCF_RESKEY_secret", "x")
    assert HOST.run(["/usr/bin/env"], 5)[1].splitlines() == ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]


def test_a_command_that_overruns_is_killed() -> None:
    begun = time.monotonic()
    code, text = HOST.run(["/bin/sh", "-c", "echo begun; exec sleep 30"], 0.2)
    assert (code, text) == (-1, "begun\nno end within 0.2 s")
    assert time.monotonic() - begun < 2


def test_a_command_ends_when_it_ends_though_a_child_keeps_its_output() -> None:
    begun = time.monotonic()
    code, text = HOST.run(["/bin/sh", "-c", "sleep 3 & echo done"], 10)
    assert (code, text) == (0, "done\n")
    assert time.monotonic() - begun < 2


def test_a_missing_command_is_told() -> None:
    assert HOST.run(["/nowhere/at/all"], 1) == (127, "/nowhere/at/all: No such file or directory")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_is_left_open() -> None:
    before = open_files()
    HOST.run(["/bin/true"], 5)
    HOST.run(["/nowhere"], 5)
    HOST.run(["/bin/sleep", "9"], 0.05)
    assert open_files() == before


def test_a_daemon_is_its_own_session_and_writes_to_its_file(tmp_path: Path) -> None:
    output = tmp_path / "run" / "it.out"
    pid = HOST.spawn(["/bin/sh", "-c", "echo here; exec sleep 30"], "", str(output))
    try:
        for _ in range(100):
            if output.read_text() == "here\n":
                break
            time.sleep(0.02)
        process = parse_stat(HOST.read(f"/proc/{pid}/stat") or "")
        assert process is not None
        assert process.session == pid
        assert output.read_text() == "here\n"
    finally:
        os.kill(pid, KILL)
        os.waitpid(pid, 0)


def test_a_daemon_that_cannot_start_leaves_the_cause(tmp_path: Path) -> None:
    output = tmp_path / "it.out"
    pid = HOST.spawn(["/nowhere"], "", str(output))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 127
    assert "No such file" in output.read_text()


def test_a_file_is_replaced_not_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    HOST.write(str(path), "one")
    with path.open() as reader:
        HOST.write(str(path), "two")
        assert reader.read() == "one"
    assert path.read_text() == "two"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_what_is_not_there_is_nothing_not_an_error(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    HOST.remove(missing)
    HOST.signal(2**22 - 1, 0)
    assert (HOST.read(missing), HOST.names(missing), HOST.link(missing), HOST.age(missing)) == (None, [], "", None)
    assert not HOST.executable(missing)
    assert not HOST.user_exists("nobody-at-all")

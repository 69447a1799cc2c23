"""Finding and ending daemons: stale pid files, reused pids, lost pid files, frozen and deathless processes."""

from pathlib import Path

import pytest
from fake_host import FakeHost
from hypothesis import given
from hypothesis import strategies as st

from resource_agents.ocf.agent import Deadline, OcfError
from resource_agents.ocf.process import Daemon, parse_stat
from resource_agents.ocf.system import KILL, TERM

ARGV = ["/usr/sbin/thing", "-f", "/etc/thing.cfg"]
PID_FILE = "/run/vimha/thing.pid"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


@pytest.fixture
def daemon(host: FakeHost) -> Daemon:
    return Daemon(host, ARGV, PID_FILE)


def found(daemon: Daemon) -> int:
    process = daemon.find()
    return process.pid if process else 0


@given(st.text(max_size=200))
def test_no_stat_text_breaks_the_parser(text: str) -> None:
    parse_stat(text)


@given(st.text(st.characters(exclude_characters="\n\0"), max_size=15), st.integers(1, 4_000_000))
def test_a_name_may_hold_anything(name: str, ticks: int) -> None:
    process = parse_stat(f"42 ({name}) T 1 42 41 {'0 ' * 15}{ticks} 0\n")
    assert process is not None
    assert (process.pid, process.state, process.session, process.ticks) == (42, "T", 41, ticks)
    assert process.frozen


def test_a_zombie_is_not_alive() -> None:
    assert parse_stat(f"42 (x) Z 1 42 42 {'0 ' * 15}7 0") is None


def test_nothing_runs(daemon: Daemon) -> None:
    assert found(daemon) == 0


def test_known_by_pid_and_start_time(host: FakeHost, daemon: Daemon) -> None:
    host.put_process(50, ["/other", "command"], ticks=777)
    daemon.record(50)
    assert Path(host.root + PID_FILE).read_text() == "50\n777\n"
    assert found(daemon) == 50


def test_a_reused_pid_is_a_stranger_and_is_not_killed(host: FakeHost, daemon: Daemon) -> None:
    host.put(PID_FILE, "50\n777\n")
    host.put_process(50, ["/usr/bin/innocent"], ticks=90000)
    assert found(daemon) == 0
    daemon.stop(1.0, Deadline(5, host.monotonic))
    assert host.signals == []
    assert not Path(host.root + PID_FILE).exists()


def test_a_pid_file_without_start_time_needs_our_command(host: FakeHost, daemon: Daemon) -> None:
    host.put(PID_FILE, "50\n")
    host.put_process(50, ["/usr/bin/innocent"])
    assert found(daemon) == 0
    host.put_process(50, ARGV)
    assert found(daemon) == 50


@pytest.mark.parametrize("text", ["", "garbage\n", "-5\n", "0\n", "٣\n", "50 x\n"])
def test_a_spoilt_pid_file_does_not_hide_the_daemon(host: FakeHost, daemon: Daemon, text: str) -> None:
    host.put(PID_FILE, text)
    host.put_process(60, ["/usr/bin/python3", *ARGV])
    assert found(daemon) == 60


@pytest.mark.parametrize(
    ("argv", "netns"), [(ARGV[:-1], 1), ([*ARGV, "-x"], 1), (ARGV, 2)], ids=["less", "more", "in a container"]
)
def test_the_same_program_is_not_our_daemon(host: FakeHost, daemon: Daemon, argv: list[str], netns: int) -> None:
    host.put_process(60, argv, netns=netns)
    assert found(daemon) == 0


def test_a_worker_left_alone_is_not_the_daemon_but_is_ended(host: FakeHost, daemon: Daemon) -> None:
    host.put(PID_FILE, "50\n777\n")
    host.put_process(51, ARGV, session=50, ticks=778)
    host.on_signal = lambda pid, number: host.end_process(pid)
    assert found(daemon) == 0
    daemon.stop(1.0, Deadline(5, host.monotonic))
    assert host.signals == [(51, TERM)]


def test_stop_takes_the_whole_session(host: FakeHost, daemon: Daemon) -> None:
    host.put_process(50, ARGV, ticks=777)
    daemon.record(50)
    host.put_process(51, ["/usr/bin/helper"], session=50, ticks=800)
    host.put_process(52, ["/usr/bin/innocent"], ticks=800)
    host.on_signal = lambda pid, number: host.end_process(pid)
    daemon.stop(1.0, Deadline(5, host.monotonic))
    assert sorted(host.signals) == [(50, TERM), (51, TERM)]


def test_who_ignores_term_is_killed_after_the_grace(host: FakeHost, daemon: Daemon) -> None:
    host.put_process(50, ARGV)
    daemon.record(50)
    host.on_signal = lambda pid, number: host.end_process(pid) if number == KILL else None
    daemon.stop(1.0, Deadline(10, host.monotonic))
    assert host.signals == [(50, TERM), (50, KILL)]
    assert host.now == pytest.approx(101.0, abs=0.1)


def test_the_grace_never_eats_the_deadline(host: FakeHost, daemon: Daemon) -> None:
    host.put_process(50, ARGV)
    daemon.record(50)
    host.on_signal = lambda pid, number: host.end_process(pid) if number == KILL else None
    daemon.stop(60.0, Deadline(2, host.monotonic))
    assert host.now < 101.5


def test_a_frozen_one_is_killed_at_once(host: FakeHost, daemon: Daemon) -> None:
    host.put_process(50, ARGV, state="T")
    daemon.record(50)
    host.on_signal = lambda pid, number: host.end_process(pid) if number == KILL else None
    daemon.stop(5.0, Deadline(10, host.monotonic))
    assert host.signals == [(50, KILL)]
    assert host.now == 100.0


def test_a_child_forked_while_its_parent_is_killed_is_ended_too(host: FakeHost, daemon: Daemon) -> None:
    host.put_process(50, ARGV)
    daemon.record(50)

    def forks(pid: int, number: int) -> None:
        if number == KILL:
            host.end_process(pid)
            if pid == 50:
                host.put_process(51, ARGV, session=50, state="R")

    host.on_signal = forks
    daemon.stop(1.0, Deadline(10, host.monotonic))
    assert host.signals == [(50, TERM), (50, KILL), (51, KILL)]


def test_who_outlives_sigkill_fails_the_stop(host: FakeHost, daemon: Daemon) -> None:
    host.put_process(50, ARGV, state="D")
    daemon.record(50)
    with pytest.raises(OcfError, match=r"process 50 \(state D\) outlives SIGKILL"):
        daemon.stop(1.0, Deadline(3, host.monotonic))
    assert Path(host.root + PID_FILE).exists()
    assert host.now == pytest.approx(103.0, abs=0.1)

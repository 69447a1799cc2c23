"""A daemon that an agent starts itself: found again, whatever happened to it, and stopped for certain.

Invariant: a signal goes only to a process that is proved to be this daemon's: same pid and start time as when it was
started, or the very argument vector that we start it with, in our own pid and network namespaces. So neither a stale
pid file, nor a reused pid, nor the same daemon in a container on this host is taken for it.
"""

import os
from _collections_abc import Callable, Sequence

from resource_agents.ocf.agent import GENERIC, Deadline, OcfError
from resource_agents.ocf.system import KILL, TERM, System

POLL_S = 0.02
GONE_S = 1.0
"""How long `kill_named` waits; what SIGKILL does not end runs none of our code again."""
KILLED_POLL_S = 0.005
"""How often it looks: starts and stops, and so a failover, wait for it."""
GONE = "gone"
ALIVE = "alive"
FROZEN = "frozen"


class Process:
    """What /proc/PID/stat says: `state` is its letter, `ticks` the start time since boot, `session` its leader."""

    __slots__ = ("pid", "session", "state", "ticks")

    def __init__(self, pid: int, state: str, session: int, ticks: int) -> None:
        self.pid = pid
        self.state = state
        self.session = session
        self.ticks = ticks

    @property
    def frozen(self) -> bool:
        """Stopped by a signal or a tracer: it lives, but serves nobody, and takes no TERM."""
        return self.state in ("T", "t")


def parse_stat(text: str) -> Process | None:
    """/proc/PID/stat as a Process; None for a zombie, or for a text that is none.

    The name between the parentheses may hold anything, spaces and parentheses too (proc(5)).
    """
    fields = text.rpartition(")")[2].split()
    try:
        pid, state, session, ticks = int(text.partition(" ")[0]), fields[0], int(fields[3]), int(fields[19])
    except (IndexError, ValueError):
        return None
    return None if state in ("Z", "X", "x") else Process(pid, state, session, ticks)


def named(system: System, words: Sequence[str]) -> Process | None:
    """The living process of which `words` are pid and start time, in ticks since boot."""
    if len(words) != 2 or not words[0].isdecimal():
        return None
    process = parse_stat(system.read(f"/proc/{words[0]}/stat") or "")
    return process if process and str(process.ticks) == words[1] else None


def kill_named(system: System, words: Sequence[str]) -> None:
    """SIGKILL to the process that `words` name, if it lives; it is gone when this returns."""
    if process := named(system, words):
        system.signal(process.pid, KILL)
        until = system.monotonic() + GONE_S
        while named(system, words) and system.monotonic() < until:
            system.sleep(KILLED_POLL_S)


class Daemon:
    """The daemon that `argv` starts, known by the file `pid_file`: its pid, and on a second line its start time."""

    def __init__(self, system: System, argv: Sequence[str], pid_file: str) -> None:
        self._system = system
        self._argv = list(argv)
        self._pid_file = pid_file

    def find(self) -> Process | None:
        """The living main process; None when there is none."""
        pid, ticks = self._recorded()
        process = self._look(pid) if pid else None
        if process and (process.ticks == ticks or (not ticks and self._ours(process))):
            return process
        return next((other for other in self._all() if other.pid == other.session and self._ours(other)), None)

    def state(self) -> str:
        """GONE, ALIVE, or FROZEN: alive, but stopped by a signal."""
        process = self.find()
        if process is None:
            return GONE
        return FROZEN if process.frozen else ALIVE

    def record(self, pid: int) -> None:
        """Write the pid file for `pid`, so that it is known from any later process of the same number."""
        process = self._look(pid)
        if process:
            self._system.write(self._pid_file, f"{pid}\n{process.ticks}\n")

    def reported(self) -> int:
        """The pid in the pid file, 0 when there is none."""
        return self._recorded()[0]

    def stop(self, grace_s: float, deadline: Deadline) -> None:
        """End the daemon and all of its session: TERM, after `grace_s` KILL; a frozen one is killed at once.
        A child that is forked between a look and its signal is found by the next look.

        Returns when nothing of it is left; OcfError(GENERIC) when something still is at the deadline.
        """
        left = self._family()
        if left and not any(process.frozen for process in left):
            left = self._end(left, TERM, deadline.sooner(min(grace_s, deadline.left() / 2)))
        while left and deadline.left():
            left = self._end(left, KILL, deadline)
        if left:
            raise OcfError(
                GENERIC, f"process {left[0].pid} (state {left[0].state}) outlives SIGKILL: see its node's kernel log"
            )
        self._system.remove(self._pid_file)

    def _end(self, processes: list[Process], number: int, deadline: Deadline) -> list[Process]:
        for process in processes:
            self._system.signal(process.pid, number)
        while processes := [process for process in processes if self._alive(process)]:
            if not deadline.left():
                return processes
            self._system.sleep(POLL_S)
        return self._family()

    def _alive(self, process: Process) -> bool:
        self._system.reap(process.pid)
        now = self._look(process.pid)
        return now is not None and now.ticks == process.ticks

    def _family(self) -> list[Process]:
        """All that must go: the session that the pid file names, and whoever runs our argument vector."""
        pid, ticks = self._recorded()
        leader = self._look(pid) if pid else None
        reused = leader is not None and ticks not in (0, leader.ticks)
        known = 0 if reused or (not ticks and not (leader and self._ours(leader))) else pid
        return [
            process
            for process in self._all()
            if (known and process.session == known and process.ticks >= ticks) or self._ours(process)
        ]

    def _recorded(self) -> tuple[int, int]:
        words = (self._system.read(self._pid_file) or "").split()
        numbers = [int(word) for word in words[:2] if word.isascii() and word.isdecimal()]
        pid, ticks, *_ = [*numbers, 0, 0]
        return pid, ticks

    def _look(self, pid: int) -> Process | None:
        return parse_stat(self._system.read(f"/proc/{pid}/stat") or "")

    def _all(self) -> list[Process]:
        seen = [self._look(int(name)) for name in self._system.names("/proc") if name.isdecimal()]
        return [process for process in seen if process]

    def _ours(self, process: Process) -> bool:
        """True when the process runs our argument vector (an interpreter may stand before it), in our namespaces."""
        arguments = (self._system.read(f"/proc/{process.pid}/cmdline") or "").split("\0")[:-1]
        if arguments[-len(self._argv) :] != self._argv:
            return False
        return all(
            self._system.link(f"/proc/{process.pid}/ns/{kind}") == self._system.link(f"/proc/self/ns/{kind}")
            for kind in ("pid", "net")
        )


def leave(work: Callable[[], None]) -> int:
    """Fork a process that does `work` and lives on when this action ends; returns its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            work()
        finally:
            os._exit(0)
    return pid

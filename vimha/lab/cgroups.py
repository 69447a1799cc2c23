"""The control groups that hold a lab machine's processes: listing, freezing and killing them all, and dealing out CPU.

Invariant: a machine has groups of its own in every hierarchy that systemd or the freezer uses; two machines that
shared one would have their systemds kill each other's services. Control groups v1, v2 and both (hybrid) serve.

On v1 and hybrid hosts every machine has the same share of the CPU, whatever it runs: without, one that boots twenty
services takes twenty times what the others' busiest one gets (the kernel shares by session, sched(7), "autogroup").
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vimha.errors import VimhaError

ROOT = Path("/sys/fs/cgroup")
TREE = "vimha-lab"
_V1 = ("freezer", "systemd", "unified", "cpu")
"""The hierarchies that matter on a v1 or hybrid host: v1's freezer, systemd's own, v2's beside them, v1's for CPU."""
_SHARE = 2048
"""A machine's cpu.shares: twice what the kernel gives to one session of this host, a probe's or a test's."""
_REALTIME_US = 150_000
"""What of each second a machine may use of each core at real-time priority, on kernels that want to be told
(CONFIG_RT_GROUP_SCHED): twice what corosync needs (5-7 % of a core)."""
_MOST = 6
"""So many machines have room beside each other in the 95 % of a core that the kernel gives to real-time at most."""
FREEZE_S = 2.0
_POLL_S = 0.002


@dataclass(frozen=True)
class Group:
    """The control groups of `path` (LAB or LAB/NODE), one folder per hierarchy."""

    path: str
    root: Path = ROOT

    @property
    def is_v2(self) -> bool:
        """Is this host on control groups v2 alone?"""
        return (self.root / "cgroup.controllers").exists()

    def folders(self) -> tuple[Path, ...]:
        """The group's folder in each hierarchy, whether it exists or not."""
        if self.is_v2:
            return (self.root / TREE / self.path,)
        return tuple(self.root / name / TREE / self.path for name in _V1 if (self.root / name).is_dir())

    def make(self, machines: int) -> tuple[str, ...]:
        """Make the group of one of its lab's `machines`; returns the folders that it is to join, for launch.py."""
        joined = []
        for folder in self.folders():
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "cpu.shares").exists() or _deal_out(folder, machines):
                joined.append(str(folder))
        return tuple(joined)

    def pids(self) -> tuple[int, ...]:
        """The processes in the group and the groups below it, by this host's numbers, oldest first."""
        found: set[int] = set()
        for listing in self.folders()[0].rglob("cgroup.procs"):
            with suppress(OSError):  # a group that ends meanwhile
                found.update(int(pid) for pid in listing.read_text().split())
        return tuple(sorted(found - {0}))

    def running(self) -> tuple[int, ...]:
        """Those of `pids` that can still execute an instruction: a dying process has given its memory back long before
        the kernel has taken its namespaces apart (20 ms against 100 for a machine's init)."""
        return tuple(pid for pid in self.pids() if has_memory(pid))

    def freeze(self) -> None:
        """Stop every process of the group, without a signal that they could see; VimhaError after 2 s."""
        self._switch(frozen=True)

    def thaw(self) -> None:
        """Let the group's processes run on; nothing happens to one that is not frozen."""
        self._switch(frozen=False)

    def kill(self) -> None:
        """SIGKILL to every process of the group, frozen ones too: these die before they run another instruction."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.thaw()

    def remove(self) -> None:
        """Remove the group's folders, from the bottom up; those that still have a process stay."""
        for folder in self.folders():
            for below in (*sorted(_folders(folder), reverse=True), folder):
                with suppress(OSError):
                    below.rmdir()

    def _switch(self, *, frozen: bool) -> None:
        folder = self.folders()[0]
        if not folder.is_dir():
            return
        end = time.monotonic() + FREEZE_S
        if self.is_v2:
            (folder / "cgroup.freeze").write_text("1" if frozen else "0")
        else:
            (folder / "freezer.state").write_text("FROZEN" if frozen else "THAWED")
        while self._is_frozen(folder) is not frozen:
            if time.monotonic() > end:
                raise VimhaError(f"{folder} does not {'freeze' if frozen else 'thaw'} within {FREEZE_S:g} s")
            time.sleep(_POLL_S)

    def _is_frozen(self, folder: Path) -> bool:
        if self.is_v2:
            return "frozen 1" in (folder / "cgroup.events").read_text().splitlines()
        return (folder / "freezer.state").read_text().strip() == "FROZEN"


def _deal_out(machine: Path, machines: int) -> bool:
    """Give the group `machine` its share of the CPU; False when there is no real-time left for it: then it is better
    off in no group, for corosync needs that more than its machine needs a share.
    """
    try:
        for folder, of in ((machine.parents[1], _MOST), (machine.parent, machines), (machine, 1)):
            (folder / "cpu.shares").write_text(str(_SHARE * of))
            realtime = folder / "cpu.rt_runtime_us"
            if realtime.exists():
                realtime.write_text(str(_REALTIME_US * of))
    except OSError:
        return False
    return True


def has_memory(pid: int) -> bool:
    """Whether process `pid` exists and still has an address space (proc(5): statm is all zero without one)."""
    try:
        return Path(f"/proc/{pid}/statm").read_text().split()[0] != "0"
    except OSError:
        return False


def _folders(top: Path) -> Iterator[Path]:
    return (path for path in top.rglob("*") if path.is_dir())

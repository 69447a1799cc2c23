"""What labs leave on this host: finding it, and removing it without a trace.

Invariant: removal works from what the kernel and the disk show, not from what a run remembered, so that it serves a
clean `down`, a Ctrl-C half way through `up`, a killed run and a rebooted host alike; and it touches only what carries
the lab's name.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vimha.errors import UsageError, VimhaError
from vimha.lab.cgroups import Group
from vimha.lab.image import mounts_below
from vimha.lab.machines import start_time
from vimha.lab.network import NETNS, delete_all
from vimha.process import run

STATE = Path("/run/vimha-lab")
DISKS = Path("/var/lib/vimha-lab")
DAEMONS = ("vimha.lab.bmc", "vimha.lab.switch")
DEATH_S = 10.0
_POLL_S = 0.01
_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")


class BusyError(VimhaError):
    """Another run is at work on the lab."""


def check_name(name: str) -> None:
    """UsageError unless `name` can name a lab: a dash would make vh-LAB-NODE ambiguous."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a lab", "Use 1 to 12 lower-case letters and digits, a letter first.")


def names() -> tuple[str, ...]:
    """Every lab that has something on this host, complete or not."""
    folders = [folder for folder in (STATE, DISKS) if folder.is_dir()]
    try:
        found = {path.name for folder in folders for path in folder.iterdir() if path.is_dir()}
    except PermissionError:
        raise VimhaError("labs can only be used by root", "Run it with sudo.") from None
    return tuple(sorted(name for name in found if _NAME.fullmatch(name)))


def record(name: str) -> Path:
    """The file in which a lab says what it is."""
    return STATE / name / "lab.json"


def is_leftover(name: str) -> bool:
    """Whether nobody stands behind a lab: it never came up, or the run that it was for has ended."""
    try:
        data = json.loads(record(name).read_text())
    except (OSError, ValueError):
        return True
    owner = data.get("owner")
    return not data["ready"] or bool(owner and start_time(owner["pid"]) != owner["start"])


def sweep() -> tuple[str, ...]:
    """Remove every leftover that no other run is busy with; returns the names."""
    removed = []
    for name in names():
        with suppress(BusyError), locked(name):
            if is_leftover(name):
                teardown(name)
                removed.append(name)
    return tuple(removed)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Alone at work on the lab called `name`; BusyError at once when another run is."""
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (STATE / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"another run is taking lab {name} up or down", "Wait for it, or use another --name."
            ) from None
        yield


def teardown(name: str) -> None:
    """Remove all of the lab called `name`: processes, mounts, namespaces, files. May be repeated."""
    _kill(_daemons(name))
    _kill_machines(name)
    spaces = tuple(path.name for path in NETNS.glob(f"vh-{name}-*")) if NETNS.is_dir() else ()
    _kill([pid for space in spaces for pid in _inside(space)])
    for mount in sorted(mounts_below(DISKS / name), reverse=True):
        run(["umount", "--lazy", mount])
    delete_all(spaces)
    for folder in (DISKS / name, STATE / name):
        shutil.rmtree(folder, ignore_errors=True)
    _remove_group(Group(name))


def _kill_machines(name: str) -> None:
    end = time.monotonic() + DEATH_S
    top = Group(name)
    while top.running():
        for folder in top.folders()[0].iterdir():
            if folder.is_dir():
                Group(f"{name}/{folder.name}").kill()
        if time.monotonic() > end:
            raise VimhaError(f"lab {name}: processes {top.running()} survive SIGKILL for {DEATH_S:g} s")
        time.sleep(_POLL_S)


def _remove_group(group: Group) -> None:
    """Remove `group` once its dead are gone: a process that can no longer run is in it until the kernel is done."""
    end = time.monotonic() + DEATH_S
    while group.pids() and time.monotonic() < end:
        time.sleep(_POLL_S)
    group.remove()


def _daemons(name: str) -> list[int]:
    """The lab's own processes on this host: `python -m vimha.lab.bmc NAME ...` and the like."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = entry.read_text(errors="replace").split("\0")
            if any(words[i : i + 3] == ["-m", daemon, name] for daemon in DAEMONS for i in range(1, 4)):
                found.append(int(entry.parent.name))
    return found


def _inside(space: str) -> list[int]:
    return [int(word) for word in run(["ip", "netns", "pids", space]).out.split()]


def _kill(pids: list[int]) -> None:
    """SIGKILL, and wait: nothing of a lab has anything to save."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + DEATH_S
    while any(start_time(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(_POLL_S)

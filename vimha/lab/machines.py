"""A lab's machines: disks, boot, power, freezing, and commands run inside them.

Invariant: a machine that is off has no process, no interface and no namespace; `power.off` returns only then. Its disk
is an overlay on the image that survives power cycles. What a pulled plug does to a real disk's unwritten data it does
not do here: the host's page cache lives on. A volume is a file system in a file beside the overlay, mounted by this
host on the machine's root, which systemd-nspawn takes along; it stays mounted while the machine is off.
Measured on 2 cores: power off 30-80 ms, power on to an init 0.2 s, to all of userspace 1 s, a command 3-5 ms.
"""

import fcntl
import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vimha.errors import ProcessError, VimhaError
from vimha.files import write_atomic
from vimha.lab import launch
from vimha.lab.cgroups import Group
from vimha.lab.network import Network
from vimha.process import Result, checked, run, spawn

VOLUME_BYTES = 1 << 30
"""A database's own file system: the database, its write-set cache and a copy in transit take a third of it."""
DEATH_S = 5.0
INIT_S = 5.0
_POLL_S = 0.002


@dataclass(frozen=True)
class Places:
    """Where a machine's parts are on this host."""

    node: str
    disk: Path
    state: Path

    @property
    def root(self) -> Path:
        """The machine's root directory, while its disk is mounted."""
        return self.disk / "root"

    @property
    def console(self) -> Path:
        """Everything the machine wrote to its console, all boots."""
        return self.disk / "console.log"

    @property
    def supervisor(self) -> Path:
        """Who runs the machine: process id and start time of its launcher; absent while it is off."""
        return self.state / f"{self.node}.json"

    @property
    def reset(self) -> Path:
        """What a reboot does to the machine's interfaces, for `ip -batch`."""
        return self.state / f"{self.node}.ip"


class Machines:
    """The machines of one lab, by node name; implements `vimha.lab.power.Power`."""

    def __init__(self, lab: str, network: Network, disks: Path, state: Path) -> None:
        self._lab = lab
        self._network = network
        self._disks = disks
        self._state = state

    def places(self, node: str) -> Places:
        """Where `node`'s parts are; VimhaError when the lab has no such node."""
        if node not in self._network.cabling.site.nodes:
            raise VimhaError(
                f"no node {node} in lab {self._lab}", f"It has {', '.join(self._network.cabling.site.nodes)}."
            )
        return Places(node, self._disks / node, self._state)

    def insert_disk(self, node: str, layers: Sequence[Path]) -> Path:
        """Give `node` an empty overlay over `layers` (topmost first); returns its root directory."""
        places = self.places(node)
        for folder in ("upper", "work", "root"):
            (places.disk / folder).mkdir(parents=True, exist_ok=True)
        lower = ":".join(str(layer) for layer in layers)
        options = f"lowerdir={lower},upperdir={places.disk}/upper,workdir={places.disk}/work"
        checked(run(["mount", "-t", "overlay", f"vimha-lab-{self._lab}", "-o", options, str(places.root)]))
        return places.root

    def insert_volume(self, node: str, folder: str) -> None:
        """Put `folder` of `node`'s disk, with what it holds, onto a bounded file system of its own; nothing happens
        where the disk has no such folder. Without a journal: it outlives every crash of the machine, mounted. Files are
        copied with all their blocks: a redo log with holes would fail where a real one has its room.
        """
        places = self.places(node)
        place, volume, image = places.root / folder.lstrip("/"), places.disk / "volume", places.disk / "volume.img"
        if not place.is_dir():
            return
        with image.open("w") as file:
            file.truncate(VOLUME_BYTES)
        checked(run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image)]))
        volume.mkdir()
        checked(run(["mount", "-o", "loop", str(image), str(volume)]))
        (volume / "lost+found").rmdir()
        checked(run(["cp", "--archive", "--sparse=never", f"{place}/.", str(volume)]))
        checked(run(["mount", "--bind", str(volume), str(place)]))
        checked(run(["umount", str(volume)]))

    def is_on(self, node: str) -> bool:
        """Whether `node`'s machine runs, booting and frozen ones included."""
        return self._supervisor(self.places(node)) is not None

    def on(self, node: str) -> None:
        """Boot `node`; returns once it has an init, before it has booted."""
        places = self.places(node)
        with self._one_at_a_time(node):
            if self._supervisor(places) is not None:
                return
            self._network.plug(node)
            group = Group(f"{self._lab}/{node}")
            write_atomic(places.reset, "\n".join(self._network.reset_lines(node)) + "\n", 0o600)
            launcher = [sys.executable, "-IS", launch.__file__, self._network.cabling.netns(node), str(places.reset)]
            folders = group.make(len(self._network.cabling.site.nodes))
            argv = [*launcher, *folders, "--", *self._nspawn(places)]
            process = spawn(argv, log=str(places.console), env={"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"})
            identity = {"pid": process.pid, "start": start_time(process.pid)}
            write_atomic(places.supervisor, json.dumps(identity), 0o600)
            end = time.monotonic() + INIT_S
            while self._init(node) is None:
                if process.poll() is not None or time.monotonic() > end:
                    raise VimhaError(f"{node} does not boot: {_last_line(places.console)}", f"Read {places.console}.")
                time.sleep(_POLL_S)

    def off(self, node: str) -> None:
        """Pull the plug: the carrier goes first, then everything that runs, at once. VimhaError when it lives on."""
        places = self.places(node)
        with self._one_at_a_time(node):
            self._network.cut(node)
            group = Group(f"{self._lab}/{node}")
            end = time.monotonic() + DEATH_S
            while True:
                group.kill()
                if not (left := group.running()) and self._supervisor(places) is None:
                    break
                if time.monotonic() > end:
                    raise VimhaError(f"{node}: processes {left} survive the loss of power for {DEATH_S:g} s")
                time.sleep(_POLL_S)
            places.supervisor.unlink(missing_ok=True)
            self._network.abandon(node)

    def freeze(self, node: str) -> None:
        """Stop every process of `node` where it stands; its kernel still answers ARP and accepts connections."""
        self._init_or_off(node)
        Group(f"{self._lab}/{node}").freeze()

    def thaw(self, node: str) -> None:
        """Let a frozen node run on; nothing happens to one that runs or is off."""
        self.places(node)
        Group(f"{self._lab}/{node}").thaw()

    def enter(self, node: str) -> tuple[str, ...]:
        """The argument vector to put before a command that shall run inside `node`; VimhaError when it is off."""
        init = self._init_or_off(node)
        return ("nsenter", f"--target={init}", "--mount", "--uts", "--ipc", "--net", "--pid", "--")

    def run(
        self, node: str, argv: Sequence[str], *, timeout_s: float, stdin: str, env: Mapping[str, str] | None
    ) -> Result:
        """Run `argv` inside `node` as root. The time-out kills the command in the machine, not only our end of it."""
        limited = ("timeout", "--signal=KILL", f"{timeout_s:g}", *argv)
        began = time.monotonic()
        result = run([*self.enter(node), *limited], timeout_s=timeout_s + 5, stdin=stdin, env=env)
        if result.code == -signal.SIGKILL and time.monotonic() - began >= timeout_s:
            raise ProcessError(f"{argv[0]}: no answer within {timeout_s:g} s on {node}")
        return Result(tuple(argv), result.code, result.out, result.err)

    def _nspawn(self, places: Places) -> list[str]:
        return [
            "systemd-nspawn", "--quiet", f"--directory={places.root}", f"--machine={self._lab}-{places.node}",
            f"--hostname={places.node}", "--boot", "--register=no", "--keep-unit", "--settings=no",
            f"--network-namespace-path=/run/netns/{self._network.cabling.netns(places.node)}", "--capability=all",
            "--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=read-only",
        ]  # fmt: skip

    def _supervisor(self, places: Places) -> int | None:
        """The id of the live launcher of a machine."""
        try:
            data = json.loads(places.supervisor.read_text())
        except FileNotFoundError:
            return None
        return data["pid"] if start_time(data["pid"]) == data["start"] else None

    def _init(self, node: str) -> int | None:
        """The machine's init by this host's numbers: the process that is number 1 in its own namespace."""
        return next((pid for pid in Group(f"{self._lab}/{node}").running() if _is_init(pid)), None)

    def _init_or_off(self, node: str) -> int:
        """The machine's init; a machine that has power is waited for until it has one."""
        places, end = self.places(node), time.monotonic() + INIT_S
        while (init := self._init(node)) is None:
            if self._supervisor(places) is None or time.monotonic() > end:
                raise VimhaError(f"{node} is off", f"vimha lab power on {node} --lab {self._lab}")
            time.sleep(_POLL_S)
        return init

    @contextmanager
    def _one_at_a_time(self, node: str) -> Iterator[None]:
        """Power changes of one node, from any process, one after the other."""
        with (self._state / f"{node}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def start_time(pid: int) -> int:
    """When process `pid` started (clock ticks since boot, proc(5)), 0 when it is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def _is_init(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    numbers = next((line.split()[1:] for line in status if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1"


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it left no message")

"""Standing looks: a process that repeats a monitor, so that most of Pacemaker's cost a shell's start, not python's.

A recurring monitor that ended well leaves it behind. After each look of its own that ended well too it writes a
verdict, and the agent's launcher (vimha/render/agents.py) answers Pacemaker from that until it expires; then, and for
everything else, the launcher starts the agent itself.

Invariant: a verdict says only that a look ended well (0) which was begun less than an interval and SLACK_S ago, and
that the service's process lives. A look that fails, is degraded or hangs leaves none that is valid, and whoever asks
looks for himself, with a time-out of his own; the end of the service's process is heard of at once (pidfd), not at the
next look. A start or a stop ends the looks and removes the verdict before anything else. There is one process of looks
for each resource: the verdict names it, and another one ends by itself.
"""

import _signal  # type: ignore[import-not-found]
import os
import sys
from _collections_abc import Callable, Mapping, Sequence

from resource_agents.ocf.process import Process, kill_named, leave, parse_stat
from resource_agents.ocf.system import System

FOLDER = "/run/vimha/standing"
NAME = "vimha-looks"
"""What ps shows; not the daemon's name, by which others may look for the daemon."""
SLACK_S = 0.1
"""How much later than an interval after the look before a look may end, until its verdict has expired."""
QUIET_S = 20.0
"""So long after the launcher last asked, the process ends."""
LONGEST_S = 10.0
"""A monitor that runs less often is cheap, and is left to itself."""
CODE_S = 5.0
"""How often it is made sure that the agent's code is still what is installed: 36 files."""
HUNG_S = 60
"""A look that takes so long is ended by SIGALRM."""


def period(env: Mapping[str, str], least_s: float) -> float:
    """Seconds between two looks for the monitor with the environment `env`, `least_s` at least; 0: it needs none."""
    text = env.get("OCF_RESKEY_CRM_meta_interval", "")
    interval_s = int(text) / 1000 if text.isascii() and text.isdecimal() else 0.0
    wanted = 0 < interval_s <= LONGEST_S and env.get("OCF_CHECK_LEVEL", "0") in ("", "0")
    return max(interval_s, least_s) if wanted and _name(env) else 0.0


def end(env: Mapping[str, str], system: System) -> None:
    """No process looks at this resource any more when this returns, and there is no verdict; one that cannot be removed
    expires.
    """
    if not _name(env):
        return
    file = _file(env)
    kill_named(system, (system.read(file) or "").split()[1:])
    try:
        system.remove(file)
        system.remove(_asked(file))
    except OSError:
        return


def begin(
    env: Mapping[str, str], system: System, every_s: float, begun: float, look: Callable[[], int], *, main_pid: int
) -> None:
    """Leave a process that does `look`, which returns an OCF exit code, every `every_s`, in place of one that did.

    `begun`: when the look began (on `system`'s clock) that has just ended well; `main_pid`: the service's process, 0
    where there is none. OSError: no verdict can be written.
    """
    end(env, system)
    file = _file(env)
    service = system.watch(main_pid)
    stands = Standing(system, file, every_s, look, service)
    pid = leave(lambda: stands.run(begun))
    if service is not None:
        os.close(service)
    process = parse_stat(system.read(f"/proc/{pid}/stat") or "")
    if process:
        system.write(_asked(file), "")
        stands.tell(process, begun)


class Standing:
    """The process that stands by the verdict in `file`."""

    def __init__(self, system: System, file: str, every_s: float, look: Callable[[], int], service: int | None) -> None:
        self._system = system
        self._file = file
        self._every_s = every_s
        self._look = look
        self._service = service
        """The handle of its process."""
        self._modules: list[str] = [file for each in sys.modules.values() if (file := getattr(each, "__file__", ""))]
        self._code = _newest(self._modules)
        self._compared = system.monotonic()
        self._asker = self._started(system.parent)

    def run(self, begun: float) -> None:
        """Look until a look does not end well, or nobody needs it any more; the last look was at `begun`."""
        system = self._system
        system.name_process(NAME)
        me = parse_stat(system.read("/proc/self/stat") or "")
        while me:
            ended = system.ends(self._service, max(0.0, begun + self._every_s - system.monotonic()))
            begun = system.monotonic()
            _signal.alarm(HUNG_S)
            well = not ended and self._wanted() and self._look() == 0
            system.reap(-1)
            if not self._named(me):
                return
            if not well:
                break
            self.tell(me, begun)
        self._system.remove(self._file)
        self._system.remove(_asked(self._file))

    def tell(self, process: Process, begun: float) -> None:
        """Write the verdict of a look that began at `begun`: until when it holds (hundredths of a second on the clock
        of /proc/uptime, which a shell can read), and whose it is.
        """
        now = int((self._system.read("/proc/uptime") or "").split()[0].replace(".", ""))
        left_s = begun + self._every_s + SLACK_S - self._system.monotonic()
        self._system.write(self._file, f"{now + int(left_s * 100)} {process.pid} {process.ticks}\n")

    def _wanted(self) -> bool:
        """Whether somebody asks still, with this code."""
        age = self._system.age(_asked(self._file))
        asked = age is not None and age < QUIET_S
        return asked and self._started(self._system.parent) == self._asker and self._installed()

    def _installed(self) -> bool:
        """Whether this code is what is installed, CODE_S ago at most."""
        now = self._system.monotonic()
        if now - self._compared < CODE_S:
            return True
        self._compared = now
        return _newest(self._modules) == self._code

    def _named(self, me: Process) -> bool:
        words = (self._system.read(self._file) or "").split()
        return words[1:] == [str(me.pid), str(me.ticks)]

    def _started(self, pid: int) -> int:
        """When the process was started; 0: it is gone."""
        process = parse_stat(self._system.read(f"/proc/{pid}/stat") or "")
        return process.ticks if process else 0


def _name(env: Mapping[str, str]) -> str:
    """The resource's name without a clone's number, as the launcher finds it too; empty when it is no file's name."""
    name = env.get("OCF_RESOURCE_INSTANCE", "").partition(":")[0]
    return "" if "/" in name or name.startswith(".") else name


def _file(env: Mapping[str, str]) -> str:
    return f"{FOLDER}/{_name(env)}"


def _asked(file: str) -> str:
    """The file whose time tells when the launcher last asked; no resource's name has a colon."""
    return f"{file}:asked"


def _newest(files: Sequence[str]) -> int:
    """When the newest of the files was written, in nanoseconds; 0 when one is gone."""
    try:
        return max(os.stat(file).st_mtime_ns for file in files)  # noqa: PTH116
    except OSError:
        return 0

"""`python3 -IS launch.py NETNS RESET FOLDER... -- COMMAND...`: a machine's power supply: runs it until it is off.

Takes a nice value of 0 whoever called, joins the control groups FOLDER..., runs COMMAND (systemd-nspawn), and runs it
again when the machine reboots itself.
Invariant: every process of a machine is in the machine's control groups from its first instruction, so that a freeze
or a power-off misses none; and a reboot, like a real one, loses every address that was added at run time (a VIP):
RESET is a file of `ip -batch` lines that bring NETNS to its first state. Standard library only: it is on the path of
every power-on, and lives as long as its machine (8 MB).
"""

import os
import sys
from pathlib import Path

REBOOT = 133
"""systemd-nspawn's exit code, with --keep-unit, for "start me again" (EXIT_FORCE_RESTART)."""


def main(argv: list[str]) -> int:
    """Returns the exit code of the last run of the machine."""
    split = argv.index("--")
    os.setpriority(os.PRIO_PROCESS, 0, 0)
    netns, reset, *folders = argv[:split]
    for folder in folders:
        (Path(folder) / "cgroup.procs").write_text(str(os.getpid()))
    while (code := _run(argv[split + 1 :])) == REBOOT:
        _run(["ip", "-netns", netns, "-force", "-batch", reset])
    return code


def _run(command: list[str]) -> int:
    child = os.posix_spawnp(command[0], command, os.environ)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python3 -IS launch.py FOLDER... -- COMMAND...`: join control groups, then become the command.

Invariant: every process of a lab's machine is in the machine's control groups from its first instruction, so that a
freeze or a power-off misses none. Standard library only: it is on the path of every power-on.
"""

import os
import sys
from pathlib import Path


def main(argv: list[str]) -> None:
    """Write this process's id into `cgroup.procs` of each folder before `--`, then exec what is behind it."""
    split = argv.index("--")
    for folder in argv[:split]:
        (Path(folder) / "cgroup.procs").write_text(str(os.getpid()))
    command = argv[split + 1 :]
    os.execvp(command[0], command)  # noqa: S606 (the argument vector is our caller's)


if __name__ == "__main__":
    main(sys.argv[1:])

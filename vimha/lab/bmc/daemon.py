"""Starting the BMC process, and knowing that it serves.

Invariant: nothing heavy is imported here; the lab's commands start BMCs while the nodes boot.
"""

import subprocess
import sys
import time
from pathlib import Path

from vimha.errors import VimhaError
from vimha.lab.bmc.config import BmcConfig
from vimha.process import spawn

_POLL_S = 0.02


def start(lab: str, config: BmcConfig, log: Path) -> subprocess.Popen[bytes]:
    """Start the BMCs of `lab`; returns at once. Ends on SIGTERM, and takes its ipmi_sims with it.

    The configuration goes to `config.folder`/bmc.json; the process's words go to `log`.
    """
    config.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    config.ready_file.unlink(missing_ok=True)
    path = config.folder / "bmc.json"
    config.save(path)
    return spawn([sys.executable, "-m", "vimha.lab.bmc", lab, str(path)], log=str(log))


def wait_ready(config: BmcConfig, process: subprocess.Popen[bytes], log: Path, timeout_s: float = 10.0) -> None:
    """Return when every BMC answers; VimhaError with the process's last words when it ended or took too long."""
    end = time.monotonic() + timeout_s
    while not config.ready_file.exists():
        if process.poll() is not None:
            raise VimhaError(f"the BMC process ended: {_last_line(log)}", f"Read {log}.")
        if time.monotonic() > end:
            raise VimhaError(f"the BMCs were not ready within {timeout_s:g} s", f"Read {log}.")
        time.sleep(_POLL_S)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line for line in reversed(lines) if line.strip()), "it left no message")

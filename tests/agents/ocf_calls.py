"""Calling an installed resource agent the way Pacemaker does, and real daemons for it to look after."""

import os
import re
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vimha.process import run
from vimha.render import agents

SELDOM_MS = 60_000
"""A monitor that runs so seldom has no standing looks: each call looks anew, with the parameters of that call."""


@dataclass(frozen=True)
class Answer:
    """What one action gave: exit code, reason, and how long it took in seconds."""

    code: int
    reason: str
    took_s: float


class Resource:
    """A resource of `agent` with `parameters`; `prefix` runs it elsewhere, such as in a network namespace."""

    def __init__(self, agent: str, prefix: tuple[str, ...] = (), **parameters: str) -> None:
        self.agent = agent
        self.parameters = parameters
        self.prefix = prefix

    def __call__(self, action: str, *, interval_ms: int = SELDOM_MS, timeout_ms: int = 5000, **changed: str) -> Answer:
        """Run `action` with the parameters, some of them `changed`."""
        env = {f"OCF_RESKEY_{name}": value for name, value in {**self.parameters, **changed}.items()}
        env |= {
            "OCF_ROOT": "/usr/lib/ocf", "OCF_RESOURCE_INSTANCE": f"test-{self.agent}", "HA_LOGFACILITY": "none",
            "OCF_RESKEY_CRM_meta_interval": str(interval_ms), "OCF_RESKEY_CRM_meta_timeout": str(timeout_ms),
        }  # fmt: skip
        begun = time.monotonic()
        done = run([*self.prefix, str(agents.OCF_FOLDER / self.agent), action], timeout_s=60, env=env)
        reasons = re.findall(r"^ocf-exit-reason:(.*)$", done.err, re.MULTILINE)
        return Answer(done.code, reasons[-1] if reasons else "", time.monotonic() - begun)

    def probe(self, **changed: str) -> int:
        """What Pacemaker's probe is told."""
        return self("monitor", interval_ms=0, **changed).code

    @property
    def pid(self) -> int:
        """The pid in the resource's pid file."""
        return int(Path(self.parameters["pid"]).read_text().split()[0])


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def processes(text: str) -> list[int]:
    """The living processes whose command line contains `text`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in command and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def wait_until(true: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until `true()` is; AssertionError when it is not within `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.02)


def kill(pid: int) -> None:
    """SIGKILL, and wait until the process is gone (or a zombie of somebody else's)."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text())

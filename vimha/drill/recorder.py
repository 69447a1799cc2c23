"""A helper process that records what it sees as JSON lines in a file, while the drill goes on.

Invariant: the process ends with the drill, however that ends: it is stopped by its context manager, and it leaves by
itself when its parent is gone (`orphaned`), so that no drill leaves a prober or a witness behind.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from vimha import process
from vimha.errors import VimhaError

STOP_S = 5.0
"""How long a recorder may take to leave after SIGTERM: it only has to leave its loop."""
FIRST = "-10"
"""The nice value of a recorder's scheduling group (sched(7), "autogroup"). It stands for a machine of its own, which
does not wait for those that it watches; without, one stalled for 0.8 s while a node booted.
"""
LOOK_S = 0.5
"""How often a recorder looks whether its drill still lives."""


class Recorder:
    """`python -m MODULE` running, in the network namespace `netns` when given; its lines are read while it runs."""

    def __init__(self, module: str, arguments: Sequence[str], log: Path, netns: str = "") -> None:
        self._module = module
        self._log = log
        self._offset = 0
        self._stopped = False
        log.unlink(missing_ok=True)
        where = ("ip", "netns", "exec", netns) if netns else ()
        self._process = process.spawn(
            [*where, sys.executable, "-m", module, "--parent", str(os.getpid()), *arguments], log=str(log)
        )
        with suppress(OSError):  # a kernel without such groups
            Path(f"/proc/{self._process.pid}/autogroup").write_text(FIRST)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process and wait for it; what it wrote until then can still be read."""
        self._stopped = self._stopped or self._process.poll() is None
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=STOP_S)

    def fresh(self) -> list[dict[str, Any]]:
        """The records since the last call. VimhaError, with its own last words, when the process died."""
        died = self._process.poll() is not None and not self._stopped
        with self._log.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        lines = data[: data.rfind(b"\n") + 1]
        self._offset += len(lines)
        records = [json.loads(line) for line in lines.splitlines() if line.startswith(b"{")]
        if died:
            words = self._log.read_text(errors="replace").strip().splitlines()
            said = next((line for line in reversed(words) if not line.startswith("{")), "it said nothing")
            raise VimhaError(f"{self._module} ended in the middle of a drill: {said}")
        return records


def orphaned(parent: int) -> bool:
    """Has the drill that started this process (`parent`) gone away?"""
    return os.getppid() != parent


def told_to_stop(parent: int) -> "asyncio.Task[None]":
    """A task that ends with SIGTERM, or when the drill that started this process (`parent`) is gone."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)

    async def wait() -> None:
        while not asked.is_set() and not orphaned(parent):
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await asked.wait()

    return asyncio.create_task(wait())

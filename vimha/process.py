"""The only place in vimha that starts a process.

Invariant: an argument vector, never a shell string; a deadline always; secrets on stdin or in files,
never in argv. `Runner` is the type that rooms take, so that the same code drives this host, a lab
machine or a test's canned answers.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vimha.errors import ProcessError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What a command finds on its PATH, whatever the caller's environment says."""


@dataclass(frozen=True)
class Result:
    """What a finished command left: its argument vector, exit code and output as text."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0


class Runner(Protocol):
    """Runs a command somewhere (this host, a lab machine) and returns its `Result`."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 60.0,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
    ) -> Result: ...


def run(
    argv: Sequence[str],
    *,
    timeout_s: float = 60.0,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
) -> Result:
    """Run `argv` on this host and wait for it, at most `timeout_s` seconds.

    The environment is PATH, LC_ALL=C and `env`, nothing inherited.
    A non-zero exit is a `Result`; ProcessError is raised only when the command is missing or overruns.
    """
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env={"PATH": PATH, "LC_ALL": "C", **(env or {})},
            check=False,
        )
    except FileNotFoundError as error:
        raise ProcessError(f"{argv[0]}: not installed on this machine", "Install the package it is in.") from error
    except subprocess.TimeoutExpired as error:
        raise ProcessError(f"{argv[0]}: no answer within {timeout_s:g} s") from error
    return Result(tuple(argv), done.returncode, done.stdout, done.stderr)


def checked(result: Result) -> Result:
    """`result` itself when it succeeded; ProcessError with the command's last words when not."""
    if result.ok:
        return result
    words = (result.err.strip() or result.out.strip() or "no output").splitlines()[-1]
    raise ProcessError(f"{os.path.basename(result.argv[0])} failed (exit {result.code}): {words}")  # noqa: PTH119


def spawn(
    argv: Sequence[str], *, log: str = os.devnull, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a long-lived `argv` in its own session, its output appended to the file `log`."""
    with open(log, "ab") as sink:  # noqa: PTH123
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env={"PATH": PATH, "LC_ALL": "C", **(env or {})},
            start_new_session=True,
        )

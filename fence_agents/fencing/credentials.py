"""Where a device's password comes from: standard input, a file, or a script.

Invariant: a password is held in memory only; no message names it.
"""

from __future__ import annotations

import os
import stat

from fence_agents.fencing.errors import FenceError
from fence_agents.fencing.options import Option, Values

OPTIONS = (
    Option("username", "Login name", short="-l", required=True, obsoletes="login"),
    Option("password", "Login password (standard input only)", short="-p", obsoletes="passwd", secret=True),
    Option("password_file", "File that holds the password alone, mode 0600, the same path on every node"),
    Option("password_script", "Program that prints the password", short="-S", obsoletes="passwd_script"),
)
_LARGEST = 4096
"""Bytes; a password file is one short line, so that much more is the wrong file."""


def password(values: Values, timeout_s: float) -> str:
    """The password: `password`, else from `password_file`, else from `password_script` within `timeout_s` seconds.

    FenceError, naming the source, when there is none or it cannot be read.
    """
    if values.text("password"):
        return values.text("password")
    if values.text("password_file"):
        return _from_file(values.text("password_file"))
    if values.text("password_script"):
        return _from_script(values.text("password_script"), timeout_s)
    raise FenceError("no password: give password_file, password_script or password")


def problems(values: Values) -> list[str]:
    """What is wrong with the sources of the password on this host, one line each."""
    path, script = values.text("password_file"), values.text("password_script")
    if values.text("password"):
        return []
    if path:
        try:
            _from_file(path)
        except FenceError as error:
            return [str(error)]
        mode = stat.S_IMODE(os.stat(path).st_mode)  # noqa: PTH116 (pathlib costs 8 ms of import)
        return [f"password_file={path}: readable by others (mode {mode:04o}); chmod 0600 it"] if mode & 0o077 else []
    if script:
        return [] if os.access(script, os.X_OK) else [f"password_script={script}: not an executable file on this host"]
    return ["no password: give password_file, password_script or password"]


def _from_file(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            text = file.read(_LARGEST + 1).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise FenceError(f"password_file={path}: {reason}") from error
    if not text:
        raise FenceError(f"password_file={path}: empty")
    if len(text) > _LARGEST or "\n" in text:
        raise FenceError(f"password_file={path}: more than one line")
    return text


def _from_script(path: str, timeout_s: float) -> str:
    import subprocess

    try:
        done = subprocess.run([path], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False)
    except OSError as error:
        raise FenceError(f"password_script={path}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise FenceError(f"password_script={path}: no answer within {timeout_s:g} s") from error
    text = done.stdout.decode(errors="replace").rstrip("\r\n")
    if done.returncode or not text:
        raise FenceError(f"password_script={path}: exit {done.returncode}, {len(text)} characters printed")
    return text

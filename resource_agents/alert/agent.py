"""`vimha-alert`, Pacemaker's alert agent: keeps each event in the spool for the drain (drain.py), and wakes it.

Invariant: when the agent has ended well, its event is on the disk, or the alarm service has it already; an event that
could be neither is told to syslog and marked, so that an alarm tells of it. It waits for the disk alone, never for the
service, and the drain may take the event while the disk still writes.

A record is one file, named by its event's time, so that names sort in the order of events: `name=value` texts of
CRM_alert_* ended by NUL each, and END at last, by which the drain knows a whole one.
"""

import os
import time
from _collections_abc import Mapping

SPOOL = "/var/lib/pacemaker/vimha-alert"
"""In the home of Pacemaker's own user, as whom it runs alert agents, so that nobody needs to make it before. Another
one is named by the alert's recipient.
"""
WAKE = "wake"
"""The drain's socket in the spool."""
LOST = "lost"
"""A file in the spool whose time tells when an event was last lost; 0: none. A full disk has room for a time."""
MOST = 10_000
"""Records in the spool: 40 MB on a disk with blocks of 4 KiB, hours of a cluster in trouble."""
LONGEST = 2048
"""Bytes of a value; agents' reasons are the longest."""
END = b"\n"
FIELDS = (
    "kind", "node", "desc", "task", "rc", "rsc", "interval", "target_rc", "status", "attribute_name", "attribute_value",
)  # fmt: skip
"""What of CRM_alert_* is handed on (Pacemaker Explained, "Alerts")."""
REASON = "/run/resource-agents/{resource}.reason"
"""Where our own resource agents leave why an action did not end well (ocf/runtime.py)."""
FRESH_S = 60.0
"""A reason that is older is of an earlier failure."""
NO_ROOM = 28
"""ENOSPC (the module errno would be one more to load)."""


def main() -> None:
    """What the launcher calls: keeps the event of os.environ, and ends the process; 1 when it is lost."""
    os._exit(run(os.environ))


def run(env: Mapping[str, str]) -> int:
    """Keep the event of `env`; 1 when it is lost."""
    if not env.get("CRM_alert_kind"):
        return 0
    folder = env.get("CRM_alert_recipient") or SPOOL
    try:
        keep(folder, name(env), record(env))
    except OSError as error:
        mark(folder)
        tell(env, f"{folder}: {error.strerror}; the alarm service will not hear of: {summary(env)}")
        return 1
    return 0


def name(env: Mapping[str, str]) -> str:
    """The record's name: the event's time in microseconds, the number that Pacemaker gave it, this process."""
    seconds, micros = env.get("CRM_alert_timestamp_epoch", ""), env.get("CRM_alert_timestamp_usec", "")
    told = seconds.isdecimal() and micros.isdecimal()
    time_us = int(seconds) * 1_000_000 + int(micros) if told else time.time_ns() // 1000
    number = env.get("CRM_alert_node_sequence", "")
    return f"{time_us:016d}-{int(number) if number.isdecimal() else 0:06d}-{os.getpid()}"


def record(env: Mapping[str, str]) -> bytes:
    """What of the event is handed on."""
    said = {field: env.get(f"CRM_alert_{field}", "").encode(errors="surrogateescape") for field in FIELDS}
    said["reason"] = reason(env) if said["rsc"] and said["rc"] != b"0" else b""
    return b"".join(b"%s=%s\0" % (field.encode(), value[:LONGEST]) for field, value in said.items() if value) + END


def reason(env: Mapping[str, str]) -> bytes:
    """Why the action of a resource did not end well, if its agent has said so just now."""
    path = REASON.format(resource=env["CRM_alert_rsc"].partition(":")[0])
    ended = f"{env.get('CRM_alert_task', '')} {env.get('CRM_alert_rc', '')} ".encode()
    try:
        if "/" in env["CRM_alert_rsc"] or time.time() - os.stat(path).st_mtime > FRESH_S:
            return b""
        with open(path, "rb", buffering=0) as file:
            text = file.read(LONGEST) or b""
    except OSError:
        return b""
    return text[len(ended) :].replace(b"\0", b"") if text.startswith(ended) else b""


def keep(folder: str, title: str, content: bytes) -> None:
    """Put the record into the spool; on the disk when this returns. OSError when it may not be."""
    scratch = f"{folder}/.{title}"
    handle = _create(folder, scratch)
    try:
        if len(os.listdir(folder)) > MOST:
            raise OSError(NO_ROOM, f"{MOST} events wait there already")
        if os.write(handle, content) < len(content):
            raise OSError(NO_ROOM, "no room for all of it")
        os.rename(scratch, f"{folder}/{title}")
    except OSError:
        os.close(handle)
        os.unlink(scratch)
        raise
    wake(folder)
    _sync(handle)
    _sync(os.open(folder, os.O_RDONLY))


def _sync(handle: int) -> None:
    """Have what was written on the disk, and let go of it."""
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def wake(folder: str) -> None:
    """Tell the drain that there is something; one that is away will look when it comes."""
    import _socket

    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        sock.sendto(b"", f"{folder}/{WAKE}")
    except OSError:
        return
    finally:
        sock.close()


def mark(folder: str) -> None:
    """Remember that an event was lost, as far as that is possible."""
    try:
        os.utime(f"{folder}/{LOST}")
    except OSError:
        return


def tell(env: Mapping[str, str], text: str) -> None:
    """Log an error."""
    from resource_agents.ocf.runtime import ERROR, log

    log(env, "alert", ERROR, text)


def summary(env: Mapping[str, str]) -> str:
    return " ".join(f"{field}={value}" for field in FIELDS if (value := env.get(f"CRM_alert_{field}", "")))


def _create(folder: str, scratch: str) -> int:
    """The new record, open; the spool is made by the first one."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        return os.open(scratch, flags, 0o600)
    except FileNotFoundError:
        make(folder)
        return os.open(scratch, flags, 0o600)


def make(folder: str) -> None:
    """Make the spool; harmless when somebody else just has."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = f"{folder}/{LOST}"
    if not os.path.exists(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        os.utime(path, (0, 0))

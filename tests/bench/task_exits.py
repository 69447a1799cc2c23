"""What every process that ends on this host has used, from the kernel's taskstats: exact for those that live 5 ms.

Invariant: a process's cost is its own and that of all its descendants that ended before it, which is what its parent
gets from wait4(2), but for the taking down of its memory, which comes after the kernel has told of its exit; a daemon
that it leaves behind is none of them. Root, and a kernel with CONFIG_TASKSTATS (Debian's).
"""

import os
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

GENERIC, CONTROL, FAMILY_NAME, GET_FAMILY, FAMILY_ID = 16, 16, 2, 3, 1
"""NETLINK_GENERIC, GENL_ID_CTRL, CTRL_ATTR_FAMILY_NAME, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID (linux/genetlink.h)."""
GET, REGISTER_CPUMASK, PER_TASK, STATS = 1, 3, 4, 3
"""TASKSTATS_CMD_GET and, of its attributes, those used here (linux/taskstats.h)."""
REQUEST = 1
SO_RCVBUFFORCE = 33
BUFFER = 16 << 20
"""Room for 40 000 exits while nobody reads."""
LAYOUT = struct.Struct("=4xI64xQ32s16x2I")
"""Of the head of struct taskstats (the same since version 1): ac_exitcode, cpu_run_virtual_total, ac_comm, ac_pid,
ac_ppid. The CPU time is the scheduler's, in nanoseconds: ac_utime and ac_stime count clock ticks of 4 ms."""


@dataclass(frozen=True)
class Ended:
    """A child of one of the watched processes that has ended; `cpu_s` includes its descendants'."""

    parent: int
    name: str
    code: int
    cpu_s: float


class TaskExits:
    """Hears of every exit from when it is made; `read` tells of the children of the processes in `parents`."""

    def __init__(self, parents: Collection[int]) -> None:
        self._parents = frozenset(parents)
        self._below: defaultdict[int, float] = defaultdict(float)
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, GENERIC)
        self._sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        self._sock.bind((0, 0))
        name = _attribute(FAMILY_NAME, b"TASKSTATS\0")
        self._ask(CONTROL, GET_FAMILY, name)
        answer = dict(_attributes(self._sock.recv(65536)[20:]))
        family = struct.unpack("=H", answer[FAMILY_ID])[0]
        last = os.sysconf("SC_NPROCESSORS_CONF") - 1
        self._ask(family, GET, _attribute(REGISTER_CPUMASK, f"0-{last}\0".encode()))

    def close(self) -> None:
        self._sock.close()

    def read(self, seconds: float) -> Iterator[Ended]:
        """What ends within `seconds`. OSError when the kernel had to drop messages: the counts would be too low."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._sock.settimeout(left)
            try:
                data = self._sock.recv(65536)
            except TimeoutError:
                return
            yield from self._ended(data)

    def _ended(self, data: bytes) -> Iterator[Ended]:
        """The watched children in one datagram; what others used is kept for their parents' sake."""
        for kind, task in _attributes(data[20:]):
            stats = dict(_attributes(task)).get(STATS) if kind == PER_TASK else None
            if stats is None:
                continue
            status, nanoseconds, comm, pid, parent = LAYOUT.unpack_from(stats)
            spent = nanoseconds / 1e9 + self._below.pop(pid, 0.0)
            if parent in self._parents:
                name = comm.split(b"\0")[0].decode(errors="replace")
                yield Ended(parent, name, os.waitstatus_to_exitcode(status), spent)
            else:
                self._below[parent] += spent

    def _ask(self, family: int, command: int, attribute: bytes) -> None:
        body = struct.pack("=BBH", command, 1, 0) + attribute
        self._sock.send(struct.pack("=IHHII", 16 + len(body), family, REQUEST, 1, 0) + body)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The netlink attributes in `data`: type and payload."""
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            return
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]

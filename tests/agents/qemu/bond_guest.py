"""A small machine under qemu (TCG, no KVM needed) with two network ports, on a bridge in a namespace of its own.

Invariant: `close` leaves neither the machine nor the namespace behind, however far `open` came.
"""

import contextlib
import os
import re
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from vimha.process import checked, run, spawn

GATEWAY = "10.77.0.1"
BOOT_S = 60.0
"""Far above the 3 s that a boot takes: a loaded machine only makes it later."""


@dataclass(frozen=True)
class Said:
    """What a command in the guest said: exit code and output."""

    code: int
    text: str


class Guest:
    """The guest: `sh` runs a command in it, `carrier` and `silence` do to its ports what cables and switches do."""

    def __init__(self, kernel: Path, initramfs: Path, folder: Path) -> None:
        self._netns = f"vh-qemu-{os.getpid()}"
        self._folder = folder
        self._kernel = kernel
        self._initramfs = initramfs
        self._machine: subprocess.Popen[bytes] | None = None
        self._console: socket.socket | None = None
        self._monitor: socket.socket | None = None
        self._rest = ""

    def open(self) -> None:
        """Make the network, boot, and wait until the guest takes commands."""
        self._network()
        self._machine = spawn(self._argv(), log=str(self._folder / "qemu.log"))
        self._monitor = self._connect("monitor")
        self._console = self._connect("console")
        self._read_answer(BOOT_S)

    def close(self) -> None:
        """Pull the plug and remove the network."""
        for sock in (self._monitor, self._console):
            if sock:
                sock.close()
        if self._machine:
            self._machine.kill()
            self._machine.wait()
        run(["ip", "netns", "del", self._netns])

    def sh(self, command: str, timeout_s: float = 30.0) -> Said:
        """Run one line of shell in the guest."""
        assert self._console
        self._console.sendall(command.encode() + b"\n")
        return self._read_answer(timeout_s)

    def carrier(self, port: int, up: bool) -> None:
        """Plug or unplug the cable of port `port`: the guest sees its carrier come or go."""
        assert self._monitor
        self._monitor.sendall(f"set_link d{port} {'on' if up else 'off'}\n".encode())

    def silence(self, port: int, silent: bool) -> None:
        """Let the network swallow what port `port` sends, while its carrier stays up."""
        self._ip("link", "set", f"t{port}", "down" if silent else "up")

    def _ip(self, *words: str) -> None:
        checked(run(["ip", "-n", self._netns, *words]))

    def _network(self) -> None:
        checked(run(["ip", "netns", "add", self._netns]))
        self._ip("link", "add", "br0", "type", "bridge")
        self._ip("addr", "add", f"{GATEWAY}/24", "dev", "br0")
        self._ip("link", "set", "br0", "up")
        for port in (0, 1):
            self._ip("tuntap", "add", f"t{port}", "mode", "tap")
            self._ip("link", "set", f"t{port}", "master", "br0", "up")

    def _argv(self) -> list[str]:
        ports = [
            word
            for port in (0, 1)
            for word in (
                "-netdev", f"tap,id=n{port},ifname=t{port},script=no,downscript=no",
                "-device", f"virtio-net-pci,netdev=n{port},id=d{port}",
            )
        ]  # fmt: skip
        return [
            "ip", "netns", "exec", self._netns, "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-nographic",
            "-no-reboot", "-machine", "q35", "-accel", "tcg", "-cpu", "qemu64", "-m", "256",
            "-kernel", str(self._kernel / "vmlinuz"), "-initrd", str(self._initramfs),
            "-append", "console=ttyS0 quiet panic=-1",
            "-serial", f"file:{self._folder}/boot.log", "-serial", f"unix:{self._folder}/console,server=on",
            "-monitor", f"unix:{self._folder}/monitor,server=on,wait=off", *ports,
        ]  # fmt: skip

    def _connect(self, name: str) -> socket.socket:
        end = time.monotonic() + 10
        sock = socket.socket(socket.AF_UNIX)
        while True:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                sock.connect(str(self._folder / name))
                return sock
            assert self._machine
            assert self._machine.poll() is None, (self._folder / "qemu.log").read_text()
            assert time.monotonic() < end, f"qemu opened no {name}"
            time.sleep(0.05)

    def _read_answer(self, timeout_s: float) -> Said:
        assert self._console
        end = time.monotonic() + timeout_s
        while not (found := re.search(r"@@(\d+)\r?\n", self._rest)):
            self._console.settimeout(max(0.01, end - time.monotonic()))
            chunk = self._console.recv(65536)
            assert chunk, f"the guest is gone: {(self._folder / 'boot.log').read_text()[-500:]}"
            self._rest += chunk.decode(errors="replace")
        text, self._rest = self._rest[: found.start()], self._rest[found.end() :]
        return Said(int(found[1]), text.replace("\r\n", "\n"))

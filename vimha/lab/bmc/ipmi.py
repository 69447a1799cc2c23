"""IPMI: one OpenIPMI ipmi_sim per node, whose chassis control asks this process.

Invariant: an ipmi_sim keeps no power state of its own; every look at the chassis runs chassis.py, which asks
`ChassisServer`. ipmi_sim knows cipher suites up to 3 only, so clients say so (`cipher=3` for fence_ipmilan).
"""

import shlex
import socket
import socketserver
import subprocess
import time
import uuid
from pathlib import Path
from typing import cast

from vimha.errors import VimhaError
from vimha.files import write_atomic
from vimha.lab.bmc import chassis
from vimha.lab.bmc.config import BmcConfig, Endpoint
from vimha.lab.bmc.switch import Switch, log
from vimha.process import spawn

LAN = """name "{node}"
set_working_mc 0x20
startlan 1
  addr {address} {port}
  priv_limit admin
  allowed_auths_callback none
  allowed_auths_user md5
  allowed_auths_operator md5
  allowed_auths_admin md5
  guid {guid}
endlan
chassis_control "{control}"
user 1 false "" "" user 10 md5
user 2 true "{username}" "{password}" admin 10 md5
"""

COMMANDS = """mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x20
"""

PING = bytes.fromhex("0600ff06 000011be 80000000")
"""RMCP/ASF presence ping (ASF 2.0, 3.2.4.3): answered without a session."""


class _ChassisHandler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        verb, _, node = self.rfile.readline(256).decode(errors="replace").strip().partition(" ")
        self.wfile.write(cast(ChassisServer, self.server).answer(verb, node).encode() + b"\n")


class ChassisServer(socketserver.ThreadingUnixStreamServer):
    """Answers chassis.py: `get NODE` with 1 or 0, `on`, `off` and `cycle` with ok; `error` for what failed."""

    daemon_threads = True

    def __init__(self, path: Path, switch: Switch) -> None:
        path.unlink(missing_ok=True)
        super().__init__(str(path), _ChassisHandler)
        path.chmod(0o600)
        self._switch = switch

    def answer(self, verb: str, node: str) -> str:
        """The answer to one line."""
        changes = {"on": self._switch.on, "off": self._switch.off, "cycle": self._switch.cycle}
        try:
            if verb == "get":
                return str(int(self._switch.is_on(node)))
            changes[verb](node)
        except Exception:
            log.exception("%s %s failed", verb, node)
            return "error"
        return "ok"


def start_simulators(config: BmcConfig, socket_path: Path) -> list[subprocess.Popen[bytes]]:
    """Start an ipmi_sim per endpoint in this thread's network namespace; they die with this process.

    VimhaError when ipmi_sim is not installed.
    """
    return [_start(config, endpoint, socket_path) for endpoint in config.endpoints]


def wait_answering(endpoint: Endpoint, timeout_s: float = 5.0) -> None:
    """Return when the endpoint's IPMI answers a presence ping; VimhaError after `timeout_s`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.02)
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            try:
                sock.sendto(PING, (endpoint.address, endpoint.ipmi_port))
                sock.recv(512)
            except (TimeoutError, ConnectionRefusedError):
                continue
            return
    raise VimhaError(f"{endpoint.node}: ipmi_sim does not answer at {endpoint.address}:{endpoint.ipmi_port}")


def lan_configuration(config: BmcConfig, endpoint: Endpoint, socket_path: Path) -> str:
    """The endpoint's lan.conf (ipmi_lan(5)); it holds the password."""
    control = ["/usr/bin/python3", "-IS", chassis.__file__, str(socket_path), endpoint.node]
    return LAN.format(
        node=endpoint.node,
        address=endpoint.address,
        port=endpoint.ipmi_port,
        guid=uuid.uuid5(uuid.NAMESPACE_DNS, endpoint.node).hex,
        control=shlex.join(control),
        username=config.username,
        password=config.password(),
    )


def _start(config: BmcConfig, endpoint: Endpoint, socket_path: Path) -> subprocess.Popen[bytes]:
    folder = config.folder / endpoint.node
    (folder / "state").mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "lan.conf", lan_configuration(config, endpoint, socket_path), 0o600)
    write_atomic(folder / "commands", COMMANDS, 0o600)
    simulator = ["ipmi_sim", "-n", "-c", str(folder / "lan.conf"), "-f", str(folder / "commands")]
    return spawn(
        ["setpriv", "--pdeathsig", "TERM", "--", *simulator, "-s", str(folder / "state")],
        log=str(folder / "log"),
    )

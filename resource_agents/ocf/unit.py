"""A daemon that systemd runs for an agent.

Invariant: looking costs no process (the unit's cgroup tells whether anything of it lives); systemctl is asked only to
start, to stop, and about units that are not in system.slice.
"""

from resource_agents.ocf.agent import GENERIC, INSTALLED, Deadline, OcfError
from resource_agents.ocf.process import ALIVE, FROZEN, GONE, parse_stat
from resource_agents.ocf.system import System

SYSTEMCTL = "/usr/bin/systemctl"
CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
"""Where systemd's own hierarchy is mounted: cgroup v2, and the two layouts of v1 (systemd(1), "Control groups")."""
POLL_S = 0.02


class Unit:
    """The systemd service `name`."""

    def __init__(self, system: System, name: str) -> None:
        self._system = system
        self._name = name if "." in name else f"{name}.service"

    def state(self) -> str:
        """GONE, ALIVE, or FROZEN when every process of the unit is stopped by a signal."""
        pids = self._pids()
        if pids is None:
            return GONE if self._ask("is-active", "--quiet")[0] else ALIVE
        processes = [process for pid in pids if (process := parse_stat(self._system.read(f"/proc/{pid}/stat") or ""))]
        if not processes:
            return GONE
        return FROZEN if all(process.frozen for process in processes) else ALIVE

    def check(self) -> None:
        """OcfError(INSTALLED) unless systemd knows the unit."""
        code, text = self._ask("show", "--property=LoadState", "--value")
        if code or text.strip() != "loaded":
            raise OcfError(INSTALLED, f"systemd unit {self._name} is {text.strip() or 'unknown'} on this node")

    def start(self, deadline: Deadline) -> None:
        """Start the unit, also when systemd has given up on it before; OcfError(GENERIC) when systemd refuses."""
        self._ask("reset-failed")
        code, text = self._ask("start", timeout_s=deadline.left())
        if code:
            raise OcfError(GENERIC, f"systemctl start {self._name}: {text.strip() or f'exit {code}'}")

    def stop(self, grace_s: float, deadline: Deadline) -> None:
        """Stop the unit: as it wishes for `grace_s`, then by SIGKILL, at once when it is frozen.

        OcfError(GENERIC) when a process of it is left at the deadline.
        """
        frozen = self.state() == FROZEN
        self._ask("stop", "--no-block")
        if not frozen and self._gone(deadline.sooner(min(grace_s, deadline.left() / 2))):
            return
        self._ask("kill", "--kill-whom=all", "--signal=KILL")
        if not self._gone(deadline):
            raise OcfError(GENERIC, f"processes of {self._name} outlive SIGKILL: see its node's kernel log")

    def _pids(self) -> list[str] | None:
        """The unit's processes; None when it has no cgroup in system.slice."""
        found = [self._system.read(f"{root}/system.slice/{self._name}/cgroup.procs") for root in CGROUPS]
        known = [text.split() for text in found if text is not None]
        return max(known, key=len) if known else None

    def _gone(self, deadline: Deadline) -> bool:
        while self.state() != GONE:
            if not deadline.left():
                return False
            self._system.sleep(POLL_S)
        return True

    def _ask(self, verb: str, *options: str, timeout_s: float = 5.0) -> tuple[int, str]:
        return self._system.run([SYSTEMCTL, "--no-ask-password", *options, verb, self._name], timeout_s)

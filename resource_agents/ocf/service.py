"""What the agents of HTTP services share: one daemon, direct or under systemd, whose health is an HTTP answer.

Invariant: running means that the daemon lives *and* answers 200 within its time-out; a daemon that lives and does not
answer is failed, never "not running", and never running.
"""

from resource_agents.ocf.agent import (
    CONFIGURED,
    GENERIC,
    INSTALLED,
    NOT_RUNNING,
    OK,
    Action,
    Agent,
    Deadline,
    OcfError,
    Parameter,
)
from resource_agents.ocf.http import connect, get_status, parse_target
from resource_agents.ocf.process import FROZEN, GONE, Daemon
from resource_agents.ocf.system import System
from resource_agents.ocf.unit import Unit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

POLL_S = 0.025
CHECK_SHARE = 0.8
"""How much of a monitor's time-out the health check may take: the rest is ours, to say what is wrong."""
ATTEMPT_S = 1.0
"""The longest that one attempt may take while a start waits for the first answer."""
FREE_S = 2.0
"""How long the port may still be in use as our daemon is to start: one that was killed is gone in milliseconds."""

UNIT = Parameter(
    "unit", "systemd unit to run it by",
    "When set, systemd starts and stops this unit, and binary, config, user and pid are not used. "
    "The unit must not be enabled: the cluster starts it.",
)  # fmt: skip


class Service(Agent):
    """Base of an HTTP service's agent; a subclass names its parameters, its command and its health parameter."""

    grace_s = 1.0
    """How long the daemon may take to end by itself; a failover waits for it."""
    looks_s = 0.0
    health_parameter = "health"
    health_path = "/health"

    def __init__(self, env: "Mapping[str, str]", action: str, deadline: Deadline, system: System) -> None:
        super().__init__(env, action, deadline, system)
        try:
            self.target = parse_target(self.values[self.health_parameter], self.health_path)
        except ValueError as error:
            raise OcfError(CONFIGURED, f"parameter {self.health_parameter}: {error}") from error
        for name in ("binary", "config", "pid"):
            value = self.values.get(name, "")
            if value and not value.startswith("/"):
                raise OcfError(CONFIGURED, f"parameter {name}={value!r} is not an absolute path")
        self.pid_file = self.values["pid"] or f"/run/vimha/{self.instance}.pid"
        self.unit = Unit(system, self.values["unit"]) if self.values["unit"] else None
        self.daemon = Daemon(system, self.command(), self.pid_file)
        self.process = self.unit or self.daemon

    def command(self) -> list[str]:
        """The argument vector that starts the daemon, and by which it is known again."""
        raise NotImplementedError

    def launch(self) -> None:
        """Start the daemon and record its pid; OcfError when it says at once that it cannot."""
        raise NotImplementedError

    def check_host(self) -> None:
        """OcfError(INSTALLED) for what this node lacks to run the daemon directly."""
        raise NotImplementedError

    def complaint(self) -> str:
        """The daemon's own last words, for the reason of a failed start; empty when it left none."""
        return ""

    def main_pid(self) -> int:
        """The daemon's; 0 for systemd's own."""
        process = None if self.unit else self.daemon.find()
        return process.pid if process else 0

    def monitor(self) -> int:
        """0 healthy, 1 lives but is frozen or does not answer 200, 7 does not live."""
        state = self.process.state()
        if state == GONE:
            self.reason = "" if self.probe else "no such process"
            return NOT_RUNNING
        if state == FROZEN:
            raise OcfError(GENERIC, "stopped by a signal (state T): it lives, but serves nobody")
        wrong = self._sick(self.deadline.left() * CHECK_SHARE)
        if wrong:
            raise OcfError(GENERIC, wrong)
        return OK

    def start(self) -> int:
        """Start the daemon unless it lives, and wait until it answers 200."""
        if self.process.state() == GONE:
            self._check()
            self._port_free()
            if self.unit:
                self.unit.start(self.deadline)
            else:
                self.launch()
        wrong = "no answer yet"
        while self.deadline.left() > POLL_S:
            wrong = self._sick(min(ATTEMPT_S, self.deadline.left()))
            if self.process.state() == GONE:
                raise OcfError(GENERIC, f"it ended as it started: {self.complaint() or 'it gave no reason'}")
            if not wrong:
                return OK
            self.system.sleep(POLL_S)
        raise OcfError(GENERIC, f"started, but not healthy in time: {wrong}")

    def stop(self) -> int:
        """End the daemon with all its children; 0 only when nothing is left of it."""
        self.process.stop(self.grace_s, self.deadline)
        return OK

    def validate_all(self) -> int:
        """Level 0: the parameters (done when the agent was made); from level 10: this node's files too."""
        if self.level >= 10:
            self._check()
        return OK

    def _check(self) -> None:
        if self.unit:
            self.unit.check()
        else:
            self.check_host()

    def _sick(self, timeout_s: float) -> str:
        """Why the service is not healthy; empty when it is."""
        where = f"http://{self.target[0]}:{self.target[1]}{self.target[2]}"
        try:
            status = get_status(self.target, timeout_s, self.system.monotonic)
        except TimeoutError:
            return f"no answer from {where} within {timeout_s:.2f} s"
        except OSError as error:
            return f"{where}: {error.strerror or error}"
        except ValueError as error:
            return f"{where}: {error}"
        return "" if status == 200 else f"{where} answers {status}"

    def _port_free(self) -> None:
        """OcfError(INSTALLED) when a stranger listens where our daemon should: its answers would pass for our daemon's.

        An earlier run that is on its way out is given FREE_S for that: it is no reason to ban the node.
        """
        host, port, _ = self.target
        end = self.deadline.sooner(min(FREE_S, self.deadline.left() / 2))
        while _listens(host, port, min(0.5, self.deadline.left())):
            if not end.left():
                raise OcfError(
                    INSTALLED,
                    f"port in use: a process that this resource did not start listens at {host}:{port}"
                    f" (ss -ltnp 'sport = :{port}' names it): end it, or give it another port",
                )
            self.system.sleep(POLL_S)


def _listens(host: str, port: int, timeout_s: float) -> bool:
    try:
        connect(host, port, timeout_s).close()
    except OSError:
        return False
    return True


def service_actions(start: int, stop: int) -> tuple[Action, ...]:
    """The actions of an HTTP service's agent, with the advised time-outs (seconds) of start and stop."""
    return (
        Action("start", start),
        Action("stop", stop),
        Action("monitor", 2, interval=1, depth=0),
        Action("validate-all", 5),
    )

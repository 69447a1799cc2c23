"""What an OCF resource agent declares and may use: parameters, actions, exit codes, a deadline, this host.

Invariant: an agent is data (`parameters`, `actions`) plus one method per action; it reaches the outside only through
`System`, so that a test can give it a made-up one. Every monitor imports this module, several times a second:
IntEnum, dataclasses and typing would each cost more than the check itself, so there is none of them here.
"""

from _collections_abc import Callable, Mapping

from resource_agents.ocf.system import System

# Exit codes of OCF 1.1. Pacemaker recovers from 1 and 7, bans the node for 2, 4 and 5, stops the resource everywhere
# for 6, and takes 190 for success that it shows as degraded.
OK = 0
GENERIC = 1
ARGS = 2
UNIMPLEMENTED = 3
PERM = 4
INSTALLED = 5
CONFIGURED = 6
NOT_RUNNING = 7
DEGRADED = 190


def recurring(env: Mapping[str, str]) -> bool:
    """Whether the action is one of a series. Pacemaker leaves the interval of a probe out (2.1.5, seen), which means 0
    (ocf-shellfuncs says so too).
    """
    return env.get("OCF_RESKEY_CRM_meta_interval", "") not in ("", "0")


class OcfError(Exception):
    """An action's end other than success: the OCF exit code and the reason that an operator reads."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Parameter:
    """One instance attribute (OCF_RESKEY_<name>): its default is used only when it is not set at all.

    `kind` is `string` or `integer` (decimal, not negative).
    """

    __slots__ = ("default", "kind", "long", "name", "required", "short", "unique")

    def __init__(
        self, name: str, short: str, long: str, *,
        default: str = "", kind: str = "string", required: bool = False, unique: bool = False,
    ) -> None:  # fmt: skip
        self.name = name
        self.short = short
        self.long = long
        self.default = default
        self.kind = kind
        self.required = required
        self.unique = unique


class Action:
    """One action and the timings (seconds) that its metadata advises; `interval` for monitors only."""

    __slots__ = ("depth", "interval", "name", "timeout")

    def __init__(self, name: str, timeout: int, *, interval: int = 0, depth: int | None = None) -> None:
        self.name = name
        self.timeout = timeout
        self.interval = interval
        self.depth = depth


class Deadline:
    """A point on the monotonic clock; what is left of the time until then is all that a step may take."""

    __slots__ = ("_clock", "_end")

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds until the deadline, 0.0 when it has passed."""
        return max(0.0, self._end - self._clock())

    def sooner(self, seconds: float) -> "Deadline":
        """The deadline `seconds` from now, or this one if it is nearer."""
        return Deadline(min(seconds, self.left()), self._clock)


class Agent:
    """Base of all agents. The runtime makes one for each invocation.

    Raises OcfError(CONFIGURED) for a parameter that is wrong wherever the resource may run.
    """

    name = ""
    short = ""
    long = ""
    parameters: tuple[Parameter, ...] = ()
    actions: tuple[Action, ...] = ()
    looks_s: float | None = None
    """None: every monitor runs the agent. Else a process repeats it (ocf/standing.py), so often at most, in seconds."""

    def __init__(self, env: Mapping[str, str], action: str, deadline: Deadline, system: System) -> None:
        self.env = env
        self.action = action
        self.deadline = deadline
        self.system = system
        self.reason = ""
        """What to tell beside the exit code; Pacemaker shows it next to the failed (or degraded) action."""
        self.values = {parameter.name: _value(parameter, env) for parameter in self.parameters}

    @property
    def probe(self) -> bool:
        """True for Pacemaker's question "does it run here?", which must not fail for what is merely absent."""
        return self.action == "monitor" and not recurring(self.env)

    @property
    def level(self) -> int:
        """OCF_CHECK_LEVEL: 0 is a quick look; for validate-all, 10 looks at this host too."""
        return int(text) if (text := self.env.get("OCF_CHECK_LEVEL", "0")).isdecimal() else 0

    @property
    def instance(self) -> str:
        """The resource's name, without the number of a clone's instance."""
        return self.env.get("OCF_RESOURCE_INSTANCE", self.name).partition(":")[0]

    def need_binary(self, path: str) -> None:
        """OcfError(INSTALLED) unless `path` is an executable here; as if absent when ocf-tester says so."""
        if "OCF_TESTER_FAIL_HAVE_BINARY" in self.env or not self.system.executable(path):
            raise OcfError(INSTALLED, f"{path} is not installed on this node: install its package")

    def need_file(self, path: str, what: str) -> None:
        """OcfError(INSTALLED) unless the file `path` can be read here."""
        if self.system.read(path) is None:
            raise OcfError(INSTALLED, f"{what} {path} cannot be read on this node")

    def main_pid(self) -> int:
        """The process with which the service ends; 0 where there is none, or it is not ours to watch."""
        return 0

    def start(self) -> int:
        raise NotImplementedError

    def stop(self) -> int:
        raise NotImplementedError

    def monitor(self) -> int:
        raise NotImplementedError

    def validate_all(self) -> int:
        raise NotImplementedError


def _value(parameter: Parameter, env: Mapping[str, str]) -> str:
    value = env.get(f"OCF_RESKEY_{parameter.name}", parameter.default)
    if parameter.required and not value:
        raise OcfError(CONFIGURED, f"parameter {parameter.name} is required: {parameter.short}")
    if parameter.kind == "integer" and not (value.isascii() and value.isdecimal()):
        raise OcfError(CONFIGURED, f"parameter {parameter.name}={value!r} is not a whole number")
    return value

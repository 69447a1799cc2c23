"""An agent's declaration, and running one action of it.

Invariant: exit codes are those of fence-agents: 0 done, 1 failed for whatever reason; `status` 0 on, 2 off, 1 not
known. Nothing but the answer goes to standard output, and a failure is one line on standard error.
"""

from __future__ import annotations

import sys

from fence_agents.fencing import credentials, metadata, power
from fence_agents.fencing.deadline import Clock, Deadline
from fence_agents.fencing.errors import FenceError
from fence_agents.fencing.options import Option, Values, parse_argv, parse_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    Connect = Callable[[Values, str], power.Device]
    Check = Callable[[Values], list[str]]

OK, FAILED, IS_OFF = 0, 1, 2

_GRACE_S = 0.5
"""How long after the deadline the alarm ends an action that is stuck in one answer that drips in."""

_ACTION = Option("action", "What to do: " + ", ".join(metadata.ACTIONS), short="-o", default="reboot")
_STANDARD = (
    Option("plug", "The node that this device powers, as list shows it", short="-n", obsoletes="port"),
    *credentials.OPTIONS,
    Option("delay", "Seconds to wait before off or reboot", kind="second", default="0"),
    Option(
        "power_timeout",
        "Seconds in which the action must be done and verified",
        kind="second",
        default="20",
    ),
    Option(
        "answer_timeout",
        "Seconds without one usable answer after which the device counts as failed",
        kind="second",
        default="10",
    ),
    Option("help", "Show this help and exit", kind="boolean", short="-h"),
)
_CHANGES = ("on", "off", "reboot")
_LOOKS = ("status", "monitor", "list-status")


class Agent:
    """What a fence agent declares. `connect` makes its device from the values and the password, without I/O;
    `check` returns what is wrong with the agent's own values on this host, one line each."""

    def __init__(
        self,
        *,
        name: str,
        shortdesc: str,
        longdesc: str,
        vendor_url: str,
        options: tuple[Option, ...],
        connect: Connect,
        check: Check,
    ) -> None:
        self.name = name
        self.shortdesc = shortdesc
        self.longdesc = longdesc
        self.vendor_url = vendor_url
        self.options = (_ACTION, *options, *_STANDARD)
        self.connect = connect
        self.check = check

    def metadata(self) -> str:
        """The metadata document."""
        return metadata.metadata(self.name, self.shortdesc, self.longdesc, self.vendor_url, self.options)


class Streams:
    """Where an action's words go."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self.out = out
        self.err = err


def main(agent: Agent) -> None:
    """Run `agent` as a program: options from the command line, or from standard input when there are none."""
    streams = Streams(sys.stdout, sys.stderr)
    try:
        argv = sys.argv[1:]
        given = parse_argv(argv, agent.options) if argv else parse_lines(sys.stdin.read(), agent.options)
        code = run(agent, given, Clock(), streams, alarm=_alarm)
    except FenceError as error:
        code = _failed(agent, str(error), streams)
    except Exception as error:  # noqa: BLE001, RUF100 (a traceback may show a secret)
        code = _failed(agent, f"defect in the agent: {type(error).__name__}", streams)
    sys.exit(code)


def run(
    agent: Agent,
    given: dict[str, str],
    clock: Clock,
    streams: Streams,
    alarm: Callable[[float], None] = lambda seconds: None,
) -> int:
    """Do the action that `given` asks for and return its exit code; `alarm` arms the process's last resort."""
    values = Values(agent.options, given)
    action = values.text("action")
    answer = _told(agent, values)
    if answer is not None:
        streams.out.write(answer)
        return OK
    if action not in (*_CHANGES, *_LOOKS, "validate-all"):
        return _failed(agent, f"action={action}: not one of {', '.join(metadata.ACTIONS)}", streams)
    problems = _problems(agent, values)
    for problem in problems:
        _failed(agent, problem, streams)
    if problems or action == "validate-all":
        return FAILED if problems else OK
    try:
        return _operate(agent, values, clock, streams, alarm)
    except FenceError as error:
        return _failed(agent, f"{_subject(values)}: {error}", streams)


def _told(agent: Agent, values: Values) -> str | None:
    """The text of an action that needs neither a device nor valid values; None for the others."""
    action = values.text("action")
    if values.boolean("help"):
        return metadata.usage(agent.name, agent.shortdesc, agent.options)
    if action in ("metadata", "meta-data", "manpage"):
        return agent.metadata()
    return _plug_line(values) if action == "list" else None


def _problems(agent: Agent, values: Values) -> list[str]:
    """Why the action cannot be tried; for validate-all everything that is wrong on this host, so that a device which
    only lacks good manners (a password file that others may read) still fences."""
    problems = values.problems()
    if values.text("action") != "validate-all":
        return problems
    return problems + credentials.problems(values) + ([] if problems else agent.check(values))


def _subject(values: Values) -> str:
    """What was to be done, and to which node: `off c1`."""
    return " ".join(word for word in (values.text("action"), values.text("plug")) if word)


def _operate(agent: Agent, values: Values, clock: Clock, streams: Streams, alarm: Callable[[float], None]) -> int:
    """An action that speaks to the device."""
    action = values.text("action")
    if action in ("off", "reboot"):
        clock.sleep(values.seconds("delay"))
    timing = power.Timing(clock, values.seconds("power_timeout"), values.seconds("answer_timeout"))
    deadline = Deadline(clock, timing.verify)
    alarm(timing.verify + power.ON_AGAIN_S * (action == "reboot") + _GRACE_S)
    device = agent.connect(values, credentials.password(values, deadline.remaining))
    if action == "reboot":
        warning = power.reboot(device, timing)
        if warning:
            streams.err.write(
                f"{agent.name}: reboot {values.text('plug')}: off is verified, but on failed: {warning}\n"
            )
        return OK
    if action in _CHANGES:
        (power.turn_on if action == "on" else power.turn_off)(device, timing)
        return OK
    is_on = power.look(device, timing)
    if action == "list-status":
        streams.out.write(_plug_line(values, "ON" if is_on else "OFF"))
    elif action == "status":
        streams.out.write(f"Status: {'ON' if is_on else 'OFF'}\n")
    return IS_OFF if action == "status" and not is_on else OK


def _plug_line(values: Values, *state: str) -> str:
    """fence-agents' `plug,alias[,state]`; a device that was given no plug lists none."""
    plug = values.text("plug")
    return ",".join((plug, "", *state)) + "\n" if plug else ""


def _failed(agent: Agent, reason: str, streams: Streams) -> int:
    streams.err.write(f"{agent.name}: {reason}\n")
    return FAILED


def _alarm(seconds: float) -> None:
    """End this process's action after `seconds`, wherever it is stuck."""
    import signal

    def expire(number: int, frame: object) -> None:
        raise FenceError(f"not done within {seconds:g} s: the device's answer never ends")

    signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)

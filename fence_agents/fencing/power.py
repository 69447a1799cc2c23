"""Turning a node off and on, and being sure of it.

Invariant: `turn_off` returns only when, after the request, the device read Off twice, CONFIRM_S apart, and none of
the node's own addresses answered in between. One reading may be a stale or flapping one; a device that always says
Off cannot be caught by asking it again, and so the node itself is the second witness: a kernel that still answers
is not off, whatever its BMC says (or whichever other machine that BMC belongs to). Silence from the node proves
nothing, so a device that lies about a node which is unreachable too stays undetected.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from fence_agents.fencing.deadline import Clock, Deadline
from fence_agents.fencing.errors import FenceError, NoAnswerError

POLL_S = 0.05
"""Between two looks at the power state: fencing is on the failover path."""
CONFIRM_S = 0.05
"""Between the two readings of Off, while the node's addresses are tried; a live kernel on the same network
answers a SYN within a millisecond or two."""
ASK_AGAIN_S = 0.5
"""Before a refused request is repeated: the BMC may be busy with the one before."""
ON_AGAIN_S = 1.0
"""How long a reboot insists on the power-on after a verified off. Recovery waits for the agent, and a node that
stays off endangers nobody, so it is short."""


class Device(ABC):
    """A power switch in front of one node, as an agent implements it. Every call is bounded by `timeout_s`."""

    @abstractmethod
    def is_on(self, timeout_s: float) -> bool:
        """One look at the power state: False only for a plain off, True for on and for anything between.

        NoAnswerError when asking again may help, FenceError when it cannot.
        """

    @abstractmethod
    def request(self, on: bool, timeout_s: float) -> str:
        """Ask for power `on` or off, at once. Empty when accepted, else the device's reason for refusing.

        A refusal is no error yet: devices refuse what is already so. NoAnswerError and FenceError as in `is_on`.
        """

    @abstractmethod
    def witness(self, timeout_s: float) -> str:
        """An address of the node that still answers, or "" after `timeout_s` seconds of silence."""


class Timing:
    """The two limits of every action, in seconds: `verify` for the whole, `answer` for a device's silence.

    A single request gets half of `answer`; a slow BMC takes 3 s for a reset, and more while it is busy.
    """

    def __init__(self, clock: Clock, verify: float, answer: float) -> None:
        self.clock = clock
        self.verify = verify
        self.answer = answer


def turn_off(device: Device, timing: Timing) -> None:
    """Off, verified; FenceError with the reason when it is not so in time."""
    _turn(device, False, timing)


def turn_on(device: Device, timing: Timing) -> None:
    """On, read back; FenceError with the reason when it is not so in time."""
    _turn(device, True, timing)


def reboot(device: Device, timing: Timing) -> str:
    """Off, verified, then on. Raises only for the off half; returns what went wrong with the on half, or "".

    The on is requested, not read back: the cluster recovers once this returns, and it needs nothing but the off.
    """
    turn_off(device, timing)
    deadline = Deadline(timing.clock, ON_AGAIN_S)
    while True:
        try:
            reason = device.request(True, max(deadline.remaining, POLL_S))
        except FenceError as error:
            reason = str(error)
        if not reason or deadline.expired:
            return reason
        timing.clock.sleep(POLL_S)


def look(device: Device, timing: Timing) -> bool:
    """The power state, from a device that may need to be asked again."""
    silence = Deadline(timing.clock, timing.answer)
    while True:
        try:
            return device.is_on(_share(silence))
        except NoAnswerError as error:
            if silence.expired:
                raise FenceError(str(error)) from error
        timing.clock.sleep(POLL_S)


def _share(silence: Deadline) -> float:
    """The time for one request: half of what a silent device has left, so that a lost one is asked again."""
    return max(silence.remaining / 2, POLL_S)


def _turn(device: Device, on: bool, timing: Timing) -> None:
    wanted = "on" if on else "off"
    deadline = Deadline(timing.clock, timing.verify)
    silence = Deadline(timing.clock, min(timing.answer, timing.verify))
    refusal: str | None = None
    while True:
        pause = POLL_S
        try:
            if refusal != "":
                refusal = device.request(on, _share(silence))
            reason = refusal and f"the request was refused: {refusal}"
            if refusal:
                pause = ASK_AGAIN_S
            doubt = _doubt(device, on, silence)
            if not doubt:
                return
            reason = f"{doubt}; {reason}" if reason else doubt
            silence.restart()
        except NoAnswerError as error:
            reason = str(error)
            if silence.expired:
                raise FenceError(f"not verified {wanted}: {reason}") from error
        if deadline.remaining <= pause:
            raise FenceError(f"not verified {wanted} within {timing.verify:g} s: {reason}")
        timing.clock.sleep(pause)


def _doubt(device: Device, on: bool, silence: Deadline) -> str:
    """Why the node may not be as wanted yet; empty when it is."""
    if device.is_on(_share(silence)) is not on:
        return f"the BMC reports power {'off' if on else 'on'}"
    if on:
        return ""
    address = device.witness(CONFIRM_S)
    if address:
        return f"the BMC reports power off, but {address} still answers: this BMC is wrong or is another machine's"
    return "the BMC reported power off, then on" if device.is_on(_share(silence)) else ""

"""One look at an AMQP 0-9-1 broker: protocol header out, Connection.Start in (specification 0-9-1, 2.2.4 and 4.2.2).

Invariant: the whole exchange ends within its time-out, needs no credentials, and leaves nothing open. A broker that is
booting or paused by a partition listens to nobody; one that is frozen accepts (the kernel does) and says nothing.
7 ms on the wire, where `rabbitmqctl` costs 450 ms and waits 14 s for a frozen broker.
"""

from _collections_abc import Callable

from resource_agents.ocf.http import exchange

HEADER = b"AMQP\x00\x00\x09\x01"
METHOD_FRAME = 1
CONNECTION_START = b"\x00\x0a\x00\x0a\x00\x09"
"""Class connection (10), method start (10), version-major 0, version-minor 9."""
LEAST = 13
"""Frame header (7 bytes) and the six bytes above: all that tells a broker from something else."""


def check(host: str, port: int, timeout_s: float, clock: Callable[[], float]) -> None:
    """Return when the broker at the numeric address `host` opens a connection within `timeout_s`.

    OSError: no connection, or no answer in time (TimeoutError). ValueError: it is no AMQP 0-9-1 broker.
    """
    enough = lambda answer: len(answer) >= LEAST or _refused(answer)  # noqa: E731
    judge(exchange((host, port), HEADER, enough, timeout_s, clock))


def judge(answer: bytes) -> None:
    """ValueError unless `answer` begins with Connection.Start of AMQP 0-9-1 on channel 0."""
    if not answer:
        raise ValueError("it closed the connection without an answer")
    if _refused(answer):
        raise ValueError(f"it speaks another AMQP version: {answer[:8]!r}")
    if answer[:3] != bytes((METHOD_FRAME, 0, 0)) or answer[7:LEAST] != CONNECTION_START:
        raise ValueError(f"not an AMQP broker's greeting: {answer[:LEAST]!r}")


def _refused(answer: bytes) -> bool:
    """A broker that does not take our version sends the header of its own (specification 0-9-1, 4.2.2)."""
    return answer[:4] == HEADER[:4] and len(answer) >= len(HEADER)

"""An AMQP connection of a drill's client: pika's asyncio adapter behind two awaitable doors, opening and loss.

Invariant: opening ends within OPEN_S, one way or the other, and `lost` is set as soon as either side gave the channel
up; a link that is given up is closed in the background, because a broker that is gone never says goodbye.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import AMQPError

CONNECT_S = 0.3
"""Linux sends a lost SYN again only after 1 s: a longer wait would not find the broker sooner (see probes)."""
OPEN_S = 1.0
"""TCP, AMQP handshake and channel: 20 ms on an idle broker, several times that on one that just started."""
ANSWER_S = 5.0
"""How long the broker's answer to a declaration is waited for: it asks its peers."""
HEARTBEAT_S = 2
"""The broker gives a client up after two of these and delivers again what that had not acknowledged."""
QUEUES = "vimha-drill-"
"""How the names of all drills' queues begin."""
QUORUM = {"x-queue-type": "quorum", "x-expires": 600_000}
"""Replicated, and gone 10 min after the last client of a drill that could not delete it."""
logging.getLogger("pika").setLevel(logging.CRITICAL)
"""Losing its broker is what this client is for; what came of it is in its records."""


@dataclass(frozen=True)
class Order:
    """Where and as whom to connect, and the round's queue, which has a name of its own: a broker that was down when a
    queue was deleted has the old one's replica in the way of a new one of that name.

    `password_file` has mode 0600; the password never is an argument.
    """

    address: str
    port: int
    user: str
    password_file: str
    queue: str


@dataclass
class Link:
    """An open channel. `lost` says why it is gone, once it is."""

    connection: Any
    channel: Any
    lost: "asyncio.Future[str]" = field(repr=False)

    def close(self) -> None:
        """Give the link up, without waiting for the other side."""
        if not self.lost.done():
            self.lost.set_result("given up by the client")
        with suppress(AMQPError):
            if self.connection.is_open:
                self.connection.close()


async def connect(order: Order) -> Link:
    """A new link; OSError, with what the broker or the network said, when there is none within OPEN_S."""
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[Any] = loop.create_future()
    lost: asyncio.Future[str] = loop.create_future()

    def fail(_: object, error: BaseException) -> None:
        words = str(error) or repr(error)
        if not opened.done():
            opened.set_exception(OSError(words))
        if not lost.done():
            lost.set_result(words)

    def ready(channel: Any) -> None:
        channel.add_on_close_callback(fail)
        if not opened.done():
            opened.set_result(channel)

    parameters = pika.ConnectionParameters(
        order.address, order.port, credentials=pika.PlainCredentials(order.user, _password(order)),
        heartbeat=HEARTBEAT_S, socket_timeout=CONNECT_S, stack_timeout=OPEN_S, connection_attempts=1,
    )  # fmt: skip
    connection = AsyncioConnection(
        parameters,
        on_open_callback=lambda made: made.channel(on_open_callback=ready),
        on_open_error_callback=fail,
        on_close_callback=fail,
    )
    try:
        async with asyncio.timeout(OPEN_S):
            channel = await opened
    except TimeoutError:
        Link(connection, None, lost).close()
        raise OSError(f"no channel within {OPEN_S:g} s") from None
    return Link(connection, channel, lost)


async def make_queue(link: Link, queue: str) -> None:
    """Make the drill's quorum queue; OSError when the broker will not."""
    await answered(link, lambda done: link.channel.queue_declare(queue, durable=True, arguments=QUORUM, callback=done))


async def answered(link: Link, call: Any, timeout_s: float = ANSWER_S) -> None:
    """Make `call` (which takes the callback) and wait for the broker's answer; OSError when none comes."""
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def hear(frame: Any) -> None:
        if not done.done():
            done.set_result(frame)

    try:
        call(hear)
    except AMQPError as error:
        raise OSError(str(error) or repr(error)) from error
    waiting: set[asyncio.Future[Any]] = {done, link.lost}
    await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    if not done.done():
        done.cancel()
        raise OSError(link.lost.result() if link.lost.done() else f"no answer within {timeout_s:g} s")


def _password(order: Order) -> str:
    return Path(order.password_file).read_text().strip()

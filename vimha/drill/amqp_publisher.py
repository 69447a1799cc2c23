"""The broker's publishing client of a drill: a persistent message every 20 ms to a quorum queue, with confirms.

A process of its own (`python -m vimha.drill.amqp_publisher`) in the client's network namespace; one JSON line per
message. Invariant: messages start on a fixed grid whether or not earlier ones were confirmed; a message is written
down as acknowledged only after the broker's confirm. One without it after ANSWER_S is unknown, and its connection is
given up, so that the client's patience does not blur when the service came back; a confirm that still comes counts as
the promise that it is (`{"late": id}`).
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import pika
from pika.exceptions import AMQPError

from vimha.drill import amqp_link
from vimha.drill.amqp_link import Link, Order
from vimha.drill.ledger import Outcome, Write
from vimha.drill.recorder import told_to_stop

INTERVAL_S = 0.02
ANSWER_S = 0.5
"""How long a confirm is waited for: longer than a healthy one on a busy host, and about an election's length."""
PERSISTENT = 2
PAUSE_S = 0.05
"""Between two tries to connect: a refusal comes at once."""


@dataclass
class Tags:
    """Which message each open delivery tag of one channel is; the broker counts from 1 (rabbitmq.com/confirms)."""

    sent: int = 0
    waiting: dict[int, int] = field(default_factory=dict)

    def add(self, number: int) -> None:
        """The message `number` was published on the channel."""
        self.sent += 1
        self.waiting[self.sent] = number

    def answered(self, tag: int, *, multiple: bool) -> list[int]:
        """The messages that an answer to `tag` is about."""
        tags = [each for each in self.waiting if each <= tag] if multiple else [tag] if tag in self.waiting else []
        return [self.waiting.pop(each) for each in tags]


class Publisher:
    """Publishes on a link that is made anew after any loss."""

    def __init__(
        self, order: Order, emit: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._order, self._emit, self._clock = order, emit, clock
        self._link: Link | None = None
        self._tags = Tags()
        self._why = "not connected yet"
        self._number = 0
        self._pending: dict[int, float] = {}

    async def connect_forever(self) -> None:
        """Keep a link, until cancelled."""
        while True:
            try:
                link = await amqp_link.connect(self._order)
                await self._prepare(link)
            except OSError as error:
                self._why = f"no connection: {error}"
                await asyncio.sleep(PAUSE_S)
                continue
            self._link = link
            self._why = await link.lost
            self._link = None
            self._give_up(self._why)

    def publish(self) -> None:
        """Publish the next message, and give the link up when the oldest one has waited too long."""
        self._number += 1
        start = self._pending[self._number] = self._clock()
        link = self._link
        if link is None or link.lost.done():
            self._finish(self._number, "unsent", self._why)
            return
        properties = pika.BasicProperties(delivery_mode=PERSISTENT)
        try:
            link.channel.basic_publish("", self._order.queue, str(self._number).encode(), properties)
        except AMQPError as error:
            self._finish(self._number, "unsent", str(error) or repr(error))
            return
        self._tags.add(self._number)
        if start - min(self._pending.values()) > ANSWER_S:
            self._give_up("no confirm in time")
            link.close()

    async def settle(self) -> None:
        """Wait for the last confirms, and write down what never got one."""
        end = self._clock() + ANSWER_S
        while self._pending and self._clock() < end:
            await asyncio.sleep(INTERVAL_S)
        self._give_up("no confirm in time")

    async def _prepare(self, link: Link) -> None:
        """Ask for confirms, which are about what was published on this very link. The queue is there already: the
        consumer made it, and a second declaration could make a lost one anew.
        """
        tags = Tags()
        await amqp_link.answered(
            link, lambda done: link.channel.confirm_delivery(lambda f: self._answered(tags, f.method), callback=done)
        )
        self._tags = tags

    def _answered(self, tags: Tags, method: Any) -> None:
        confirmed = isinstance(method, pika.spec.Basic.Ack)
        for number in tags.answered(method.delivery_tag, multiple=method.multiple):
            if number in self._pending:
                self._finish(number, "acknowledged" if confirmed else "unknown", "" if confirmed else "nack")
            elif confirmed:
                self._emit(json.dumps({"late": number}))

    def _give_up(self, why: str) -> None:
        for number in list(self._pending):
            self._finish(number, "unknown", why)

    def _finish(self, number: int, outcome: Outcome, why: str) -> None:
        write = Write(number, self._pending.pop(number), self._clock(), outcome, why)
        self._emit(json.dumps(asdict(write)))


async def _main(order: Order, parent: int) -> None:
    """Publish until told to stop; the last messages are waited for."""
    publisher = Publisher(order, lambda line: print(line, flush=True))
    connecting = asyncio.create_task(publisher.connect_forever())
    stop = told_to_stop(parent)
    due = time.monotonic()
    while not stop.done() and not connecting.done():
        await asyncio.sleep(due - time.monotonic())
        publisher.publish()
        due += INTERVAL_S * max(1, int((time.monotonic() - due) / INTERVAL_S) + 1)
    await publisher.settle()
    connecting.cancel()
    await asyncio.wait({connecting})
    if not connecting.cancelled():
        connecting.result()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Publish as ORDER (JSON) says until stopped; JSON lines on stdout.")
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("order", type=lambda text: Order(**json.loads(text)))
    options = parser.parse_args()
    asyncio.run(_main(options.order, options.parent))

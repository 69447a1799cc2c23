"""The broker's consuming client of a drill: writes down every message that it gets, then acknowledges it.

A process of its own (`python -m vimha.drill.amqp_consumer`) in the client's network namespace. It begins with a new
queue, says `{"ready": true}`, then `{"consumed": id}` per delivery. Invariant: a message is written down before it is
acknowledged, so none can be consumed unseen; the queue is made once, before the first message, so that one which the
brokers lose stays lost.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from pika.exceptions import AMQPError

from vimha.drill import amqp_link
from vimha.drill.amqp_link import Link, Order
from vimha.drill.recorder import told_to_stop

PREFETCH = 100
SILENCE_S = 2.0
"""A message comes every 20 ms while the brokers are well: after so long without any, the client tries a new link."""
PAUSE_S = 0.1
POLL_S = 0.1


class Consumer:
    """Consumes on a link that is made anew after any loss or silence."""

    def __init__(
        self, order: Order, emit: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._order, self._emit, self._clock = order, emit, clock
        self._heard = 0.0

    async def begin(self) -> None:
        """Make the queue; try until the brokers let us."""
        while True:
            try:
                link = await amqp_link.connect(self._order)
                await amqp_link.make_queue(link, self._order.queue)
            except OSError:
                await asyncio.sleep(PAUSE_S)
                continue
            link.close()
            self._emit(json.dumps({"ready": True}))
            return

    async def consume_forever(self) -> None:
        """Consume, until cancelled."""
        while True:
            try:
                link = await amqp_link.connect(self._order)
            except OSError:
                await asyncio.sleep(PAUSE_S)
                continue
            try:
                await self._consume(link)
            finally:
                link.close()

    async def _consume(self, link: Link) -> None:
        self._heard = self._clock()
        try:
            link.channel.basic_qos(prefetch_count=PREFETCH)
            link.channel.basic_consume(self._order.queue, lambda *delivery: self._take(link, *delivery))
        except AMQPError:
            return
        while not link.lost.done() and self._clock() < self._heard + SILENCE_S:
            await asyncio.wait({link.lost}, timeout=POLL_S)

    def _take(self, link: Link, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        del properties
        self._heard = self._clock()
        self._emit(json.dumps({"consumed": int(body)}))
        try:
            channel.basic_ack(method.delivery_tag)
        except AMQPError:  # it will be delivered again, and written down again
            link.close()


async def _main(order: Order, parent: int) -> None:
    consumer = Consumer(order, lambda line: print(line, flush=True))
    stop = told_to_stop(parent)
    for work in (consumer.begin, consumer.consume_forever):
        task = asyncio.create_task(work())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            return
        task.result()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Consume as ORDER (JSON) says until stopped; JSON lines on stdout.")
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("order", type=lambda text: Order(**json.loads(text)))
    options = parser.parse_args()
    asyncio.run(_main(options.order, options.parent))

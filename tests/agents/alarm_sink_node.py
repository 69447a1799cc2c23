"""A process that delivers the alarms of a store to one message bus until it is ended: STORE_URL URL_FILE."""

import asyncio
import sys
from pathlib import Path

from vimha.alarms.delivery.delivery import Delivery
from vimha.alarms.delivery.settings import DeliverySettings, OsloSink
from vimha.alarms.store.store import Store


async def deliver(store: str, url_file: str) -> None:
    sink = OsloSink(name="bus", url_file=Path(url_file))
    await Delivery(Store.open(store), DeliverySettings(oslo=(sink,), answer_s=2.0)).start()
    await asyncio.Event().wait()


asyncio.run(deliver(*sys.argv[1:]))

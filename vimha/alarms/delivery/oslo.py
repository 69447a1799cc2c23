"""Notifications on OpenStack's message bus (RabbitMQ), in oslo.messaging's envelope 2.0, by oslo.messaging itself.

Invariant: a notification counts as delivered when the broker has confirmed it. Therefore the transport is called as the
library's own drivers call it: its Notifier logs what the broker did not take, and goes on. All are of priority `info`,
so that one queue (`<topic>.info`) has them in order. `message_id` is the notification's: the same when it is repeated.
"""

import asyncio
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import oslo_messaging
from oslo_config import cfg

from vimha.alarms import secret_files
from vimha.alarms.delivery.network import CallError
from vimha.alarms.delivery.settings import OsloSink
from vimha.alarms.store.outbox import Notice
from vimha.alarms.times import SECOND
from vimha.alarms.words import Severity
from vimha.errors import VimhaError

THREADS = 8
PRIORITY = "info"


class OsloReceiver:
    """One message bus. VimhaError when its URL cannot be read."""

    def __init__(self, sink: OsloSink, answer_s: float) -> None:
        self._answer_s = answer_s
        self._transport = _transport(sink)
        self._target = oslo_messaging.Target(topic=f"{sink.topic}.{PRIORITY}")
        self._publisher = f"vimha.{socket.gethostname()}"
        self._threads = ThreadPoolExecutor(THREADS, "oslo")

    async def send(self, notice: Notice) -> None:
        """Deliver one notification about an alarm; CallError when the broker did not confirm it in time."""
        if notice.alarm_id is None:
            return
        call = asyncio.get_running_loop().run_in_executor(self._threads, self._send, notice)
        try:
            async with asyncio.timeout(self._answer_s):
                await call
        except TimeoutError as error:
            raise CallError(f"the message bus did not confirm within {self._answer_s:g} s") from error
        except Exception as error:  # the library's, kombu's or amqp's
            raise CallError(f"the message bus did not take it: {type(error).__name__}") from error

    async def test(self) -> None:
        """Sending tells."""

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._transport.cleanup)

    def _send(self, notice: Notice) -> None:
        self._transport._send_notification(self._target, {}, message(notice, self._publisher), version=2.0, retry=1)


def message(notice: Notice, publisher: str) -> dict[str, Any]:
    """As oslo.messaging's Notifier makes it; the payload is the alarm."""
    alarm = json.loads(notice.body)
    return {
        "message_id": notice.id,
        "publisher_id": publisher,
        "event_type": event_type(alarm),
        "priority": PRIORITY.upper(),
        "payload": alarm,
        "timestamp": str(datetime.fromtimestamp(notice.at_us / SECOND, UTC).replace(tzinfo=None)),
    }


def event_type(alarm: dict[str, Any]) -> str:
    """What happened to it: an alarm that never changed was raised just now."""
    if alarm["perceivedSeverity"] == Severity.CLEARED:
        return "vimha.alarm.cleared"
    return "vimha.alarm.changed" if "alarmChangedTime" in alarm else "vimha.alarm.raised"


def _transport(sink: OsloSink) -> Any:
    lines = secret_files.lines(sink.url_file)
    if not lines:
        raise VimhaError(f"{sink.url_file}: it is empty", "Its first line is oslo.messaging's transport URL.")
    conf = cfg.ConfigOpts()
    conf([], project="vimha", default_config_files=[])
    try:
        transport = oslo_messaging.get_notification_transport(conf, url=lines[0])
    except Exception as error:  # its words show the URL
        raise VimhaError(f"{sink.url_file}: no transport URL of oslo.messaging ({type(error).__name__})") from None
    conf.set_override("amqp_durable_queues", sink.durable, group="oslo_messaging_rabbit")
    if sink.ca_file is not None:
        conf.set_override("ssl", True, group="oslo_messaging_rabbit")
        conf.set_override("ssl_ca_file", str(sink.ca_file), group="oslo_messaging_rabbit")
    return transport

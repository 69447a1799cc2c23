"""The alarm service's subscriber of a drill: subscribes through the VIP, and records every notification that it gets.

A process of its own (`python -m vimha.drill.subscriber`) in the client's network namespace, outside of the nodes; one
JSON line per notification, in the order in which they came. Invariant: a notification is recorded before it is
answered, so what the service counts as delivered is in the record. With `--list` it prints the active alarms instead.
"""

import argparse
import asyncio
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vimha.drill.recorder import told_to_stop

PATH = "/vimfm/v1"
ASK_S = 2.0
RETRY_S = 0.2
GIVE_UP_S = 12.0
"""How long the service may take to take the subscription; it is healthy before a drill begins."""
TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
LARGEST = 1 << 20


@dataclass(frozen=True)
class Order:
    """Where the service is, by whose authority and token (files of mode 0600), and our own address."""

    url: str
    ca_file: str
    token_file: str
    address: str


def ask(order: Order, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """What the service answers, None without content; OSError when it does not, or says no."""
    request = urllib.request.Request(order.url + path, method=method)  # noqa: S310 (the drill's own lab)
    request.add_header("Authorization", f"Bearer {Path(order.token_file).read_text().strip()}")
    request.add_header("Accept", "application/json")
    data = None
    if body is not None:
        request.add_header("Content-Type", "application/json")
        data = json.dumps(body).encode()
    context = ssl.create_default_context(cafile=order.ca_file) if order.ca_file else None
    try:
        with urllib.request.urlopen(request, data, ASK_S, context=context) as answer:  # noqa: S310
            content = answer.read(LARGEST)
    except urllib.error.HTTPError as error:
        raise OSError(f"{method} {path} answers {error.code}: {error.read(500).decode(errors='replace')}") from error
    return json.loads(content) if content else None


def entry(body: bytes, at: float, epoch: float) -> dict[str, Any]:
    """A notification as it is recorded: when it came (monotonic seconds, and those of the clock), and what it says."""
    said = json.loads(body)
    alarm = said.get("alarm", {})
    return {
        "at": at,
        "epoch": epoch,
        "id": said["id"],
        "stamp": said["timeStamp"],
        "kind": said["notificationType"],
        "alarm_id": alarm.get("id", said.get("alarmId", "")),
        "definition": alarm.get("alarmDefinitionId", ""),
        "about": alarm.get("managedObjectId", ""),
        "host": alarm.get("location", {}).get("host", ""),
        "severity": alarm.get("perceivedSeverity", "CLEARED"),
        "event_time": alarm.get("eventTime", ""),
    }


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, emit: Callable[[str], object]) -> None:
    """One connection of the service's: requests until it is closed."""
    with suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            at, epoch = time.monotonic(), time.time()
            fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
            body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
            if head.startswith(b"POST "):
                emit(json.dumps(entry(body, at, epoch)))
            writer.write(TAKEN)
            await writer.drain()
    writer.close()


def subscribe(order: Order, port: int) -> str:
    """The path of a new subscription; OSError when there is none within GIVE_UP_S."""
    end = time.monotonic() + GIVE_UP_S
    while True:
        try:
            made = ask(order, "POST", f"{PATH}/subscriptions", {"callbackUri": f"http://{order.address}:{port}/"})
            return f"{PATH}/subscriptions/{made['id']}"
        except OSError:
            if time.monotonic() > end:
                raise
        time.sleep(RETRY_S)


async def _main(order: Order, parent: int) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: serve(reader, writer, lambda line: print(line, flush=True)), order.address, 0
    )
    path = await asyncio.to_thread(subscribe, order, server.sockets[0].getsockname()[1])
    print(json.dumps({"subscribed": time.time()}), flush=True)
    await told_to_stop(parent)
    with suppress(OSError):  # the service may be away by now; it finds out that nobody listens
        await asyncio.to_thread(ask, order, "DELETE", path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Subscribe to alarms as ORDER (JSON) says until stopped; JSON lines.")
    parser.add_argument("--parent", type=int, default=0)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("order", type=lambda text: Order(**json.loads(text)))
    options = parser.parse_args()
    if options.list:
        print(json.dumps(ask(options.order, "GET", f"{PATH}/alarms")))
    else:
        asyncio.run(_main(options.order, options.parent))

"""The client's side of a drill: probes at a fixed rate from the client's network namespace.

A prober is a process of its own (`python -m vimha.drill.probes`), so that its rhythm does not depend on what the drill
does meanwhile; it appends one JSON line per finished attempt to a file. Invariant: attempts start on a fixed grid of
the monotonic clock and each has its own connection and its own time-out, so a hung connection never delays the next.
A success is a complete answer: for HTTP a status of 200 or 300 (Glance's version list is 300) with the whole body,
for TCP an accepted connection. No ICMP: a machine that answers pings may serve nobody.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from vimha.drill.outage import Attempt
from vimha.drill.recorder import Recorder, told_to_stop

INTERVAL_MS = 20
"""Between two attempts of one probe: 50 a second see a gap of 20 ms and cost an API little."""
TIMEOUT_MS = 300
"""When one attempt counts as failed. A healthy answer takes milliseconds, and Linux sends a lost SYN again only after
1 s: a longer wait would not find the service sooner, it would only blur when it came back."""
ANSWERS = (200, 300)


@dataclass(frozen=True)
class Target:
    """What one probe asks: `path` is asked for by HTTP at `address`:`port`; `tcp` only connects."""

    name: str
    kind: Literal["http", "tcp"]
    address: str
    port: int
    path: str = "/"


async def _http(target: Target) -> None:
    reader, writer = await asyncio.open_connection(target.address, target.port)
    try:
        host = f"{target.address}:{target.port}"
        writer.write(f"GET {target.path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status not in ANSWERS:
            raise OSError(f"status {status}")
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
        if b"content-length" in fields:
            await reader.readexactly(int(fields[b"content-length"]))
        elif not (await reader.read()).endswith(b"0\r\n\r\n") and b"transfer-encoding" in fields:
            raise OSError("cut off in the body")
    finally:
        writer.close()


async def _tcp(target: Target) -> None:
    _, writer = await asyncio.open_connection(target.address, target.port)
    writer.close()


async def attempt(target: Target, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> Attempt:
    """One attempt at `target`, failed after `timeout_s` seconds; never raises for what the service does."""
    start = clock()
    try:
        async with asyncio.timeout(timeout_s):
            await (_http if target.kind == "http" else _tcp)(target)
    except TimeoutError:
        return Attempt(start, clock(), False, "no answer in time")
    except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
        return Attempt(start, clock(), False, str(error) or type(error).__name__)
    return Attempt(start, clock(), True)


async def probe(targets: Sequence[Target], interval_s: float, timeout_s: float, emit: Callable[[str], object]) -> None:
    """Attempt every target each `interval_s` seconds and emit one JSON line per attempt, until cancelled.

    Targets are spread over the interval. A grid point that the process slept through is left out, not made up for.
    """
    running: set[asyncio.Task[None]] = set()

    async def one(target: Target) -> None:
        done = await attempt(target, timeout_s)
        emit(json.dumps({"probe": target.name, **asdict(done)}))

    async def rhythm(target: Target, offset_s: float) -> None:
        due = time.monotonic() + offset_s
        while True:
            await asyncio.sleep(due - time.monotonic())
            task = asyncio.create_task(one(target))
            running.add(task)
            task.add_done_callback(running.discard)
            due += interval_s * max(1, int((time.monotonic() - due) / interval_s) + 1)

    async with asyncio.TaskGroup() as group:
        for number, target in enumerate(targets):
            group.create_task(rhythm(target, interval_s * number / len(targets)))


class Prober:
    """A running prober; `read` may be called while it runs. Use as a context manager: leaving stops the process."""

    def __init__(self, netns: str, targets: Sequence[Target], log: Path) -> None:
        self._attempts: dict[str, list[Attempt]] = {target.name: [] for target in targets}
        orders = [json.dumps(asdict(target)) for target in targets]
        self._recorder = Recorder("vimha.drill.probes", orders, log, netns)

    def __enter__(self) -> "Prober":
        return self

    def __exit__(self, *_: object) -> None:
        self._recorder.stop()

    def read(self) -> dict[str, list[Attempt]]:
        """Every attempt that has finished by now, by probe. VimhaError when the process died."""
        for record in self._recorder.fresh():
            self._attempts[record.pop("probe")].append(Attempt(**record))
        return self._attempts


async def _main(targets: Sequence[Target], parent: int) -> None:
    """Probe until told to stop or until the drill that started this process is gone."""
    task = asyncio.create_task(
        probe(targets, INTERVAL_MS / 1000, TIMEOUT_MS / 1000, lambda line: print(line, flush=True))
    )
    await asyncio.wait({task, told_to_stop(parent)}, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Probe TARGETs (JSON objects) until stopped; JSON lines on stdout.")
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("targets", nargs="+", type=lambda text: Target(**json.loads(text)))
    options = parser.parse_args()
    asyncio.run(_main(options.targets, options.parent))

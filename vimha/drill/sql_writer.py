"""The database's client of a drill: one INSERT every 10 ms through the VIP, by an ordinary client library.

A process of its own (`python -m vimha.drill.sql_writer`) in the client's network namespace; one JSON line per write.
Invariant: every INSERT has an id that no other has, and it is written down as acknowledged only after the server's OK;
one whose answer was lost is unknown. A client works on one connection, so an INSERT that hangs delays the next one: it
counts from its start, and is given up after ANSWER_S, so that it does not blur when the service came back.
"""

import argparse
import json
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pymysql

from vimha.drill.ledger import Outcome, Write
from vimha.drill.recorder import orphaned

INTERVAL_S = 0.01
CONNECT_S = 0.3
"""Linux sends a lost SYN again only after 1 s: a longer wait would not find the service sooner (see probes)."""
ANSWER_S = 0.5
"""How long an answer is waited for: longer than a healthy commit on a busy host, shorter than any failover."""
DATABASE, TABLE = "vimha_drill", "writes"
INSERT = f"INSERT INTO {TABLE} (id, note) VALUES (%s, %s)"  # noqa: S608 (no input)
REFUSED = frozenset({1040, 1047, 1142, 1146, 1290})
"""Server errors that come before a statement is begun (mariadb.com/kb/en/mariadb-error-codes): too many connections,
WSREP not prepared, command denied, no such table, read-only. Any other may come in the middle of a commit."""


@dataclass(frozen=True)
class Order:
    """Where and as whom to write. `password_file` has mode 0600; the password never is an argument."""

    address: str
    port: int
    user: str
    password_file: str
    first_id: int = 1


class Client:
    """An ordinary client: one connection, made anew after any error."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._password = Path(order.password_file).read_text().strip()
        self._connection: pymysql.Connection[Any] | None = None

    def insert(self, number: int) -> tuple[Outcome, str]:
        """Write the row `number`; what came of it, and why it was not acknowledged."""
        try:
            connection = self._connection = self._connection or self._connect()
        except (pymysql.MySQLError, OSError) as error:
            return "unsent", f"no connection: {_words(error)}"
        try:
            with connection.cursor() as cursor:
                cursor.execute(INSERT, (number, f"row {number}"))
        except (pymysql.MySQLError, OSError) as error:
            self.close()
            code = error.args[0] if error.args else 0
            return "refused" if code in REFUSED else "unknown", _words(error)
        return "acknowledged", ""

    def close(self) -> None:
        """Drop the connection without a word: a peer that is gone would not hear it."""
        if self._connection is not None:
            with suppress(pymysql.MySQLError, OSError):
                self._connection._force_close()  # type: ignore[attr-defined]  # close() sends COM_QUIT
        self._connection = None

    def _connect(self) -> "pymysql.Connection[Any]":
        return pymysql.connect(
            host=self._order.address, port=self._order.port, user=self._order.user, password=self._password,
            database=DATABASE, autocommit=True, connect_timeout=CONNECT_S,
            read_timeout=ANSWER_S, write_timeout=ANSWER_S, ssl_disabled=True,
        )  # fmt: skip


def _words(error: Exception) -> str:
    return " ".join(str(part) for part in error.args) or type(error).__name__


def write(
    insert: Callable[[int], tuple[Outcome, str]],
    emit: Callable[[str], object],
    stopped: Callable[[], bool],
    *,
    first_id: int = 1,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Insert a row every INTERVAL_S until `stopped`, emitting one JSON line per row, the last one under way too.

    A grid point that passes while a row hangs is left out, not made up for.
    """
    due, number = clock(), first_id
    while not stopped():
        sleep(max(0.0, due - clock()))
        start = clock()
        outcome, why = insert(number)
        done = Write(number, start, clock(), outcome, why)
        emit(json.dumps(asdict(done)))
        number += 1
        due += INTERVAL_S * max(1, int((done.end - due) / INTERVAL_S) + 1)


def _main() -> None:
    parser = argparse.ArgumentParser(description="Write rows as ORDER (JSON) says until stopped; JSON lines.")
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("order", type=lambda text: Order(**json.loads(text)))
    options = parser.parse_args()
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    client = Client(options.order)
    stopped = lambda: bool(asked) or orphaned(options.parent)  # noqa: E731
    write(client.insert, lambda line: print(line, flush=True), stopped, first_id=options.order.first_id)
    client.close()


if __name__ == "__main__":
    _main()

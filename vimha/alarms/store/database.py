"""The door to the database: engine, writing transactions, what is worth another try.

Invariant: a writing transaction holds the sequence's row from its first statement to its commit, so there is one at a
time; it is repeated as a whole when the database says that nothing of it was done, or cannot say what was: so `work`
must bear repetition (events do, by their ids).
"""

import math
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url, select, update
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,
)

from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.fair import FairLock
from vimha.alarms.store.schema import SEQUENCE

RETRIED = frozenset({1020, 1047, 1053, 1158, 1159, 1160, 1161, 1205, 1213, 2002, 2003, 2006, 2013, 2014, 2055, 4031})
"""MariaDB's errors after which the same may succeed: a deadlock or a failed certification, a member that left its
cluster, a lost connection."""
REFUSED = 2003
CONFLICTS = frozenset({1020, 1213})
"""Of them those of another writer that was quicker."""
INTERRUPTED = 1969
"""MariaDB's error for a statement that took longer than max_statement_time."""
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5
PATIENCE_S = 10.0
"""Longer than a Galera cluster takes to go on without a lost member, shorter than most askers wait."""
ANSWER_S = 8.0
"""A query may take that long; less than a connection waits for its answer."""
UNTIL = "until"
FORMS = "Write sqlite:////path/to/alarms.db or mysql+pymysql://user@host/database."

T = TypeVar("T")


def engine(url: str, *, pool: int = 8) -> Engine:
    """An engine for a SQLAlchemy URL: `sqlite:////path/file.db` or `mysql+pymysql://...`; else StoreError. A server's
    may have `?fallback=HOST:PORT`, where to connect while its own address takes no connection.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError("the store's address is no URL", FORMS) from error
    if parsed.get_backend_name() == "sqlite":
        _own_file(parsed.database or "")
        made = create_engine(parsed, connect_args={"timeout": 5, "check_same_thread": False}, pool_size=pool)
        event.listen(made, "connect", _sqlite)
        return made
    if parsed.get_backend_name() not in {"mysql", "mariadb"}:
        raise StoreError(f"{parsed.get_backend_name()}: no store is made of that", FORMS)
    fallback, parsed = parsed.query.get("fallback"), parsed.difference_update_query(["fallback"])
    made = create_engine(
        parsed.set(drivername="mysql+pymysql"), pool_size=pool, pool_pre_ping=True, pool_recycle=280,
        isolation_level="READ COMMITTED",
        connect_args={
            "connect_timeout": 3, "read_timeout": 10, "write_timeout": 10,
            "init_command": f"SET SESSION max_statement_time = {ANSWER_S:g}",
        },
    )  # fmt: skip
    if isinstance(fallback, str):
        host, _, port = fallback.rpartition(":")
        if not host or not port.isdecimal():
            raise StoreError(f"the store's fallback {fallback!r} is no HOST:PORT", FORMS)
        event.listen(made, "do_connect", _or({"host": host, "port": int(port)}))
    return made


def _or(other: Mapping[str, Any]) -> Callable[[Any, Any, Any, dict[str, Any]], Any]:
    """Connects as it is told, or else to the `other` address."""

    def connect(dialect: Any, _: Any, arguments: Any, words: dict[str, Any]) -> Any:
        try:
            return dialect.connect(*arguments, **words)
        except dialect.dbapi.OperationalError as error:
            if error.args[:1] != (REFUSED,):
                raise
        return dialect.connect(*arguments, **{**words, **other})

    return connect


def _own_file(path: str) -> None:
    """Make the file, for its user alone: subscribers' credentials are in it. SQLite's other files follow its mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(f"{path or 'no file'}: the store cannot be opened: {error.strerror}") from error


def _sqlite(connection: Any, record: Any) -> None:
    """WAL, so that readers and the writer do not wait for each other; FULL, so that a commit survives a power loss.
    The driver begins no transactions of its own: `writing` says BEGIN IMMEDIATE.
    """
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("busy_timeout=5000", "journal_mode=WAL", "synchronous=FULL", "cache_size=-65536"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    until = record.info[UNTIL] = [math.inf]
    connection.set_progress_handler(lambda: time.monotonic() > until[0], 100_000)


@contextmanager
def _answered(connection: Connection) -> Iterator[None]:
    """Have SQLite break off what takes longer than ANSWER_S; a server was told when the connection was made."""
    until = connection.info.get(UNTIL, [math.inf])
    until[0] = time.monotonic() + ANSWER_S
    try:
        yield
    finally:
        until[0] = math.inf


class Database:
    """A store's engine with its transactions. Times are seconds of a monotonic clock."""

    def __init__(
        self, made: Engine, *, patience_s: float = PATIENCE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.engine = made
        self.patience_s = patience_s
        self._clock = clock
        self._lite = made.dialect.name == "sqlite"
        self._analysed: list[tuple[Any, ...]] = []
        self._turn: AbstractContextManager[None] = FairLock() if self._lite else nullcontext()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries; each sees what was committed when it began. StoreError when the database does not
        answer within `ANSWER_S`: who asks for all that no index finds must not keep others waiting.
        """
        try:
            with self.engine.connect() as connection, _answered(connection):
                yield connection
        except (DBAPIError, TimeoutError) as error:
            raise StoreError(f"the store does not answer: {_reason(error)}") from error

    def write(self, work: Callable[[Connection, int], T], *, within_s: float | None = None) -> T:
        """Run `work(connection, sequence)` in a transaction of its own and commit it; `sequence` is the last number
        that was given out. Repeated after what is worth it for `within_s` seconds (`patience_s`); StoreError then.
        """
        return self.small(lambda connection: work(connection, _lock(connection)), within_s=within_s)

    def small(self, work: Callable[[Connection], T], *, within_s: float | None = None) -> T:
        """As `write`, without the sequence: for what tells nobody, such as leases and cursors."""
        end, limit = self._clock() + (self.patience_s if within_s is None else within_s), FIRST_PAUSE_S
        while True:
            try:
                return self._attempt(work)
            except (DBAPIError, TimeoutError) as error:
                pause = random.uniform(0, limit)  # noqa: S311
                if not passing(error) or self._clock() + pause > end:
                    raise StoreError(f"the store does not take a write: {_reason(error)}") from error
                limit = FIRST_PAUSE_S if _conflict(error) else min(2 * limit, LONGEST_PAUSE_S)
            time.sleep(pause)

    def analyse(self) -> None:
        """Have SQLite look at its tables, so that it takes the index that finds least; a server does that by itself."""
        if not self._lite:
            return
        found = self.small(_analyse)
        if found != self._analysed:
            self._analysed = found
            self.engine.dispose()  # connections know what they read when they were opened

    def _attempt(self, work: Callable[[Connection], T]) -> T:
        with self._turn, self.engine.connect() as connection:
            if self._lite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            found = work(connection)
            connection.commit()
            return found


def _analyse(connection: Connection) -> list[tuple[Any, ...]]:
    """Look at 20,000 entries of each index: some 20 ms, however large the tables are. Fewer than a host has in a long
    history would make its index look no better than that of severities.
    """
    connection.exec_driver_sql("PRAGMA analysis_limit=20000")
    connection.exec_driver_sql("ANALYZE")
    return [tuple(row) for row in connection.exec_driver_sql("SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY 1, 2")]


def _lock(connection: Connection) -> int:
    """Take the sequence's row until the end of the transaction."""
    query = select(SEQUENCE.c.value).where(SEQUENCE.c.name == 1).with_for_update()
    return int(connection.execute(query).scalar_one())


def advance(connection: Connection, value: int) -> None:
    """Remember that numbers up to `value` are given out."""
    connection.execute(update(SEQUENCE).where(SEQUENCE.c.name == 1).values(value=value))


def _reason(error: SQLAlchemyError) -> str:
    """What the database said, without the statement."""
    said = str(error.orig if isinstance(error, DBAPIError) else error)
    if said == "interrupted" or _number(error) == INTERRUPTED:
        return f"a question took longer than {ANSWER_S:g} s; ask for a time range, an object, a host or a severity"
    return said


def _conflict(error: SQLAlchemyError) -> bool:
    """Whether another writer was quicker: waiting long would only let it win again."""
    return isinstance(error, IntegrityError) or _number(error) in CONFLICTS


def _number(error: SQLAlchemyError) -> int:
    """MariaDB's number of an error; 0: it has none."""
    arguments: tuple[object, ...] = getattr(error.orig, "args", ()) if isinstance(error, DBAPIError) else ()
    return next((each for each in arguments[:1] if isinstance(each, int)), 0)


def passing(error: SQLAlchemyError) -> bool:
    """Whether the same transaction may succeed when it is tried again."""
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error, IntegrityError):
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return error.connection_invalidated
    if number := _number(error):
        return number in RETRIED or error.connection_invalidated
    return "locked" in str(error.orig) or "busy" in str(error.orig)

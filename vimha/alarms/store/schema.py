"""The tables. Times are microseconds since 1970, UTC; bodies are JSON texts in the outside shape (alarms/sol.py).

Invariant: a column beside a body repeats what the body says, for searching. `alarm` has the active alarms alone,
`history` those that were cleared; no alarm is in both.
"""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects.mysql import LONGTEXT

METADATA = MetaData()
JSON = Text().with_variant(LONGTEXT(), "mysql")
NUMBER = BigInteger().with_variant(Integer(), "sqlite")
"""A primary key of numbers: SQLite stores rows by it only if it is called INTEGER."""
NAME = 255
"""The longest identifier that is searched by: as much as InnoDB's index holds beside others in utf8mb4."""
OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_nopad_bin"}
"""Texts are equal when they are the same, as in SQLite: MariaDB's usual collations ignore case and final spaces."""
SMALL: dict[str, Any] = {**OPTIONS, "sqlite_with_rowid": False}


def _searched() -> "list[Column[object]]":
    """What both lists of alarms are searched by."""
    return [
        Column("id", String(36), primary_key=True),
        Column("managed_object", String(NAME), nullable=False),
        Column("definition", String(64), nullable=False),
        Column("severity", String(16), nullable=False),
        Column("event_type", String(32), nullable=False),
        Column("probable_cause", String(64), nullable=False),
        Column("resource_type", String(16), nullable=False),
        Column("fault_domain", String(24), nullable=False),
        Column("host", String(NAME), nullable=False),
        Column("ack", String(16), nullable=False),
        Column("event_us", BigInteger, nullable=False),
        Column("raised_us", BigInteger, nullable=False),
        Column("body", JSON, nullable=False),
        Column("sequence", BigInteger, nullable=False),
    ]


ALARM = Table(
    "alarm", METADATA, *_searched(),
    Index("alarm_raised", "raised_us", "id"),
    Index("alarm_object", "managed_object"),
    Index("alarm_host", "host"),
    Index("alarm_severity", "severity", "raised_us"),
    **OPTIONS,
)  # fmt: skip
"""The active alarms. `sequence` is that of its last notification: its version."""
HISTORY = Table(
    "history", METADATA, *_searched(),
    Column("cleared_us", BigInteger, nullable=False),
    Index("history_raised", "raised_us", "id"),
    Index("history_cleared", "cleared_us"),
    Index("history_object", "managed_object", "raised_us"),
    Index("history_host", "host", "raised_us"),
    Index("history_severity", "severity", "raised_us"),
    **OPTIONS,
)  # fmt: skip
"""The cleared alarms. `severity` is the last one before."""
ENTRY = Table(
    "entry", METADATA,
    Column("key", String(32), primary_key=True),
    Column("alarm_id", String(36), nullable=True),
    Column("seen_us", BigInteger, nullable=False),
    Column("due_us", BigInteger, nullable=True),
    Column("changes", Text, nullable=False),
    Column("latest", JSON, nullable=True),
    Index("entry_alarm", "alarm_id", unique=True),
    Index("entry_due", "due_us"),
    **SMALL,
)  # fmt: skip
"""What is known under one key (alarms/machine.py, Entry); its alarm is in table alarm."""
SEEN = Table(
    "seen", METADATA,
    Column("id", String(32), primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Index("seen_at", "at_us"),
    **SMALL,
)  # fmt: skip
"""Digests of the ids of events that were taken in: a repetition changes nothing."""
NOTIFICATION = Table(
    "notification", METADATA,
    Column("sequence", NUMBER, primary_key=True, autoincrement=False),
    Column("id", String(36), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("alarm_id", String(36), nullable=True),
    Column("at_us", BigInteger, nullable=False),
    Column("subscription_id", String(36), nullable=True),
    Column("body", JSON, nullable=False),
    Index("notification_at", "at_us"),
    **OPTIONS,
)  # fmt: skip
"""What is told: `body` is the alarm as it was then. With a `subscription_id` it is for that one alone."""
SUBSCRIPTION = Table(
    "subscription", METADATA,
    Column("id", String(36), primary_key=True),
    Column("digest", String(32), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("request", JSON, nullable=False),
    Column("cursor", BigInteger, nullable=False),
    Column("failing_since_us", BigInteger, nullable=True),
    Column("dead", Boolean, nullable=False),
    Index("subscription_digest", "digest", unique=True),
    **OPTIONS,
)  # fmt: skip
"""Who is told. `digest` is of callback and filter, to find duplicates; `request` has the credentials too; all up to
`cursor` is delivered, or not for it; a `dead` one gets nothing until it answers again."""
LEASE = Table(
    "lease", METADATA,
    Column("name", String(64), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("beat", BigInteger, nullable=False),
    **SMALL,
)  # fmt: skip
"""Who does what for all (leases.py). It guards the migrations, so it is made before them and never changes."""
SETTING = Table(
    "setting", METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
    **SMALL,
)  # fmt: skip
SEQUENCE = Table(
    "sequence", METADATA,
    Column("name", Integer, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
    **OPTIONS,
)  # fmt: skip
"""One row, 1: the last number that was given out; every transaction that gives out some locks it first."""

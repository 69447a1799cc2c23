"""The tables. Times are microseconds since 1970, UTC; bodies are JSON texts in the outside shape (alarms/sol.py).

Invariant: a column beside a body repeats what the body says, for searching. `alarm` has the active alarms alone,
`history` those that were cleared; no alarm is in both.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects.mysql import LONGTEXT

METADATA = MetaData()
JSON = Text().with_variant(LONGTEXT(), "mysql")
NAME = 255
"""The longest identifier that is searched by: as much as InnoDB's index holds beside others in utf8mb4."""


def _searched() -> list[Column[object]]:
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
    ]


ALARM = Table(
    "alarm", METADATA, *_searched(),
    Column("sequence", BigInteger, nullable=False, comment="of its last notification: its version"),
    Index("alarm_raised", "raised_us", "id"),
    Index("alarm_object", "managed_object"),
    Index("alarm_severity", "severity", "raised_us"),
)  # fmt: skip
HISTORY = Table(
    "history", METADATA, *_searched(),
    Column("cleared_us", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Index("history_raised", "raised_us", "id"),
    Index("history_cleared", "cleared_us", "id"),
    Index("history_object", "managed_object", "raised_us"),
    Index("history_severity", "severity", "cleared_us"),
    comment="severity: the last one before it was cleared",
)  # fmt: skip
ENTRY = Table(
    "entry", METADATA,
    Column("key", String(32), primary_key=True),
    Column("alarm_id", String(36), nullable=True, unique=True),
    Column("seen_us", BigInteger, nullable=False),
    Column("due_us", BigInteger, nullable=True, index=True),
    Column("changes", Text, nullable=False),
    Column("latest", JSON, nullable=True),
    comment="what is known under one key (alarms/machine.py, Entry); its alarm is in table alarm",
)  # fmt: skip
SEEN = Table(
    "seen", METADATA,
    Column("id", String(128), primary_key=True),
    Column("at_us", BigInteger, nullable=False, index=True),
    comment="events that were taken in: a repetition changes nothing",
)  # fmt: skip
NOTIFICATION = Table(
    "notification", METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String(36), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("alarm_id", String(36), nullable=True, index=True),
    Column("at_us", BigInteger, nullable=False, index=True),
    Column("subscription_id", String(36), nullable=True, comment="for this one alone; NULL: for all"),
    Column("body", JSON, nullable=False, comment="the alarm as it was then"),
)  # fmt: skip
SUBSCRIPTION = Table(
    "subscription", METADATA,
    Column("id", String(36), primary_key=True),
    Column("digest", String(32), nullable=False, unique=True, comment="of callback and filter: finds duplicates"),
    Column("created_us", BigInteger, nullable=False),
    Column("request", JSON, nullable=False, comment="as it was asked for, credentials included"),
    Column("cursor", BigInteger, nullable=False, comment="all up to this sequence is delivered, or not for it"),
    Column("failing_since_us", BigInteger, nullable=True),
    Column("dead", Boolean, nullable=False, comment="it gets nothing until it answers again"),
)  # fmt: skip
LEASE = Table(
    "lease", METADATA,
    Column("name", String(64), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("beat", BigInteger, nullable=False, comment="counts renewals"),
)  # fmt: skip
SETTING = Table(
    "setting", METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
)  # fmt: skip
SEQUENCE = Table(
    "sequence", METADATA,
    Column("name", Integer, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
    comment="one row, 1: locked by every writing transaction",
)  # fmt: skip

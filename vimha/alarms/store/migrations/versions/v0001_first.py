"""The first tables. Each statement may be repeated: MariaDB commits each one, so a crash leaves some of them done."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGTEXT

revision = "0001"
down_revision = None

JSON = sa.Text().with_variant(LONGTEXT(), "mysql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_nopad_bin"}
SMALL: dict[str, Any] = {**OPTIONS, "sqlite_with_rowid": False}
INDEXES = {
    "alarm": {
        "alarm_raised": ["raised_us", "id"], "alarm_object": ["managed_object"], "alarm_host": ["host"],
        "alarm_severity": ["severity", "raised_us"],
    },
    "history": {
        "history_raised": ["raised_us", "id"], "history_cleared": ["cleared_us"],
        "history_object": ["managed_object", "raised_us"], "history_host": ["host", "raised_us"],
        "history_severity": ["severity", "raised_us"],
    },
    "entry": {"entry_alarm": ["alarm_id"], "entry_due": ["due_us"]},
    "seen": {"seen_at": ["at_us"]},
    "notification": {"notification_at": ["at_us"]},
    "subscription": {"subscription_digest": ["digest"]},
}  # fmt: skip
UNIQUE = {"entry_alarm", "subscription_digest"}


def upgrade() -> None:
    for table, extra in (("alarm", []), ("history", [_number("cleared_us")])):
        op.create_table(table, *_searched(), *extra, if_not_exists=True, **OPTIONS)
    _work()
    _outbox()
    for table, indexes in INDEXES.items():
        for name, columns in indexes.items():
            op.create_index(name, table, columns, unique=name in UNIQUE, if_not_exists=True)
    sequence = sa.table("sequence", sa.column("name", sa.Integer), sa.column("value", sa.BigInteger))
    if op.get_bind().execute(sa.select(sequence.c.name)).first() is None:
        op.bulk_insert(sequence, [{"name": 1, "value": 0}])


def _work() -> None:
    op.create_table(
        "entry", _text("key", 32, primary_key=True), _text("alarm_id", 36, nullable=True), _number("seen_us"),
        _number("due_us", nullable=True), sa.Column("changes", sa.Text, nullable=False),
        sa.Column("latest", JSON, nullable=True), if_not_exists=True, **SMALL,
    )  # fmt: skip
    op.create_table("seen", _text("id", 32, primary_key=True), _number("at_us"), if_not_exists=True, **SMALL)
    op.create_table(
        "setting", _text("name", 64, primary_key=True), sa.Column("value", JSON, nullable=False),
        if_not_exists=True, **SMALL,
    )  # fmt: skip
    op.create_table(
        "sequence", sa.Column("name", sa.Integer, primary_key=True, autoincrement=False), _number("value"),
        if_not_exists=True, **OPTIONS,
    )  # fmt: skip


def _outbox() -> None:
    op.create_table(
        "notification", sa.Column("sequence", NUMBER, primary_key=True, autoincrement=False), _text("id", 36),
        _text("kind", 32), _text("alarm_id", 36, nullable=True), _number("at_us"),
        _text("subscription_id", 36, nullable=True), sa.Column("body", JSON, nullable=False),
        if_not_exists=True, **OPTIONS,
    )  # fmt: skip
    op.create_table(
        "subscription", _text("id", 36, primary_key=True), _text("digest", 32), _number("created_us"),
        sa.Column("request", JSON, nullable=False), _number("cursor"), _number("failing_since_us", nullable=True),
        sa.Column("dead", sa.Boolean, nullable=False), if_not_exists=True, **OPTIONS,
    )  # fmt: skip


def _searched() -> "list[sa.Column[object]]":
    return [
        _text("id", 36, primary_key=True), _text("managed_object", 255), _text("definition", 64),
        _text("severity", 16), _text("event_type", 32), _text("probable_cause", 64), _text("resource_type", 16),
        _text("fault_domain", 24), _text("host", 255), _text("ack", 16), _number("event_us"), _number("raised_us"),
        sa.Column("body", JSON, nullable=False), _number("sequence"),
    ]  # fmt: skip


def _text(name: str, size: int, *, primary_key: bool = False, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.String(size), primary_key=primary_key, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.BigInteger, nullable=nullable)

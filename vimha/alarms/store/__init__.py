"""Where alarms are kept: SQLite (WAL) embedded, MariaDB/Galera in production, by SQLAlchemy; schema by Alembic.

Invariant: what was acknowledged is on the disk of the store. All writing transactions are one after another, over all
nodes: each begins by locking the row of the sequence, so numbers of notifications are without gaps, and their order is
the order in which they were committed. A reader that has seen number n has seen all before it.
"""

"""Bringing a database to this version's tables, by Alembic.

Invariant: one at a time over all nodes, under a lease; several services may start at once. A database that is up to
date is only looked at; one of a later version is refused.
"""

import time
import uuid

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from vimha.alarms.store.database import Database
from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.leases import Leases, release
from vimha.alarms.store.schema import LEASE

NAME = "schema"
LEASE_S = 30.0
"""A step that takes longer must be written so that a second one may run beside it."""
PAUSE_S = 0.05


def upgrade(database: Database) -> None:
    """Make the tables, or bring them up to date; StoreError when that cannot be done."""
    if _done(database):
        return
    database.small(lambda connection: connection.execute(CreateTable(LEASE, if_not_exists=True)))
    owner, leases = uuid.uuid4().hex, Leases(time.monotonic)
    while not database.small(lambda connection: leases.hold(connection, [NAME], owner, LEASE_S)):
        time.sleep(PAUSE_S)
    try:
        with database.engine.begin() as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise StoreError(f"the store's tables cannot be brought up to date: {error.orig}") from error
    finally:
        database.small(lambda connection: release(connection, [NAME], owner))


def _done(database: Database) -> bool:
    steps = ScriptDirectory.from_config(_config())
    found = database.small(lambda connection: MigrationContext.configure(connection).get_current_revision())
    if found is not None and found not in {step.revision for step in steps.walk_revisions()}:
        raise StoreError(
            f"the store's tables are of a later version ({found}) than this one knows ({steps.get_current_head()})",
            "Upgrade vimha here too.",
        )
    return found == steps.get_current_head()


def _config() -> Config:
    made = Config()
    made.set_main_option("script_location", f"{__package__}:migrations")
    return made

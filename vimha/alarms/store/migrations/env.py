"""What Alembic runs: the steps that are missing, on the connection that upgrade.py hands over."""

from alembic import context

from vimha.alarms.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()

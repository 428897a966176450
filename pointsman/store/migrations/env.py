"""Alembic's entrance. The connection, with its transaction, comes from `pointsman.store.schema`."""

from alembic import context

from pointsman.store import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()

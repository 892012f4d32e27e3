"""Alembic's entry: runs the revisions on the connection that `tillstream.db.migrate` hands over."""

from alembic import context

from tillstream.db.tables import SCHEMA, Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    version_table_schema=SCHEMA,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()

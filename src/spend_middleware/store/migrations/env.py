"""Alembic's environment: runs the revisions on the connection it is given, or writes their SQL."""

from __future__ import annotations

from alembic import context

from spend_middleware.store.migrate import VERSION_TABLE

attributes = context.config.attributes
context.configure(
    connection=attributes.get("connection"),
    dialect_name=attributes.get("dialect"),
    version_table=VERSION_TABLE,
    version_table_schema=attributes.get("schema"),
    transactional_ddl=True,
    as_sql=context.is_offline_mode(),
    spend_schema=attributes.get("schema"),
)
if context.is_offline_mode():
    with context.begin_transaction():
        context.run_migrations()
else:
    context.run_migrations()

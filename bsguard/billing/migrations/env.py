"""What Alembic runs for every command; the connection comes from :func:`bsguard.billing.migrations.upgrade`."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from bsguard.billing.install import VERSION_TABLE
from bsguard.billing.schema import metadata

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    # Workers may start together; the others find the work done.
    connection.execute(text("SELECT pg_advisory_xact_lock(7236718254391)"))
else:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()

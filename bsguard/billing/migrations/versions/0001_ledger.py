"""The ledger: accounts, holds, entries, grants."""

from __future__ import annotations

from importlib import import_module

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    connection = op.get_bind()
    frozen = import_module(f"bsguard.billing.migrations.frozen.{connection.dialect.name}_0001")
    for statement in frozen.STATEMENTS:
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Refused: it would delete the books."""
    raise NotImplementedError("the ledger is not deleted by a migration; drop its tables yourself if you mean it")

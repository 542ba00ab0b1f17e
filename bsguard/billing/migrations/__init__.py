"""Migrations by Alembic, shipped in the package: ``upgrade(engine)`` brings the tables to this code's version.

They keep their revision in a table of their own and touch nothing else, so the application's own Alembic does not see
them. Needs the extra ``bsguard[migrations]``; without it, ``create_schema`` makes the tables in an empty database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Make or alter the tables up to *revision*, in one transaction. Raises SchemaOutdated if none leads there."""
    # Imported here, so that the ledger itself runs without Alembic.
    from alembic import command
    from alembic.config import Config

    from bsguard.billing.install import check_migratable

    config = Config()
    config.set_main_option("script_location", "bsguard.billing:migrations")
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    with engine.begin() as connection:
        check_migratable(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

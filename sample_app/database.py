"""Tables and connections. What is done with the rows belongs to the stores that own them."""

from __future__ import annotations

import contextlib
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
)
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateIndex, CreateTable

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long a connection waits for another one's write. Writes here take well under a millisecond, so a wait of this
# length means trouble, and the request is answered with 503 rather than held.
BUSY_SECONDS_MAX: Final = 5

metadata = MetaData()

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("secret_sha256", LargeBinary(32), nullable=False),
    Column("account_id", String(63), nullable=False),
    Column("label", String(100), nullable=False),
    # Scope names separated by spaces, sorted.
    Column("scopes", String(200), nullable=False),
    # Moments are milliseconds since 1970, UTC; null means never.
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index("idx_api_keys_account", "account_id"),
)

generations = Table(
    "generations",
    metadata,
    Column("generation_id", String(36), primary_key=True),
    Column("account_id", String(63), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("model", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    # The common fields as they were sent, as JSON.
    Column("request", Text, nullable=False),
    Column("credits", BigInteger, nullable=False),
    Column("provider", String(32)),
    # The file ids of the outputs, as a JSON list.
    Column("outputs", Text, nullable=False),
    Column("failure_code", String(64)),
    Column("failure_message", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # Serves the newest-first walk through one account without sorting.
    Index("idx_generations_account_created", "account_id", "created_at", "generation_id"),
)


class Database:
    """Connections to one SQLite file, opened when first used and never carried over a fork.

    gunicorn forks its workers, and an SQLite connection must not cross a fork: each process gets its own engine, told
    apart by process id.
    """

    def __init__(self, url: str) -> None:
        """Remember where the database is; nothing is opened yet."""
        self._url = url
        self._engines: dict[int, Engine] = {}

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database throughout."""
        with self._current().connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection that holds the write lock from the start and commits at the end.

        Taking the lock with the first read, rather than at the first write, means that what was read still holds when
        it is written, and that SQLite never has to refuse the upgrade from reading to writing.
        """
        with self._current().connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    def dispose(self) -> None:
        """Close this process's idle connections."""
        engine = self._engines.pop(os.getpid(), None)
        if engine is not None:
            engine.dispose()

    def _current(self) -> Engine:
        process = os.getpid()
        engine = self._engines.get(process)
        if engine is None:
            # Two threads may both get here; one engine wins, the other is dropped. Neither is wrong. A parent's engine
            # stays in the mapping: letting it go would close the parent's connections from this side of the fork.
            engine = self._engines.setdefault(process, self._open())
        return engine

    def _open(self) -> Engine:
        path = Path(str(make_url(self._url).database))
        with contextlib.suppress(OSError):
            # If the folder cannot be made, the connection below fails and is reported like any other failure.
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Errors are logged; what is in the rows is not for the log.
        engine = create_engine(self._url, connect_args={"timeout": BUSY_SECONDS_MAX}, hide_parameters=True)
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            for table in metadata.sorted_tables:
                # Workers start together: "if not exists" is decided by SQLite under the lock, not by a look before.
                connection.execute(CreateTable(table, if_not_exists=True))
                for index in sorted(table.indexes, key=lambda one: str(one.name)):
                    connection.execute(CreateIndex(index, if_not_exists=True))
        return engine


def _prepare(connection: Any, _record: object) -> None:
    # Readers and the writer do not wait for each other.
    connection.execute("PRAGMA journal_mode = WAL")


def _begin(connection: Connection) -> None:
    # Said outright, since the driver would begin by itself only at the first write.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

"""Connections to the database, SQLite or PostgreSQL, and the credits ledger that lives in it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, Table, create_engine, event, insert, inspect, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from bsguard.billing import Ledger, create_schema
from sample_app.clock import SECOND_MS, Clock, system_clock
from sample_app.tables import UPGRADES, VERSION, api_keys, generations, metadata, version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# How long a connection waits for another one's write. Writes here take well under a millisecond, so a wait of this
# length means trouble, and the request is answered with 503 rather than held.
BUSY_SECONDS_MAX: Final = 5

CONNECT_SECONDS_MAX: Final = 5

# Connections of one process: its threads, its runner's and the sweeper's at once, with a few to spare.
CONNECTIONS_MAX: Final = 20

# Any number that nothing else in the database locks by.
_SCHEMA_LOCK: Final = 7_236_718_254_392


class WrongVersion(SQLAlchemyError):
    """The tables are of another version of this app."""


@dataclass(frozen=True, slots=True)
class _LedgerClock:
    """The app's clock, as the ledger reads clocks: seconds."""

    clock: Clock

    def now(self) -> float:
        return self.clock() / SECOND_MS


@dataclass(frozen=True, slots=True)
class _Opened:
    """What one process has open."""

    engine: Engine
    # SQLite lets one write at a time and makes the others sleep and try again; the threads of one process queue here.
    turn: threading.Lock = field(default_factory=threading.Lock)


class Database:
    """Connections to one database, opened when first used and never carried over a fork.

    gunicorn forks its workers, and a connection must not cross a fork: each process gets its own engine, told apart by
    process id. ``ledger`` keeps the credits; ``ledger.using(connection)`` does so inside a transaction made here.
    """

    def __init__(self, url: str, clock: Clock = system_clock) -> None:
        """Remember where the database is; it is opened when first used."""
        self._url = url
        self._opened: dict[int, _Opened] = {}
        # The ledger begins its transactions in its own way and drops what a fork left it, so it has its own engine.
        self.ledger_engine = create_engine(url, hide_parameters=True, **_pool(url))
        self.ledger = Ledger(self.ledger_engine, clock=_LedgerClock(clock))
        self._turns: dict[int, threading.Lock] = {}

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database throughout (on PostgreSQL: throughout each statement)."""
        with self._current().engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection that commits at the end.

        On SQLite it holds the write lock from the start, so that what was read still holds when it is written, and
        SQLite never has to refuse the upgrade from reading to writing. On PostgreSQL that is up to the statements:
        each change names the state that it comes from.
        """
        opened = self._current()
        # Whoever does not get his turn in time hears from SQLite that the database is locked.
        mine = opened.engine.dialect.name == "sqlite" and opened.turn.acquire(timeout=BUSY_SECONDS_MAX)
        try:
            with opened.engine.connect().execution_options(writes=True) as connection, connection.begin():
                yield connection
        finally:
            if mine:
                opened.turn.release()

    def prepare(self) -> None:
        """Make the tables, if they are not there."""
        self._current()

    def dispose(self) -> None:
        """Close this process's idle connections."""
        opened = self._opened.pop(os.getpid(), None)
        if opened is not None:
            opened.engine.dispose()
        self.ledger_engine.dispose()

    def _current(self) -> _Opened:
        process = os.getpid()
        opened = self._opened.get(process)
        if opened is None:
            # A parent's engine stays in the mapping: letting it go would close the parent's connections from this side
            # of the fork. So does its lock, which a thread of the parent may have held.
            with self._turns.setdefault(process, threading.Lock()):
                opened = self._opened.get(process) or self._opened.setdefault(process, self._patiently_open())
        return opened

    def _patiently_open(self) -> _Opened:
        """Open it, again if workers that start together are in each other's way: SQLite does not wait for that."""
        deadline = time.monotonic() + BUSY_SECONDS_MAX
        while True:
            try:
                return self._open()
            except OperationalError:
                if "sqlite" not in self._url or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _open(self) -> _Opened:
        url = make_url(self._url)
        local = url.get_backend_name() == "sqlite"
        if local:
            with contextlib.suppress(OSError):
                # If the folder cannot be made, the connection below fails and is reported like any other failure.
                Path(str(url.database)).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Errors are logged; what is in the rows is not for the log.
        engine = create_engine(self._url, hide_parameters=True, **_pool(self._url))
        if local:
            event.listen(engine, "connect", _prepare)
            event.listen(engine, "begin", _begin)
        create_schema(self.ledger_engine)
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            _make_tables(connection)
        return _Opened(engine)


def insert_new(connection: Connection, table: Table, values: Mapping[str, object]) -> bool:
    """Insert a row unless one with its key is there; whether it was inserted.

    While another transaction inserts the same key, this waits for it to end.
    """
    make: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    key = list(table.primary_key.columns)
    statement = make(table).values(**values).on_conflict_do_nothing(index_elements=key).returning(key[0])
    return connection.execute(statement).one_or_none() is not None


def _pool(url: str) -> dict[str, Any]:
    if make_url(url).get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_SECONDS_MAX}, "pool_size": CONNECTIONS_MAX}
    options = f"-c lock_timeout={BUSY_SECONDS_MAX * 1_000}"
    return {
        "connect_args": {"connect_timeout": CONNECT_SECONDS_MAX, "options": options},
        "pool_size": CONNECTIONS_MAX,
        # A connection that a firewall or a restart has ended is replaced before it is used.
        "pool_pre_ping": True,
    }


def _make_tables(connection: Connection) -> None:
    """Make what is missing. Workers start together: the lock lets one of them do it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _SCHEMA_LOCK})
    names = inspect(connection).get_table_names()
    if version.name in names:
        _upgrade(connection, connection.execute(select(version.c.version)).scalar_one())
        return
    if "generations" in names:
        # The first release had API keys, which stay as they are, and sample rows in place of generations.
        connection.execute(DropTable(generations))
    for table in metadata.sorted_tables:
        if table is api_keys and table.name in names:
            continue
        connection.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            connection.execute(CreateIndex(index))
    connection.execute(insert(version).values(version=VERSION))


def _upgrade(connection: Connection, found: int) -> None:
    if found == VERSION:
        return
    if found not in UPGRADES:
        raise WrongVersion(
            f"The control plane's tables are of version {found} and this is version {VERSION}: "
            "name another database in CONTROL_PLANE_DATABASE_URL, or remove these tables."
        )
    for number in range(found, VERSION):
        for statement in UPGRADES[number]:
            connection.exec_driver_sql(statement)
    connection.execute(update(version).values(version=VERSION))


def _prepare(connection: Any, _record: object) -> None:
    # Readers and the writer do not wait for each other.
    connection.execute("PRAGMA journal_mode = WAL")


def _begin(connection: Connection) -> None:
    # Said outright, since the driver would begin by itself only at the first write.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

"""SQLite: ``BEGIN IMMEDIATE``, a statement for each step, ``COMMIT``; one writer of this process at a time."""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from bsguard.billing.errors import Contention
from bsguard.billing.faults import Fault, fault_of
from bsguard.billing.points import passing
from bsguard.billing.runner import ConnectFailed, errors_of, every, run_steps
from bsguard.core.fork import in_each_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Engine

    from bsguard.billing.chain import Plan
    from bsguard.billing.runner import Answer, Values

#: Between two tries for the write lock; a transaction of ours holds it for a few tenths of a millisecond.
_ASK_AGAIN_SECONDS: Final = (0.0002, 0.0015)


class CommitFailed(Exception):
    """The disk failed while committing; only reading can tell whether it was done."""


class _WriteLocks:
    """One lock for each database file, so that the threads of a process queue here.

    SQLite's own waiting sleeps and tries again, which is slow and unfair; it is left for other processes.
    """

    def __init__(self) -> None:
        self._locks: dict[str, threading.Lock] = {}
        in_each_child(self._forget)

    def of(self, engine: Engine) -> threading.Lock:
        # An engine without a file is a database of its own.
        name = engine.url.database
        key = name if name and name != ":memory:" else f"memory {id(engine.pool)}"
        return self._locks.setdefault(key, threading.Lock())

    def _forget(self) -> None:
        self._locks.clear()


_write_locks = _WriteLocks()


class SqliteRunner:
    """Runs plans on the driver's connection. Nothing but the database is waited for while the write lock is held."""

    owns = True

    def __init__(self, engine: Engine, lock_timeout_ms: int) -> None:
        self.dialect = engine.dialect
        self.errors = errors_of(engine.dialect)
        self._engine = engine
        self._wait_seconds = lock_timeout_ms / 1000
        in_each_child(self._forget)

    def run(self, plan: Plan, values: Values, *, lock: str | None = None) -> Answer | None:  # noqa: ARG002 - all is locked
        """Run *plan* atomically."""
        with self._writing() as execute:
            return run_steps(execute, plan, values)

    def run_each(self, plan: Plan, values: Sequence[Values]) -> list[Answer | None]:
        """Run *plan* for each of *values* in one transaction."""
        with self._writing() as execute:
            return [run_steps(execute, plan, one) for one in values]

    def read(self, plan: Plan, values: Values) -> list[Answer]:
        """All rows of a plan that only reads."""
        with self._driver() as driver:
            return every(plan, driver.execute(plan.last.sql, plan.last.bind(values)).fetchall())

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """A connection of SQLAlchemy that sees one state of the database throughout."""
        with self._engine.connect() as connection:
            if not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
                # The driver begins a transaction only at the first change, but several reads must agree.
                connection.exec_driver_sql("BEGIN")
            yield connection

    def lost(self) -> None:
        """A file has no connection to lose."""

    @contextmanager
    def _writing(self) -> Iterator[Callable[[str, Any], list[Any]]]:
        lock = _write_locks.of(self._engine)
        if not lock.acquire(timeout=self._wait_seconds):
            raise Contention("other threads of this process kept the database busy")
        try:
            with self._driver() as driver:
                passing("before")
                self._begin(driver)
                try:
                    passing("locked")
                    yield lambda sql, values: driver.execute(sql, values).fetchall()
                    passing("written")
                except BaseException:
                    driver.execute("ROLLBACK")
                    raise
                self._commit(driver)
                passing("committed")
        finally:
            lock.release()

    def _begin(self, driver: Any) -> None:
        """Take the write lock, asking again every millisecond or so.

        SQLite's own waiting doubles its sleeps up to a tenth of a second, so that whoever has waited long waits
        longer. The connection's own setting is put back: it is the user's.
        """
        (own_ms,) = driver.execute("PRAGMA busy_timeout").fetchone()
        driver.execute("PRAGMA busy_timeout = 0")
        try:
            end = time.monotonic() + self._wait_seconds
            while True:
                try:
                    driver.execute("BEGIN IMMEDIATE")
                except self.errors as error:
                    if fault_of(error, self.dialect) is not Fault.CONTENTION or time.monotonic() >= end:
                        raise
                else:
                    return
                time.sleep(random.uniform(*_ASK_AGAIN_SECONDS))  # noqa: S311 - no secret
        finally:
            driver.execute(f"PRAGMA busy_timeout = {own_ms}")

    def _commit(self, driver: Any) -> None:
        try:
            driver.execute("COMMIT")
        except self.errors as error:
            # A reader in another process can make it wait; then the transaction is still there to be undone.
            if driver.in_transaction:
                driver.execute("ROLLBACK")
                raise
            raise CommitFailed from error

    @contextmanager
    def _driver(self) -> Iterator[Any]:
        try:
            pooled = self._engine.raw_connection()
        except self.errors as error:
            raise ConnectFailed from error
        driver: Any = pooled.driver_connection
        # With autocommit=False, from Python 3.12 on, the driver always has a transaction, of the kind that reads first.
        always_in_one = getattr(driver, "autocommit", None) is False
        try:
            if always_in_one:
                driver.autocommit = True
            yield driver
            if always_in_one:
                driver.autocommit = False
        except self.errors:
            if always_in_one:
                driver.autocommit = False
            pooled.close()
            raise
        except BaseException:
            pooled.invalidate()
            raise
        pooled.close()

    def _forget(self) -> None:
        # SQLite connections must not cross a fork, and closing the parent's from here would drop its file locks.
        self._engine.dispose(close=False)

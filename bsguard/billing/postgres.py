"""PostgreSQL: one statement, one round trip, its own transaction, on a connection of the user's pool."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from bsguard.billing.points import passing
from bsguard.billing.runner import LOCK_ACCOUNT, ConnectFailed, errors_of, every, first
from bsguard.core.fork import in_each_child

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine

    from bsguard.billing.chain import Plan
    from bsguard.billing.runner import Answer, Values


class PostgresRunner:
    """Runs plans on the driver's connection: SQLAlchemy's own execution would cost as much again as the statement."""

    owns = True

    def __init__(self, engine: Engine, lock_timeout_ms: int) -> None:
        self.dialect = engine.dialect
        self.errors = errors_of(engine.dialect)
        self._engine = engine
        self._lock_timeout = f"{lock_timeout_ms}ms"
        #: Whether transactions are stricter than READ COMMITTED where nothing is said; None until it was asked.
        self._strict: bool | None = None
        in_each_child(self._forget)

    def run(self, plan: Plan, values: Values, *, lock: str | None = None) -> Answer | None:
        """Run *plan* atomically."""
        values["lock_timeout"] = self._lock_timeout
        with self._cursor() as cursor:
            if lock is None:
                passing("before")
                rows = self._run_alone(cursor, plan, values)
            else:
                rows = self._run_locked(cursor, plan, values, lock)
            passing("committed")
        return first(plan, rows)

    def run_each(self, plan: Plan, values: Sequence[Values]) -> list[Answer | None]:
        """Run *plan* for each of *values* in one transaction."""
        answers: list[Answer | None] = []
        with self._cursor() as cursor, self._transaction(cursor):
            for one in values:
                one["lock_timeout"] = self._lock_timeout
                cursor.execute(plan.last.sql, plan.last.bind(one))
                answers.append(first(plan, cursor.fetchall()))
            passing("written")
        return answers

    def read(self, plan: Plan, values: Values) -> list[Answer]:
        """All rows of a plan that only reads, or that answers with many."""
        values["lock_timeout"] = self._lock_timeout
        with self._cursor() as cursor:
            return every(plan, self._run_alone(cursor, plan, values))

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """A connection of SQLAlchemy that sees one state of the database throughout and changes nothing."""
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._engine.connect() as connection:
            yield connection.execution_options(**options)

    def lost(self) -> None:
        """A connection broke: those that lie idle are of no use either."""
        self._engine.dispose()

    def _run_alone(self, cursor: Any, plan: Plan, values: Values) -> list[Any]:
        """One statement, which is its own transaction unless the server would make that a stricter one."""
        if self._strict is None:
            cursor.execute("SHOW default_transaction_isolation")
            self._strict = cursor.fetchone()[0] != "read committed"
        with self._transaction(cursor) if self._strict else nullcontext():
            cursor.execute(plan.last.sql, plan.last.bind(values))
            rows: list[Any] = cursor.fetchall()
        return rows

    def _run_locked(self, cursor: Any, plan: Plan, values: Values, lock: str) -> list[Any]:
        with self._transaction(cursor):
            cursor.execute(f"SET LOCAL lock_timeout = '{self._lock_timeout}'")
            cursor.execute(LOCK_ACCOUNT, (lock,))
            passing("locked")
            cursor.execute(plan.last.sql, plan.last.bind(values))
            rows: list[Any] = cursor.fetchall()
            passing("written")
        return rows

    @contextmanager
    def _transaction(self, cursor: Any) -> Iterator[None]:
        # READ COMMITTED, whatever the server's default: a statement that had to wait for a lock then sees the newest
        # row, where the stricter levels would raise an error under every contention.
        cursor.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        try:
            yield
        except self.errors:
            cursor.execute("ROLLBACK")
            raise
        cursor.execute("COMMIT")

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        try:
            pooled = self._engine.raw_connection()
        except self.errors as error:
            raise ConnectFailed from error
        driver: Any = pooled.driver_connection
        committing = driver.autocommit
        try:
            if not committing:
                driver.autocommit = True
            cursor = driver.cursor()
            try:
                yield cursor
            finally:
                cursor.close()
            if not committing:
                driver.autocommit = False
        except BaseException as error:
            self._give_up(pooled, driver, error, committing)
            raise
        pooled.close()

    def _give_up(self, pooled: Any, driver: Any, error: BaseException, committing: bool) -> None:
        """Keep the connection after an error that the server reported; drop it after any other.

        An interrupt may have come between a statement and its answer, which nobody must read later.
        """
        reported = isinstance(error, self.errors) and not self.dialect.is_disconnect(error, driver, None)  # type: ignore[arg-type]
        if reported:
            try:
                driver.autocommit = committing
                pooled.close()
            except self.errors:
                pooled.invalidate()
        else:
            pooled.invalidate()

    def _forget(self) -> None:
        # The parent's connections must not even be closed here: that would end its sessions.
        self._engine.dispose(close=False)

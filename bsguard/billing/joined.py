"""Inside the caller's transaction: atomic with the caller's own tables, committed or undone by the caller."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bsguard.billing.errors import ArgumentInvalid
from bsguard.billing.points import passing
from bsguard.billing.runner import LOCK_ACCOUNT, errors_of, every, first, is_autocommit, run_steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from bsguard.billing.chain import Plan
    from bsguard.billing.runner import Answer, Values


class JoinedRunner:
    """Runs plans through SQLAlchemy's connection, which begins its transaction, and in a savepoint.

    An error of ours then undoes what the operation did and leaves the caller's transaction usable.
    """

    owns = False

    def __init__(self, connection: Connection) -> None:
        if is_autocommit(connection):
            raise ArgumentInvalid("connection", "commits by itself", "pass one that is not in AUTOCOMMIT")
        self.dialect = connection.dialect
        self.errors = errors_of(connection.dialect)
        self._connection = connection

    def run(self, plan: Plan, values: Values, *, lock: str | None = None) -> Answer | None:
        """Run *plan* in a savepoint."""
        with self._savepoint():
            if self.dialect.name == "sqlite":
                return run_steps(self._execute, plan, values)
            values["lock_timeout"] = None
            if lock is not None:
                self._execute(LOCK_ACCOUNT, (lock,))
            return first(plan, self._execute(plan.last.sql, plan.last.bind(values)))

    def run_each(self, plan: Plan, values: Sequence[Values]) -> list[Answer | None]:
        """Run *plan* for each of *values*."""
        return [self.run(plan, one) for one in values]

    def read(self, plan: Plan, values: Values) -> list[Answer]:
        """All rows of a plan that only reads."""
        values["lock_timeout"] = None
        return every(plan, self._execute(plan.last.sql, plan.last.bind(values)))

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """The caller's connection."""
        yield self._connection

    def lost(self) -> None:
        """The caller's connection is the caller's to replace."""

    def _execute(self, sql: str, values: Any) -> list[Any]:
        result = self._connection.exec_driver_sql(sql, values)
        return list(result.fetchall()) if result.returns_rows else []

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        self._begin()
        self._execute("SAVEPOINT bsguard_billing", ())
        try:
            yield
        except self.errors:
            if not self._connection.invalidated:
                self._execute("ROLLBACK TO SAVEPOINT bsguard_billing", ())
                self._execute("RELEASE SAVEPOINT bsguard_billing", ())
            raise
        passing("written")
        self._execute("RELEASE SAVEPOINT bsguard_billing", ())

    def _begin(self) -> None:
        """Have a transaction on SQLite.

        Python's driver begins one only before a change, so our savepoint would be the outermost transaction and its
        release would commit. And a transaction that reads first and then writes can be refused by SQLite.
        """
        if not self._connection.in_transaction():
            self._connection.begin()
        if self.dialect.name == "sqlite" and not self._connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
            self._execute("BEGIN IMMEDIATE", ())

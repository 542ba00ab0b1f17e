"""What runs plans: the interface, and what all runners need. One runner is one way to have a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy.exc import SQLAlchemyError

from bsguard.billing.points import passing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Dialect

    from bsguard.billing.chain import Plan

Values = dict[str, Any]
Answer = dict[str, Any]

#: Locks the row of one account on PostgreSQL, so that what the next statement reads cannot be older than the lock.
LOCK_ACCOUNT: Final = "SELECT seq FROM bsguard_account WHERE account = %s FOR UPDATE"


class ConnectFailed(Exception):
    """There is no connection, so nothing was sent; the cause says why."""


class Runner(Protocol):
    """Runs plans in transactions of its own, or in the caller's."""

    dialect: Dialect
    #: Whether the transactions are its own: then a plan may simply be run again.
    owns: bool
    #: What the database driver raises.
    errors: tuple[type[Exception], ...]

    def run(self, plan: Plan, values: Values, *, lock: str | None = None) -> Answer | None:
        """Run *plan* atomically. With *lock*, that account is locked before anything is read.

        None if the last statement found nothing.
        """
        ...

    def run_each(self, plan: Plan, values: Sequence[Values]) -> list[Answer | None]:
        """Run *plan* for each of *values* in one transaction."""
        ...

    def read(self, plan: Plan, values: Values) -> list[Answer]:
        """All rows of a plan that only reads."""
        ...

    def connect(self) -> Any:
        """A context manager with a connection of SQLAlchemy, for what is not done often."""
        ...

    def lost(self) -> None:
        """A connection broke: those that lie idle are of no use either."""
        ...


def errors_of(dialect: Dialect) -> tuple[type[Exception], ...]:
    """What can be raised by the driver of *dialect*, bare or wrapped."""
    return (dialect.loaded_dbapi.Error, SQLAlchemyError)


def run_steps(execute: Callable[[str, Any], list[Any]], plan: Plan, values: Values) -> Answer | None:
    """Run a plan whose steps are statements of their own. The caller holds the write lock."""
    known = dict(values)
    closed = False
    for step in plan.steps:
        if closed:
            known.update((f"{step.name}_{name}", None) for name in step.returns)
            continue
        rows = execute(step.prepared.sql, step.prepared.bind(known))
        if step.returns:
            closed = not rows
            row: Sequence[Any] = rows[0] if rows else (None,) * len(step.returns)
            known.update((f"{step.name}_{name}", value) for name, value in zip(step.returns, row, strict=True))
        passing(step.name)
    if plan.told_by_steps and not closed:
        return {name: known[source] if source else None for name, source in plan.told_by_steps.items()}
    return first(plan, execute(plan.last.sql, plan.last.bind(known)))


def first(plan: Plan, rows: Sequence[Sequence[Any]]) -> Answer | None:
    """The first of *rows* by name, if there is one."""
    return dict(zip(plan.columns, rows[0], strict=True)) if rows else None


def every(plan: Plan, rows: Sequence[Sequence[Any]]) -> list[Answer]:
    """All *rows* by name."""
    return [dict(zip(plan.columns, row, strict=True)) for row in rows]


def is_autocommit(connection: Connection) -> bool:
    """Whether *connection* commits every statement by itself, so that a transaction of the caller's does not exist."""
    return getattr(connection.connection.driver_connection, "autocommit", False) is True

"""What an error of a database driver means, whichever driver it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

if TYPE_CHECKING:
    from sqlalchemy import Dialect


class Fault(Enum):
    """What happened, as far as the ledger cares."""

    #: A unique key was there already: somebody else was first.
    DUPLICATE = auto()
    #: A balance would leave its bounds.
    BOUNDS = auto()
    #: Locked for too long, a deadlock, or a serialization failure; the transaction was undone.
    CONTENTION = auto()
    #: A table, a column or the permission is missing.
    SCHEMA = auto()
    #: The connection is lost; whether the last statement was done is unknown.
    LOST = auto()
    #: The database answered that it cannot do this, and did nothing.
    UNAVAILABLE = auto()
    #: None of these: a bug, or a rule of the user's own on our tables.
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class _Row:
    fault: Fault
    codes: tuple[str, ...]


# https://www.postgresql.org/docs/current/errcodes-appendix.html; a code of two characters stands for its class.
_POSTGRESQL: Final = (
    _Row(Fault.DUPLICATE, ("23505",)),
    _Row(Fault.BOUNDS, ("23514", "22003")),
    _Row(Fault.CONTENTION, ("55P03", "40001", "40P01", "57014")),
    _Row(Fault.SCHEMA, ("42P01", "42703", "42501", "3F000")),
    # A server that shuts down ends the connection; the statement may have been committed just before.
    _Row(Fault.LOST, ("08", "57P01", "57P02", "57P03")),
    _Row(Fault.UNAVAILABLE, ("53", "25006", "58")),
)

# https://www.sqlite.org/rescode.html
_SQLITE: Final = (
    _Row(Fault.DUPLICATE, ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY")),
    _Row(Fault.BOUNDS, ("SQLITE_CONSTRAINT_CHECK",)),
    _Row(Fault.CONTENTION, ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_INTERRUPT")),
    _Row(
        Fault.UNAVAILABLE,
        ("SQLITE_IOERR", "SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_CORRUPT", "SQLITE_NOTADB"),
    ),
)


def fault_of(error: BaseException, dialect: Dialect) -> Fault:
    """Which fault *error* is; it may be of the driver or wrapped by SQLAlchemy."""
    if isinstance(error, PoolTimeout):
        return Fault.CONTENTION
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return Fault.LOST
        error = error.orig or error
    if dialect.name == "sqlite":
        name = getattr(error, "sqlite_errorname", None) or ""
        if name == "SQLITE_ERROR" and str(error).startswith(("no such table", "no such column", "table ")):
            return Fault.SCHEMA
        return _lookup(_SQLITE, name)
    code = _sqlstate(error)
    if code:
        return _lookup(_POSTGRESQL, code)
    # No code: the error is the driver's own, which is about the connection or about wrong use.
    return Fault.LOST if dialect.is_disconnect(error, None, None) or _is_operational(error) else Fault.OTHER  # type: ignore[arg-type]


def _lookup(table: tuple[_Row, ...], code: str) -> Fault:
    for row in table:
        if code.startswith(row.codes):
            return row.fault
    return Fault.OTHER


def _sqlstate(error: BaseException) -> str:
    """The code, where psycopg, psycopg2 and pg8000 put it."""
    for name in ("sqlstate", "pgcode"):
        code = getattr(error, name, None)
        if isinstance(code, str):
            return code
    first: Any = error.args[0] if error.args else None
    return str(first.get("C", "")) if isinstance(first, dict) else ""


def _is_operational(error: BaseException) -> bool:
    return any(kind.__name__ in ("OperationalError", "InterfaceError") for kind in type(error).__mro__)

"""Buckets in the rows of an SQLite file: what LMDB does better, for machines where it does not fit."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from bsguard.core.errors import StateUnusable
from bsguard.stores.sqlite import SQLiteFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Concatenate, ParamSpec, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS buckets (
    place BLOB PRIMARY KEY,
    bucket BLOB NOT NULL
) WITHOUT ROWID;
"""


class RowFile:
    """The file at *path*, used as :class:`~bsguard.stores.lmdb_file.LMDBFile` is."""

    def __init__(self, path: Path) -> None:
        # A count that a power cut undoes is no loss, and waiting for the disk at each request would be one.
        self._file = SQLiteFile(path, _SCHEMA, durable=False)
        self.path = path

    def step(self, step: Callable[Concatenate[Rows, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``step(rows, …)`` gives, in a transaction that nobody comes between; raises StateUnusable."""
        with self._file.lock:
            try:
                connection = self._file.connection()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    result = step(Rows(connection), *args, **kwargs)
                    connection.execute("COMMIT")
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
            except sqlite3.DatabaseError as error:
                self._file.close()  # what is wrong may be wrong with this connection only: the next use opens another
                raise StateUnusable(f"{self.path}: {error}") from None
            return result

    def clear(self) -> None:
        """Forget everything."""
        self.step(Rows.clear)

    def close(self) -> None:
        """Close the connection of this process; the next use opens another."""
        self._file.close()


class Rows:
    """Buckets within one transaction, read and written as LMDB's are."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, place: bytes, default: bytes, /) -> bytes:
        """The bucket; *default* when there is none."""
        row = self._connection.execute("SELECT bucket FROM buckets WHERE place = ?", (place,)).fetchone()
        return default if row is None else row[0]

    def put(self, place: bytes, bucket: bytes, /) -> None:
        """Replace the bucket."""
        self._connection.execute(
            "INSERT INTO buckets VALUES (?, ?) ON CONFLICT (place) DO UPDATE SET bucket = excluded.bucket",
            (place, bucket),
        )

    def delete(self, place: bytes, /) -> None:
        """Take the bucket away."""
        self._connection.execute("DELETE FROM buckets WHERE place = ?", (place,))

    def clear(self) -> None:
        """Take all buckets away."""
        self._connection.execute("DELETE FROM buckets")

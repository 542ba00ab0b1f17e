"""The store in an SQLite file: for machines where LMDB does not fit. The same table, one row a bucket."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, ClassVar, Final

from bsguard.core.errors import StateUnusable
from bsguard.stores import table
from bsguard.stores.sqlite import SQLiteFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypeVar

    from bsguard.stores.port import Ban, Change, Counter, Reach, Taken

    T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS buckets (
    place BLOB PRIMARY KEY,
    bucket BLOB NOT NULL
) WITHOUT ROWID;
"""


class SQLiteStore:
    """Counts across all processes of this machine, in the file *path*."""

    name: ClassVar[str] = "sqlite"
    reach: ClassVar[Reach] = "machine"

    def __init__(self, path: Path) -> None:
        # A count that a power cut undoes is no loss, and waiting for the disk at each request would be one.
        self._file = SQLiteFile(path, _SCHEMA, durable=False)

    def take(
        self, now_us: int, counters: Sequence[Counter], marks: Sequence[bytes] = (), bans: Sequence[Ban] = (), /
    ) -> Taken:
        """See :class:`~bsguard.stores.port.Store`."""
        return self._step(lambda buckets: table.take(buckets, now_us, counters, marks, bans))

    def settle(self, now_us: int, changes: Sequence[Change], marks: Sequence[tuple[bytes, int]] = (), /) -> list[int]:
        """See :class:`~bsguard.stores.port.Store`."""
        return self._step(lambda buckets: table.settle(buckets, now_us, changes, marks))

    def ban(self, now_us: int, key: bytes, until_us: int, /) -> None:
        """See :class:`~bsguard.stores.port.Store`."""
        self._step(lambda buckets: table.ban(buckets, now_us, key, until_us))

    def reset(self) -> None:
        """Forget everything."""
        self._step(lambda buckets: buckets.clear())

    def close(self) -> None:
        """Close the connection of this process; the next use opens another."""
        self._file.close()

    def _step(self, step: Callable[[_Rows], T]) -> T:
        """Run *step* in one transaction that nobody else can come between."""
        with self._file.lock:
            try:
                connection = self._file.connection()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    result = step(_Rows(connection))
                    connection.execute("COMMIT")
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
            except sqlite3.DatabaseError as error:
                self._file.close()  # what is wrong may be wrong with this connection only: the next use opens another
                raise StateUnusable(f"{self._file.path}: {error}") from None
            return result


class _Rows:
    """Buckets in rows."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, place: bytes, default: bytes, /) -> bytes:
        row = self._connection.execute("SELECT bucket FROM buckets WHERE place = ?", (place,)).fetchone()
        return default if row is None else row[0]

    def put(self, place: bytes, bucket: bytes, /) -> None:
        self._connection.execute(
            "INSERT INTO buckets VALUES (?, ?) ON CONFLICT (place) DO UPDATE SET bucket = excluded.bucket",
            (place, bucket),
        )

    def clear(self) -> None:
        self._connection.execute("DELETE FROM buckets")

"""Buckets in the rows of an SQLite file: what LMDB does better, for machines where it does not fit."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bsguard.core.errors import StateUnusable
from bsguard.stores.folder import open_folder
from bsguard.stores.sqlite import BUSY_MS_MAX, LOOK_SECONDS, SQLiteFile, lock_within

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
    """The file at *path*, used as :class:`~bsguard.stores.lmdb_file.LMDBFile` is.

    A count that a power cut undoes is no loss, and waiting for the disk at each request would be one, so that it is not
    *durable*. Another *schema* is for other tables than that of buckets.
    """

    def __init__(self, path: Path, schema: str = _SCHEMA, *, durable: bool = False) -> None:
        self._file = SQLiteFile(path, schema, durable=durable)
        self.path = path
        self._seen: sqlite3.Connection | None = None
        self._inode = -1
        self._looked = 0.0

    def step(self, step: Callable[Concatenate[Rows, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``step(rows, …)`` gives, in a transaction that nobody comes between; raises StateUnusable."""
        with self._file.lock:
            try:
                connection = self._connection()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    result = step(Rows(connection), *args, **kwargs)
                    connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):  # some errors have ended the transaction already
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.DatabaseError as error:
                self._file.close()  # what is wrong may be wrong with this connection only: the next use opens another
                if _is_damage(error):
                    self._set_aside()
                raise StateUnusable(f"{self.path}: {error}") from None
            return result

    def _connection(self) -> sqlite3.Connection:
        """The connection of this process; another one soon after the file was deleted or replaced."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            if _inode(self.path) != self._inode:
                self._file.close()
                open_folder(self.path.parent)  # it may have been deleted too, and made again by somebody else
        connection = self._file.connection()
        if connection is not self._seen:
            self._seen, self._inode = connection, _inode(self.path)
        return connection

    def _set_aside(self) -> None:
        """Keep a damaged file for whoever wants to look into it, so that the next use starts anew."""
        with suppress(OSError), self.path.with_suffix(".lock").open("w") as lock:
            lock_within(lock)
            if not _is_sound(self.path):  # another worker may have done it
                self.path.replace(self.path.with_suffix(".damaged"))
                for ending in ("-wal", "-shm"):
                    self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget everything."""
        self.step(Rows.clear)

    def close(self) -> None:
        """Close the connection of this process; the next use opens another."""
        self._file.close()


class Rows:
    """Buckets within one transaction, read and written as LMDB's are."""

    __slots__ = ("connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def get(self, place: bytes, default: bytes, /) -> bytes:
        """The bucket; *default* when there is none."""
        row = self.connection.execute("SELECT bucket FROM buckets WHERE place = ?", (place,)).fetchone()
        return default if row is None else row[0]

    def put(self, place: bytes, bucket: bytes, /) -> None:
        """Replace the bucket."""
        self.connection.execute(
            "INSERT INTO buckets VALUES (?, ?) ON CONFLICT (place) DO UPDATE SET bucket = excluded.bucket",
            (place, bucket),
        )

    def delete(self, place: bytes, /) -> None:
        """Take the bucket away."""
        self.connection.execute("DELETE FROM buckets WHERE place = ?", (place,))

    def clear(self) -> None:
        """Take all buckets away."""
        self.connection.execute("DELETE FROM buckets")


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is wrong, and not just busy, full or out of reach."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _is_sound(path: Path) -> bool:
    connection = sqlite3.connect(path, timeout=BUSY_MS_MAX / 1000)
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError as error:
        return not _is_damage(error)
    finally:
        connection.close()


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return -1

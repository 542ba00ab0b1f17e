"""Records in an SQLite file: what outlives restarts on one machine, whatever store counts there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bsguard.stores.port import NO_RECORD, Record
from bsguard.stores.rows import RowFile, Rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from bsguard.stores.port import Write

#: Name of the file in the state directory.
FILE: Final = "records.sqlite"

# The triggers know how many there are; counting the rows would read them all.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (
    key BLOB NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    written INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS records_written ON records (written);
CREATE TABLE IF NOT EXISTS counted (records INTEGER NOT NULL);
INSERT INTO counted SELECT (SELECT count(*) FROM records) WHERE NOT EXISTS (SELECT * FROM counted);
CREATE TRIGGER IF NOT EXISTS records_more AFTER INSERT ON records BEGIN UPDATE counted SET records = records + 1; END;
CREATE TRIGGER IF NOT EXISTS records_fewer AFTER DELETE ON records BEGIN UPDATE counted SET records = records - 1; END;
"""
_UPDATE: Final = "UPDATE records SET version = version + 1, written = ?, data = ? WHERE key = ? AND version = ?"
_INSERT: Final = "INSERT INTO records VALUES (?, 1, ?, ?) ON CONFLICT (key) DO NOTHING"
#: Fewer than any SQLite allows.
_KEYS_A_QUERY: Final = 500
_OLDEST: Final = "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records ORDER BY written LIMIT ?)"


class RecordFile:
    """The file at *path*. All methods raise :class:`~bsguard.core.errors.StateUnusable`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = RowFile(path, _SCHEMA, durable=True)

    def records(self, keys: Sequence[bytes]) -> list[Record]:
        """The records under *keys*."""
        return self._file.step(_read, keys)

    def keep(self, now_us: int, writes: Sequence[Write], records_max: int) -> list[bool]:
        """Replace records in one transaction."""
        return self._file.step(_write, now_us, writes, records_max)

    def newest(self, count: int) -> list[tuple[bytes, Record]]:
        """Keys and records, those written last first."""
        return self._file.step(_newest, count)

    def clear(self) -> None:
        """Forget everything."""
        if self.path.exists():
            self._file.step(lambda rows: rows.connection.execute("DELETE FROM records"))

    def close(self) -> None:
        """Close the connection of this process; the next use opens another."""
        self._file.close()


def _read(rows: Rows, keys: Sequence[bytes]) -> list[Record]:
    found: dict[bytes, Record] = {}
    for start in range(0, len(keys), _KEYS_A_QUERY):
        some = keys[start : start + _KEYS_A_QUERY]
        query = f"SELECT key, version, data FROM records WHERE key IN ({','.join('?' * len(some))})"  # noqa: S608
        found.update((key, Record(version, data)) for key, version, data in rows.connection.execute(query, some))
    return [found.get(key, NO_RECORD) for key in keys]


def _newest(rows: Rows, count: int) -> list[tuple[bytes, Record]]:
    query = "SELECT key, version, data FROM records ORDER BY written DESC, rowid DESC LIMIT ?"
    return [(key, Record(version, data)) for key, version, data in rows.connection.execute(query, (count,))]


def _write(rows: Rows, now_us: int, writes: Sequence[Write], records_max: int) -> list[bool]:
    kept = [_keep(rows.connection, now_us, one) for one in writes]
    (count,) = rows.connection.execute("SELECT records FROM counted").fetchone()
    if count > records_max:
        rows.connection.execute(_OLDEST, (count - records_max,))
    return kept


def _keep(connection: sqlite3.Connection, now_us: int, write: Write) -> bool:
    key, version, data = write
    if not data:
        gone = connection.execute("DELETE FROM records WHERE key = ? AND version = ?", (key, version))
        return gone.rowcount == 1 or version == 0
    if version == 0:
        return connection.execute(_INSERT, (key, now_us, data)).rowcount == 1
    return connection.execute(_UPDATE, (now_us, data, key, version)).rowcount == 1

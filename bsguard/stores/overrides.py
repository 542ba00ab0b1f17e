"""The overrides table in SQLite: durable, versioned, shared by all workers of a machine.

Every change raises ``PRAGMA data_version`` for all other connections, so a worker sees that something changed by one
cheap query, at most once a second, and reads the rows only then.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from typing import TYPE_CHECKING, Any, Final

from bsguard.core.errors import StateUnusable
from bsguard.core.overrides import Override
from bsguard.stores.sqlite import SQLiteFile

if TYPE_CHECKING:
    from pathlib import Path

    from bsguard.core.clock import Clock
    from bsguard.core.overrides import Kind

_log = logging.getLogger("bsguard")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS overrides (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice, so that an id in a log stays one entry
    kind TEXT NOT NULL CHECK (kind IN ('exception', 'ban', 'rule_action', 'sequence')),
    value TEXT NOT NULL CHECK (json_valid(value)),
    author TEXT NOT NULL CHECK (author <> ''),
    comment TEXT NOT NULL CHECK (comment <> ''),
    created REAL NOT NULL,
    expires REAL
);
"""
_COLUMNS: Final = "id, kind, value, author, comment, created, expires"

#: How old a worker's view may be. A change by the operator is felt by all workers within this time.
POLL_SECONDS: Final = 1.0

#: How long a table that cannot be read is left alone: each try may cost a request the busy time-out.
_RETRY_SECONDS: Final = 30.0

#: Entries of one kind that the table may hold; each worker keeps them in memory. Bans that clients bring upon
#: themselves can so never take the room of an exception.
ENTRIES_MAX: Final = 10_000


class SQLiteOverrides:
    """The table. Reading never raises: a worker that cannot read keeps what it knew."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._file = SQLiteFile(path, _SCHEMA, upgrade=_allow_sequences)
        self._clock = clock
        self._polled = float("-inf")
        #: The connection that was asked last, and its version of the data; versions of two connections say nothing.
        self._seen: tuple[sqlite3.Connection | None, int] = (None, -1)
        self._unreadable = False
        self._entries: tuple[Override, ...] = ()
        self._active: dict[Kind, tuple[Override, ...]] = {}
        self._next_expiry = float("inf")

    def add(self, override: Override) -> int:
        """Add an entry durably and return its id; entries of its kind that have expired go.

        Raises :class:`~bsguard.core.errors.StateUnusable`.
        """
        row = (
            override.kind,
            json.dumps(override.value),
            override.author,
            override.comment,
            override.created,
            override.expires,
        )
        try:
            with self._file.lock:
                connection = self._file.connection()
                connection.execute(
                    "DELETE FROM overrides WHERE kind = ? AND expires <= ?", (override.kind, override.created)
                )
                cursor = connection.execute(
                    "INSERT INTO overrides (kind, value, author, comment, created, expires)"
                    " SELECT ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM overrides WHERE kind = ?) < ?",
                    (*row, override.kind, ENTRIES_MAX),
                )
                if cursor.rowcount == 0:
                    raise StateUnusable(f"{self._file.path} holds {ENTRIES_MAX} of this kind; delete some first")
                self._polled = float("-inf")
                return int(cursor.lastrowid or 0)
        except sqlite3.Error as error:
            raise StateUnusable(f"{self._file.path}: {error}") from None

    def delete(self, override_id: int) -> bool:
        """Delete an entry; whether there was one. Raises :class:`~bsguard.core.errors.StateUnusable`."""
        try:
            with self._file.lock:
                self._polled = float("-inf")
                deleted = self._file.connection().execute("DELETE FROM overrides WHERE id = ?", (override_id,))
                return deleted.rowcount == 1
        except sqlite3.Error as error:
            raise StateUnusable(f"{self._file.path}: {error}") from None

    def active(self, kind: Kind, now: float, /) -> tuple[Override, ...]:
        """The entries of *kind* that have not expired at *now*, oldest first; the same object while nothing changes."""
        if now >= self._polled + POLL_SECONDS or now < self._polled - _RETRY_SECONDS or now >= self._next_expiry:
            self._poll(now)
        return self._active.get(kind, ())

    def close(self) -> None:
        """Close the connection of this process."""
        self._file.close()

    def _poll(self, now: float) -> None:
        with self._file.lock:
            try:
                connection = self._file.connection()
                (version,) = connection.execute("PRAGMA data_version").fetchone()
                changed = self._seen != (connection, version) or self._polled == float("-inf")
                if changed:
                    rows = connection.execute(f"SELECT {_COLUMNS} FROM overrides ORDER BY id").fetchall()  # noqa: S608
                    self._entries = tuple(entry for row in rows if (entry := _override(row)) is not None)
                    self._seen = (connection, version)
                self._unreadable = False
            except (sqlite3.Error, ValueError) as error:
                changed = False
                if not self._unreadable:
                    self._unreadable = True
                    _log.warning("overrides cannot be read from %s, what is known holds: %s", self._file.path, error)
            if changed or now >= self._next_expiry:
                live = [entry for entry in self._entries if entry.expires is None or now < entry.expires]
                self._active = {kind: tuple(e for e in live if e.kind == kind) for kind in {e.kind for e in live}}
                self._next_expiry = min((e.expires for e in live if e.expires is not None), default=float("inf"))
            self._polled = now + _RETRY_SECONDS if self._unreadable else now


def _allow_sequences(connection: sqlite3.Connection) -> None:
    """Tables of version 0.1 take no sequences. Ids go on where they were: one in a log stays one entry."""
    (made,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'overrides'").fetchone()
    if "'sequence'" in made:
        return
    connection.executescript(
        f"""
        BEGIN IMMEDIATE;
        ALTER TABLE overrides RENAME TO overrides_before;
        {_SCHEMA}
        INSERT INTO overrides ({_COLUMNS}) SELECT {_COLUMNS} FROM overrides_before;
        DELETE FROM sqlite_sequence WHERE name = 'overrides';
        UPDATE sqlite_sequence SET name = 'overrides' WHERE name = 'overrides_before';
        DROP TABLE overrides_before;
        COMMIT;
        """  # noqa: S608  nothing in it is anybody's input
    )


def _override(row: tuple[int, Kind, str, str, str, float, Any]) -> Override | None:
    """The entry of a row; None for one that somebody wrote by hand and wrongly, so that it hides no other."""
    identity, kind, value, author, comment, created, expires = row
    if not isinstance(expires, (int, float, type(None))):
        return None
    return Override(
        id=identity,
        kind=kind,
        value=json.loads(value),
        author=author,
        comment=comment,
        created=created,
        expires=expires,
    )

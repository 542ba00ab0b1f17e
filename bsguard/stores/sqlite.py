"""SQLite connections as all stores here want them: one per process, made again after a fork."""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import time
from typing import IO, TYPE_CHECKING, Final

from bsguard.core.fork import idle_at_fork, in_each_child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: How long a writer waits for another worker's transaction; ours take well under a millisecond.
BUSY_MS_MAX: Final = 500
#: How long it may take a worker to notice that a file of counters was deleted, as systemd does when a user logs out.
LOOK_SECONDS: Final = 1.0
_LOCK_PAUSE_SECONDS: Final = 0.005


class SQLiteFile:
    """A database file with its schema.

    :meth:`connection` gives the connection of this process; hold :attr:`lock` while using it. What is not *durable*
    may be lost by a power cut, never by the end of a process.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        *,
        durable: bool = True,
        upgrade: Callable[[sqlite3.Connection], None] | None = None,
    ) -> None:
        """*upgrade* makes tables of former versions what *schema* says; it runs after that, one worker at a time."""
        self.path = path
        self._schema = schema
        self._upgrade = upgrade
        self._synchronous = "NORMAL" if durable else "OFF"
        self.lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inherited: sqlite3.Connection | None = None
        idle_at_fork(self)
        in_each_child(self._forget)

    def connection(self) -> sqlite3.Connection:
        """The connection of this process, in autocommit mode; raises ``sqlite3.Error``."""
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_MS_MAX / 1000, isolation_level=None, check_same_thread=False
        )
        try:
            # One worker at a time: the switch to WAL answers "locked" at once, whatever the time-out.
            with self.path.with_suffix(".lock").open("w") as lock:
                lock_within(lock)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(f"PRAGMA synchronous = {self._synchronous}")
                connection.executescript(self._schema)
                if self._upgrade is not None:
                    self._upgrade(connection)
        except OSError as error:
            connection.close()
            raise sqlite3.OperationalError(str(error)) from error
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the connection of this process; the next use opens another."""
        with self.lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _forget(self) -> None:
        """Start anew in a forked process. The parent's connection is kept unused: even closing it would do harm."""
        self.lock = threading.RLock()
        self._inherited, self._connection = self._connection, None


def lock_within(file: IO[str]) -> None:
    """Wait a bounded time for the lock: another worker may have stopped while it held it. Raises OSError."""
    deadline = time.monotonic() + BUSY_MS_MAX / 1000
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            return

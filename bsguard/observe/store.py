"""The event store: a bounded queue in each worker, one writing thread, one SQLite file for all.

A request only appends to the queue. When the queue is full, new events are dropped and counted; when the file cannot
be written, they are dropped and it is said once. Neither ever holds up a request.
"""

from __future__ import annotations

import atexit
import json
import logging
import sqlite3
import threading
import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bsguard.core.events import Event, RequestFinished, as_mapping
from bsguard.core.fork import in_each_child
from bsguard.stores.sqlite import SQLiteFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_log = logging.getLogger("bsguard")

#: Events that may wait in one worker; about a second of the worst flood that a worker can serve.
QUEUE_EVENTS_MAX: Final = 10_000
#: Events written in one transaction.
_BATCH_EVENTS_MAX: Final = 1_000
#: How long the writer gathers before it writes: the delay until an event can be read.
_GATHER_SECONDS: Final = 0.2
#: How long :meth:`EventStore.flush` waits at most, so that a broken disk cannot hold up the end of a process.
_FLUSH_SECONDS_MAX: Final = 5.0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    event TEXT NOT NULL,
    layer TEXT NOT NULL,
    rule TEXT NOT NULL,
    request_id TEXT NOT NULL,
    facts TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_request ON events (request_id);
CREATE INDEX IF NOT EXISTS events_time ON events (time);
"""


class EventStore:
    """A sink that keeps events. Call it with an event; read with :meth:`recent`, :meth:`of_request`, :meth:`named`.

    Reading raises ``sqlite3.Error`` when the file cannot be read.
    """

    def __init__(self, path: Path, *, rows_max: int, finished: bool = False) -> None:
        self._file = SQLiteFile(path, _SCHEMA)
        self._rows_max = rows_max
        self._finished = finished
        self._failing = False
        #: Events dropped because the queue was full or the file could not be written.
        self.dropped = 0
        self._queue: deque[Event] = deque()
        self._writer: threading.Thread | None = None
        self._renew()
        in_each_child(self._renew)
        self._at_exit = _flush_at_exit(self)

    def __call__(self, event: Event) -> None:
        """Queue *event*; never blocks on the file and never raises."""
        if not self.wants(type(event)):
            return
        with self._changed:
            if len(self._queue) >= QUEUE_EVENTS_MAX:
                self.dropped += 1
                return
            self._queue.append(event)
            self._queued += 1
            if self._writer is None:
                writer = threading.Thread(target=self._write_queued, name="bsguard-events", daemon=True)
                with suppress(RuntimeError):  # no more threads to be had: the next event tries again
                    writer.start()
                    self._writer = writer
            self._changed.notify_all()

    def wants(self, kind: type[Event]) -> bool:
        """Whether events of *kind* are kept: all but one for every request, unless asked for."""
        return self._finished or not issubclass(kind, RequestFinished)

    def flush(self) -> None:
        """Wait until all that is queued by now is written or dropped, at most some seconds."""
        with self._changed:
            goal = self._queued
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._settled >= goal, timeout=_FLUSH_SECONDS_MAX)
            self._hurry = False

    def recent(self, limit: int = 100, *, after_id: int = 0) -> list[dict[str, object]]:
        """The newest events with an id above *after_id*, newest first, each a mapping with ``id`` and ``event``."""
        return self._read("SELECT id, facts FROM events WHERE id > ? ORDER BY id DESC LIMIT ?", (after_id, limit))

    def of_request(self, request_id: str) -> list[dict[str, object]]:
        """All events of one request, oldest first."""
        return self._read("SELECT id, facts FROM events WHERE request_id = ? ORDER BY id", (request_id,))

    def named(self, name: str, limit: int = 100) -> list[dict[str, object]]:
        """The newest events of one kind, newest first."""
        return self._read("SELECT id, facts FROM events WHERE event = ? ORDER BY id DESC LIMIT ?", (name, limit))

    def close(self) -> None:
        """Write what is queued and close the file."""
        self.flush()
        atexit.unregister(self._at_exit)
        self._file.close()

    def _read(self, query: str, values: tuple[object, ...]) -> list[dict[str, object]]:
        with self._file.lock:
            rows = self._file.connection().execute(query, values).fetchall()
        return [{"id": identity, **json.loads(facts)} for identity, facts in rows]

    def _renew(self) -> None:
        """Start with an empty queue and no writer: a thread does not survive a fork, and a held lock never opens."""
        self._changed = threading.Condition()
        self._queue.clear()
        self._queued = 0
        self._settled = 0
        self._hurry = False
        self._writer = None

    def _write_queued(self) -> None:
        """The writer: gathers and writes until nothing is queued, then ends; the next event starts another."""
        while True:
            with self._changed:
                if not self._queue:
                    self._writer = None
                    return
                self._changed.wait_for(self._enough, timeout=_GATHER_SECONDS)
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH_EVENTS_MAX))]
            self._write(batch)
            with self._changed:
                self._settled += len(batch)
                self._changed.notify_all()

    def _enough(self) -> bool:
        return self._hurry or len(self._queue) >= _BATCH_EVENTS_MAX

    def _write(self, batch: list[Event]) -> None:
        try:
            rows = [row for row in map(_row, batch) if row is not None]
            self.dropped += len(batch) - len(rows)
            with self._file.lock, self._file.connection() as connection:  # commits, or rolls back
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    "INSERT INTO events (time, event, layer, rule, request_id, facts) VALUES (?, ?, ?, ?, ?, ?)", rows
                )
                connection.execute("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", (self._rows_max,))
            self._failing = False
        except (sqlite3.Error, OSError, ValueError, TypeError) as error:
            self.dropped += len(batch)
            if not self._failing:
                self._failing = True
                _log.warning(
                    "events cannot be stored in %s, they are lost to later reading: %s", self._file.path, error
                )


def _flush_at_exit(store: EventStore) -> Callable[[], None]:
    """Have *store* written out when the process ends, if it is still there then."""
    reference = weakref.ref(store)

    def flush() -> None:
        found = reference()
        if found is not None:
            found.flush()

    atexit.register(flush)
    return flush


def _row(event: Event) -> tuple[float, str, str, str, str, str] | None:
    """The event as it is stored; None if a fact of it is nothing that JSON knows, so that it costs no other event."""
    facts = as_mapping(event)
    try:
        document = json.dumps(facts)
    except (TypeError, ValueError):
        return None
    return (
        event.time,
        event.name,
        str(facts.get("layer", "")),
        str(facts.get("rule", "")),
        str(facts.get("request_id", "")),
        document,
    )

"""Event streams: a client follows one generation. A stream holds a thread of its worker, so there are few of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sample_app import event_system, generations
from sample_app.clock import SECOND_MS
from sample_app.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sample_app.database import Database

# In one worker: for one key, and for all keys together, so that threads are left for everything else.
STREAMS_PER_KEY_MAX: Final = 2
STREAMS_MAX: Final = 4

# How long an event-stream client waits before it comes back for what is newer.
RETRY_MS: Final = 2 * SECOND_MS

_LOOK_SECONDS: Final = 0.25
# Proxies end connections on which nothing happens; many wait for half a minute or more.
_HEARTBEAT_SECONDS: Final = 10.0


@dataclass(slots=True)
class Slots:
    """How many streams this worker has open, for whom."""

    _open: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, key_id: str) -> None:
        """Open one more.

        Raises:
            ApiError: 429 if there are too many.
        """
        with self._lock:
            if self._open[key_id] >= STREAMS_PER_KEY_MAX or self._open.total() >= STREAMS_MAX:
                raise ApiError(ErrorCode.STREAM_LIMIT_REACHED, headers={"Retry-After": "5"})
            self._open[key_id] += 1

    def give_back(self, key_id: str) -> None:
        """One less."""
        with self._lock:
            self._open[key_id] -= 1
            if not self._open[key_id]:
                del self._open[key_id]


@dataclass(frozen=True, slots=True)
class EventStreams:
    """Streams of one worker. ``seconds_max`` is how long one lasts; clients come back by themselves."""

    database: Database
    seconds_max: float
    slots: Slots = field(default_factory=Slots)
    stopping: threading.Event = field(default_factory=threading.Event)

    def follow(self, key_id: str, generation_id: str, version: int) -> Iterator[str]:
        """What happened after *version*, and what happens, as server-sent events.

        The slot is taken now and given back when the iterator ends or is closed.
        """
        self.slots.take(key_id)
        return _Stream(self, key_id, self._events(generation_id, version))

    def _events(self, generation_id: str, version: int) -> Iterator[str]:
        yield f"retry: {RETRY_MS}\n\n"
        begun = heard = time.monotonic()
        while True:
            with self.database.reading() as connection:
                news = event_system.since(connection, generation_id, version)
                found = generations.read(connection, generation_id)
            for event in news:
                yield _message(event.version, event.payload)
                version, heard = event.version, time.monotonic()
            if found is not None and found.version > version:
                # Its events are too old to be kept.
                yield _message(found.version, event_system.payload(found))
                version = found.version
            if found is None or found.status.final or time.monotonic() - begun >= self.seconds_max:
                return
            if time.monotonic() - heard >= _HEARTBEAT_SECONDS:
                yield ":\n\n"
                heard = time.monotonic()
            if self.stopping.wait(_LOOK_SECONDS):
                return


class _Stream:
    """An iterator that gives its slot back however it ends; a server closes it when the client goes away."""

    def __init__(self, streams: EventStreams, key_id: str, events: Iterator[str]) -> None:
        self._streams = streams
        self._key_id: str | None = key_id
        self._events = events

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            return next(self._events)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the slot back, once."""
        key_id, self._key_id = self._key_id, None
        if key_id is not None:
            self._streams.slots.give_back(key_id)


def _message(version: int, payload: str) -> str:
    return f"id: {version}\nevent: generation\ndata: {payload}\n\n"

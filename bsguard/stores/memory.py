"""The store of one process: for tests, for one worker, and the last resort when no other store answers."""

from __future__ import annotations

import threading
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from bsguard.core.fork import in_each_child
from bsguard.stores import table
from bsguard.stores.port import NO_RECORD, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bsguard.stores.port import Ban, Change, Counter, Exchange, Reach, Taken, Write


class MemoryStore:
    """Counts in this process alone: several workers each allow the whole limit."""

    name: ClassVar[str] = "memory"
    reach: ClassVar[Reach] = "process"

    def __init__(self) -> None:
        self._buckets = _Dict()
        self._records: dict[bytes, Record] = {}
        self._lock = threading.Lock()
        in_each_child(self._renew)

    def take(
        self,
        now_us: int,
        counters: Sequence[Counter],
        marks: Sequence[bytes] = (),
        bans: Sequence[Ban] = (),
        exchanges: Sequence[Exchange] = (),
        /,
    ) -> Taken:
        """See :class:`~bsguard.stores.port.Store`."""
        with self._lock:
            return table.take(self._buckets, now_us, counters, marks, bans, exchanges)

    def settle(self, now_us: int, changes: Sequence[Change], marks: Sequence[tuple[bytes, int]] = (), /) -> list[int]:
        """See :class:`~bsguard.stores.port.Store`."""
        with self._lock:
            return table.settle(self._buckets, now_us, changes, marks)

    def ban(self, now_us: int, key: bytes, until_us: int, /) -> None:
        """See :class:`~bsguard.stores.port.Store`."""
        with self._lock:
            table.ban(self._buckets, now_us, key, until_us)

    def records(self, keys: Sequence[bytes], /) -> list[Record]:
        """See :class:`~bsguard.stores.port.Store`."""
        with self._lock:
            return [self._records.get(key, NO_RECORD) for key in keys]

    def keep(self, _now_us: int, writes: Sequence[Write], records_max: int, /) -> list[bool]:
        """See :class:`~bsguard.stores.port.Store`."""
        with self._lock:
            return [self._keep(write, records_max) for write in writes]

    def newest(self, count: int, /) -> list[tuple[bytes, Record]]:
        """See :class:`~bsguard.stores.port.Store`."""
        with self._lock:
            return list(islice(reversed(self._records.items()), count))

    def _keep(self, write: Write, records_max: int) -> bool:
        """Replace one record; the order of the dict is the order of writing."""
        key, version, data = write
        if self._records.get(key, NO_RECORD).version != version:
            return False
        self._records.pop(key, None)
        if data:
            self._records[key] = Record(version + 1, data)
        while len(self._records) > records_max:
            del self._records[next(iter(self._records))]
        return True

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._buckets.clear()
            self._records.clear()

    def close(self) -> None:
        """Nothing is held but memory."""

    def _renew(self) -> None:
        """A thread of the parent may have held the lock when this process was forked."""
        self._lock = threading.Lock()


class _Dict(dict[bytes, bytes]):
    """Buckets in a dict."""

    def put(self, place: bytes, bucket: bytes, /) -> None:
        self[place] = bucket

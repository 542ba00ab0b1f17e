"""The store of one process: for tests, for one worker, and the last resort when no other store answers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ClassVar

from bsguard.core.fork import in_each_child
from bsguard.stores import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bsguard.stores.port import Ban, Change, Counter, Reach, Taken


class MemoryStore:
    """Counts in this process alone: several workers each allow the whole limit."""

    name: ClassVar[str] = "memory"
    reach: ClassVar[Reach] = "process"

    def __init__(self) -> None:
        self._buckets = _Dict()
        self._lock = threading.Lock()
        in_each_child(self._renew)

    def take(
        self, now_us: int, counters: Sequence[Counter], marks: Sequence[bytes] = (), bans: Sequence[Ban] = (), /
    ) -> Taken:
        """See :class:`~bsguard.stores.port.Store`."""
        with self._lock:
            return table.take(self._buckets, now_us, counters, marks, bans)

    def settle(self, now_us: int, changes: Sequence[Change], marks: Sequence[tuple[bytes, int]] = (), /) -> list[int]:
        """See :class:`~bsguard.stores.port.Store`."""
        with self._lock:
            return table.settle(self._buckets, now_us, changes, marks)

    def ban(self, now_us: int, key: bytes, until_us: int, /) -> None:
        """See :class:`~bsguard.stores.port.Store`."""
        with self._lock:
            table.ban(self._buckets, now_us, key, until_us)

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._buckets.clear()

    def close(self) -> None:
        """Nothing is held but memory."""

    def _renew(self) -> None:
        """A thread of the parent may have held the lock when this process was forked."""
        self._lock = threading.Lock()


class _Dict(dict[bytes, bytes]):
    """Buckets in a dict."""

    def put(self, place: bytes, bucket: bytes, /) -> None:
        self[place] = bucket

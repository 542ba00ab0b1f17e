"""The store over any holder of the table of deadlines: what the stores in LMDB and SQLite have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bsguard.stores import table
from bsguard.stores.records import RecordFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Concatenate, ParamSpec, TypeVar

    from bsguard.stores.port import Ban, Change, Counter, Exchange, Reach, Record, Taken, Write

    P = ParamSpec("P")
    T = TypeVar("T")


class File(Protocol):
    """A file of buckets, such as :class:`~bsguard.stores.lmdb_file.LMDBFile`."""

    def step(self, step: Callable[Concatenate[Any, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``step(buckets, …)`` gives, in one transaction; raises StateUnusable."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...

    def close(self) -> None:
        """Close what this process holds; the next use opens it again."""
        ...


class TabledStore:
    """Counts across all processes of this machine that use the same *file*; records lie in a file of their own."""

    reach: ClassVar[Reach] = "machine"

    def __init__(self, file: File, records: Path) -> None:
        self._file = file
        self._records = RecordFile(records)

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
        return self._file.step(table.take, now_us, counters, marks, bans, exchanges)

    def settle(self, now_us: int, changes: Sequence[Change], marks: Sequence[tuple[bytes, int]] = (), /) -> list[int]:
        """See :class:`~bsguard.stores.port.Store`."""
        return self._file.step(table.settle, now_us, changes, marks)

    def ban(self, now_us: int, key: bytes, until_us: int, /) -> None:
        """See :class:`~bsguard.stores.port.Store`."""
        self._file.step(table.ban, now_us, key, until_us)

    def records(self, keys: Sequence[bytes], /) -> list[Record]:
        """See :class:`~bsguard.stores.port.Store`."""
        return self._records.records(keys)

    def keep(self, now_us: int, writes: Sequence[Write], records_max: int, /) -> list[bool]:
        """See :class:`~bsguard.stores.port.Store`."""
        return self._records.keep(now_us, writes, records_max)

    def newest(self, count: int, /) -> list[tuple[bytes, Record]]:
        """See :class:`~bsguard.stores.port.Store`."""
        return self._records.newest(count)

    def reset(self) -> None:
        """Forget everything."""
        self._file.clear()
        self._records.clear()

    def close(self) -> None:
        """Close what this process holds; the next use opens it again."""
        self._file.close()
        self._records.close()

"""The store over any holder of the table of deadlines: what the stores in LMDB and SQLite have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bsguard.stores import table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Concatenate, ParamSpec, TypeVar

    from bsguard.stores.port import Ban, Change, Counter, Reach, Taken

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
    """Counts across all processes of this machine that use the same *file*."""

    reach: ClassVar[Reach] = "machine"

    def __init__(self, file: File) -> None:
        self._file = file

    def take(
        self, now_us: int, counters: Sequence[Counter], marks: Sequence[bytes] = (), bans: Sequence[Ban] = (), /
    ) -> Taken:
        """See :class:`~bsguard.stores.port.Store`."""
        return self._file.step(table.take, now_us, counters, marks, bans)

    def settle(self, now_us: int, changes: Sequence[Change], marks: Sequence[tuple[bytes, int]] = (), /) -> list[int]:
        """See :class:`~bsguard.stores.port.Store`."""
        return self._file.step(table.settle, now_us, changes, marks)

    def ban(self, now_us: int, key: bytes, until_us: int, /) -> None:
        """See :class:`~bsguard.stores.port.Store`."""
        self._file.step(table.ban, now_us, key, until_us)

    def reset(self) -> None:
        """Forget everything."""
        self._file.clear()

    def close(self) -> None:
        """Close what this process holds; the next use opens it again."""
        self._file.close()

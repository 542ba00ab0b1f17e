"""The store in an SQLite file: for machines where LMDB does not fit. The same table, one row a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bsguard.stores import table
from bsguard.stores.rows import RowFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bsguard.stores.port import Ban, Change, Counter, Reach, Taken


class SQLiteStore:
    """Counts across all processes of this machine, in the file *path*."""

    name: ClassVar[str] = "sqlite"
    reach: ClassVar[Reach] = "machine"

    def __init__(self, path: Path) -> None:
        self._file = RowFile(path)

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
        """Close the connection of this process; the next use opens another."""
        self._file.close()

"""The store in an LMDB file: exact across all processes of this machine, no server, some microseconds a request.

The file lies in memory (a folder of ``/dev/shm``) where that is large enough, else in the state directory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from bsguard.stores import table
from bsguard.stores.lmdb_file import lmdb_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bsguard.stores.port import Ban, Change, Counter, Reach, Taken

#: Name of the file in its folder.
FILE: Final = "table.lmdb"

#: Size of the file: twice what the full table needs, because LMDB writes copies. Half of what containers give
#: ``/dev/shm`` by default.
MAP_BYTES: Final = 32 * 1024 * 1024


class LocalStore:
    """Counts across all processes of this machine that name the same private *folder*."""

    name: ClassVar[str] = "local"
    reach: ClassVar[Reach] = "machine"

    def __init__(self, folder: Path) -> None:
        self._file = lmdb_file(folder / FILE, MAP_BYTES)
        self.path = self._file.path

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

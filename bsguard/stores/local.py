"""The store in an LMDB file: exact across all processes of this machine, no server, some microseconds a request.

The file lies in memory (a folder of ``/dev/shm``) where that is large enough, else in the state directory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from bsguard.stores.lmdb_file import lmdb_file
from bsguard.stores.tabled import TabledStore

if TYPE_CHECKING:
    from pathlib import Path

#: Name of the file in its folder.
FILE: Final = "table.lmdb"

#: Size of the file: twice what the full table needs, because LMDB writes copies. Half of what containers give
#: ``/dev/shm`` by default.
MAP_BYTES: Final = 32 * 1024 * 1024


class LocalStore(TabledStore):
    """The store in the private *folder*."""

    name: ClassVar[str] = "local"

    def __init__(self, folder: Path) -> None:
        file = lmdb_file(folder / FILE, MAP_BYTES)
        super().__init__(file)
        self.path = file.path

"""The store in an LMDB file: exact across all processes of this machine, no server, some microseconds a request.

The file lies in memory (a folder of ``/dev/shm``) where that is large enough, else in the state directory. Records lie
in the state directory, because they outlive the machine's restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from bsguard.stores.lmdb_file import lmdb_file
from bsguard.stores.records import FILE as RECORDS
from bsguard.stores.tabled import TabledStore

if TYPE_CHECKING:
    from pathlib import Path

#: Name of the file in its folder.
FILE: Final = "table.lmdb"

#: Size of the file: twice what the full table needs, because LMDB writes copies. Half of what containers give
#: ``/dev/shm`` by default.
MAP_BYTES: Final = 32 * 1024 * 1024


class LocalStore(TabledStore):
    """The store in the private *folder*; its records lie in the file *records*, or there too."""

    name: ClassVar[str] = "local"

    def __init__(self, folder: Path, records: Path | None = None) -> None:
        file = lmdb_file(folder / FILE, MAP_BYTES)
        super().__init__(file, records or folder / RECORDS)
        self.path = file.path

"""The store in an SQLite file: for machines where LMDB does not fit. The same table, one row a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bsguard.stores.records import FILE
from bsguard.stores.rows import RowFile
from bsguard.stores.tabled import TabledStore

if TYPE_CHECKING:
    from pathlib import Path


class SQLiteStore(TabledStore):
    """The store in the file *path*; its records lie in *records*, or beside it."""

    name: ClassVar[str] = "sqlite"

    def __init__(self, path: Path, records: Path | None = None) -> None:
        super().__init__(RowFile(path), records or path.with_name(f"{path.stem}-{FILE}"))

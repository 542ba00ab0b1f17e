"""Where files are kept: what the pipeline needs of a storage, and what it may say.

A key is made once: whoever comes second is told, and the first file stays. That one property is the fence in the
storage: of two attempts that finish at the same time, one has the winner's manifest, whatever the database thinks.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES: Final = 65_536
KEY_LENGTH_MAX: Final = 512

_KEY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", re.ASCII)


class StoreUnavailable(Exception):
    """The storage does not answer, or cannot do it now."""


def checked(key: str) -> str:
    """*key*, which has no segment that a file system or URL would understand as more than a name.

    Raises:
        LookupError: if it does; nothing is ever stored under such a key.
    """
    if len(key) > KEY_LENGTH_MAX or not _KEY.fullmatch(key):
        raise LookupError
    return key


class Store(Protocol):
    """A storage. Shared by threads and processes. Every method may raise `StoreUnavailable`."""

    def put_once(self, key: str, content: IO[bytes], media_type: str) -> bool:
        """Store *content*, from where it stands to its end, under a new key.

        False, and nothing changed, if the key is taken. Nobody ever sees a part of a file.
        """

    def open(self, key: str) -> Iterator[bytes]:
        """The bytes of a file. LookupError, before the first of them, if there is none."""

    def link(self, key: str, seconds: int) -> str | None:
        """An address of the storage's own; None where it has none."""

    def delete(self, key: str) -> None:
        """Remove a file; no matter if it is gone."""

"""What was found out about values that requests repeat, such as a header's: a bounded memory of a pure function.

The longest-unused values are forgotten first, by generations: when the newer half is full it becomes the older one.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

_Answer = TypeVar("_Answer")
#: Of values longer than this only a digest is kept.
_WHOLE_BYTES_MAX: Final = 32
_DIGEST_BYTES: Final = 16
_HASH: Final = blake2b(key=secrets.token_bytes(32), digest_size=_DIGEST_BYTES)


class Recall(Generic[_Answer]):
    """Answers by value, at most two times *generation* of them. Two threads may work out the same answer twice."""

    __slots__ = ("_generation", "_newer", "_older")

    def __init__(self, generation: int) -> None:
        self._generation = generation
        self._newer: dict[Hashable, _Answer] = {}
        self._older: dict[Hashable, _Answer] = {}

    def get(self, key: Hashable) -> _Answer | None:
        """The answer, if it is remembered."""
        found = self._newer.get(key)
        if found is None and (found := self._older.get(key)) is not None:
            self.put(key, found)
        return found

    def put(self, key: Hashable, answer: _Answer) -> None:
        """Remember an answer."""
        if len(self._newer) >= self._generation:
            self._older, self._newer = self._newer, {}
        self._newer[key] = answer


def digest(value: bytes) -> bytes:
    """What stands for a value in a key: itself if it is short, else a keyed digest, so that memory stays bounded."""
    if len(value) <= _WHOLE_BYTES_MAX:
        return value
    hashed = _HASH.copy()
    hashed.update(value)
    return hashed.digest()

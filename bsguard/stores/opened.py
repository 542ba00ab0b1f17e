"""What this process has opened and can be told to forget, for :func:`bsguard.testing.reset`."""

from __future__ import annotations

from typing import Final, Protocol
from weakref import WeakSet


class Forgetful(Protocol):
    """Something that counts."""

    def reset(self) -> object:
        """Forget everything."""
        ...


OPENED: Final[WeakSet[Forgetful]] = WeakSet()


def reset_all() -> None:
    """Let everything that this process has opened forget what it has counted."""
    for one in tuple(OPENED):
        one.reset()

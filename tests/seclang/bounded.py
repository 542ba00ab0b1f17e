"""An end for code that must be linear: input that is large enough to make a quadratic step last for minutes."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60
SIZE = 128 * 1024


@contextmanager
def ends(what: object) -> Iterator[None]:
    """Fails when the block has not ended long after anything linear would have: no measure of speed."""

    def give_up(*_: object) -> None:
        raise AssertionError(f"no end in {SECONDS} s: {what!r}")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def filled(unit: bytes, size: int = SIZE) -> bytes:
    """*unit* again and again, *size* bytes of it."""
    return (unit * (size // len(unit) + 1))[:size]

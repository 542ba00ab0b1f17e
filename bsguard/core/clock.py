"""Time comes in through here, so that tests set it instead of waiting for it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where a layer gets the time."""

    def now(self) -> float:
        """Seconds since the epoch, UTC; may step when the machine's clock is set."""
        ...


class SystemClock:
    """The machine's clock."""

    __slots__ = ()

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()


SYSTEM_CLOCK = SystemClock()

"""Time, as the control plane stores and shows it: whole milliseconds since 1970, in UTC."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

Clock = Callable[[], int]
"""Returns the present in milliseconds. Given to whatever needs the time, so that tests can set it."""

SECOND_MS: Final = 1_000
DAY_MS: Final = 86_400 * SECOND_MS

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def system_clock() -> int:
    """The machine's time, in milliseconds."""
    return time.time_ns() // 1_000_000


def rfc3339(moment_ms: int) -> str:
    """*moment_ms* as the contract shows moments: ``2026-04-19T12:00:00.000Z``."""
    return rfc3339_of(_EPOCH + timedelta(milliseconds=moment_ms))


def rfc3339_of(moment: datetime) -> str:
    """The same for a moment that somebody else keeps as a ``datetime`` in UTC."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

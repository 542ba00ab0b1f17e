"""Settings of event storage."""

from __future__ import annotations

from dataclasses import dataclass

from bsguard.core import readers
from bsguard.core.config import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsConfig:
    """Settings of the event store, ``BSGUARD_EVENTS_<NAME>``."""

    stored: bool = setting(True, "Keep events in `events.sqlite` in the state directory.", readers.flag)
    logged: bool = setting(True, "Write events to the logger `bsguard.events`.", readers.flag)
    finished: bool = setting(
        False, "Also keep one `request.finished` event for every request, not only what was acted on.", readers.flag
    )
    rows_max: int = setting(100_000, "Most events kept; the oldest go first.", readers.whole(100, 100_000_000))

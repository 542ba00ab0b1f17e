"""Event system: every change of a generation is an event, written by the transaction that makes the change.

Event streams and customers' webhooks read the same rows, so nobody hears of what did not happen, and nobody misses
what did. What only this process should hear (metrics, tests) goes to the log ``control_plane.events``, without money
depending on it.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import insert, select

from sample_app.representations import show_generation
from sample_app.tables import outbox

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sample_app.generations import Generation

EVENTS: Final = logging.getLogger("control_plane.events")


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one generation. ``payload`` is the generation as JSON, as it was after the change."""

    event_id: int
    account_id: str
    generation_id: str
    version: int
    payload: str
    created_at: int


def record(connection: Connection, generation: Generation) -> None:
    """Write down that *generation* changed, in the transaction that changed it."""
    connection.execute(
        insert(outbox).values(
            generation_id=generation.generation_id,
            account_id=generation.account_id,
            version=generation.version,
            payload=payload(generation),
            created_at=generation.updated_at,
            dispatched=False,
        )
    )


def payload(generation: Generation) -> str:
    """What an event says of a generation."""
    return json.dumps(show_generation(generation), separators=(",", ":"))


def since(connection: Connection, generation_id: str, version: int) -> tuple[Event, ...]:
    """What happened to a generation after *version*, in order."""
    query = (
        select(outbox)
        .where(outbox.c.generation_id == generation_id, outbox.c.version > version)
        .order_by(outbox.c.version)
    )
    return tuple(
        Event(row.event_id, row.account_id, row.generation_id, row.version, row.payload, row.created_at)
        for row in connection.execute(query)
    )


def tell(name: str, **facts: object) -> None:
    """Tell this process's observers. Facts are ids and fixed words, never anything submitted."""
    EVENTS.info("%s %s", name, json.dumps(facts), extra={"event": name, "facts": facts})

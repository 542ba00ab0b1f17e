"""Attempts: one provider asked once for one generation, and what is known of it.

An attempt's row is committed before its provider is called, so that nothing is ever paid for that nobody remembers.
Its state changes by compare-and-set only: every change names the states that it may come from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select, update

from sample_app.catalogue import Provider
from sample_app.tables import attempts

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row


class AttemptState(StrEnum):
    """What is known of an attempt."""

    STARTING = "starting"
    """The provider is being called, or the process that called it is gone."""
    RUNNING = "running"
    """The provider has it."""
    UNKNOWN = "unknown"
    """The provider may have it, and may charge it."""
    FINISHED = "finished"
    """The provider says that it is done; nothing is settled yet."""
    WON = "won"
    """Its outputs are the generation's; the charge is for it."""
    LATE = "late"
    """It was done, but the generation had ended. Recorded, never charged to the customer."""
    FAILED = "failed"
    """The provider said that there will be no result, or the result could not be used."""
    ABANDONED = "abandoned"
    """Nobody found out. The provider may charge it; the customer is not."""

    @property
    def open(self) -> bool:
        """Whether its outcome is still to come."""
        return self in OPEN


# Asked until the outcome is known.
OPEN: Final = (AttemptState.STARTING, AttemptState.RUNNING, AttemptState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row. Moments are milliseconds since 1970, UTC."""

    generation_id: str
    number: int
    provider: Provider
    token: str
    state: AttemptState
    provider_id: str | None
    outputs: tuple[str, ...]
    reason: str | None
    quoted_micro_usd: int
    spend_micro_usd: int
    spend_known: bool
    polls: int
    poll_at: int
    deadline_at: int
    cancel_asked: bool
    created_at: int
    updated_at: int


def add(connection: Connection, attempt: Attempt) -> None:
    """Write a new attempt. An IntegrityError if the generation has one of this number."""
    values = {name: getattr(attempt, name) for name in Attempt.__slots__}
    connection.execute(insert(attempts).values(**values | {"outputs": json.dumps(attempt.outputs)}))


def of(connection: Connection, generation_id: str) -> tuple[Attempt, ...]:
    """The generation's attempts, in order."""
    query = select(attempts).where(attempts.c.generation_id == generation_id).order_by(attempts.c.number)
    return tuple(_attempt(row) for row in connection.execute(query))


def by_token(connection: Connection, token: str) -> Attempt | None:
    """The attempt that this token was made for."""
    row = connection.execute(select(attempts).where(attempts.c.token == token)).one_or_none()
    return None if row is None else _attempt(row)


def move(
    connection: Connection,
    attempt: Attempt,
    to: AttemptState,
    now: int,
    *,
    come_from: tuple[AttemptState, ...] = OPEN,
    **values: object,
) -> bool:
    """Change the state if it is one of *come_from*; whether it was."""
    if "outputs" in values:
        values["outputs"] = json.dumps(values["outputs"])
    changed = connection.execute(
        update(attempts)
        .where(
            attempts.c.generation_id == attempt.generation_id,
            attempts.c.number == attempt.number,
            attempts.c.state.in_(come_from),
        )
        .values(state=to, updated_at=now, **values)
    )
    return changed.rowcount == 1


def note(
    connection: Connection, attempt: Attempt, *, while_in: tuple[AttemptState, ...] = OPEN, **values: object
) -> None:
    """Write down something that is no change of its state, if that is still one of *while_in*."""
    connection.execute(
        update(attempts)
        .where(
            attempts.c.generation_id == attempt.generation_id,
            attempts.c.number == attempt.number,
            attempts.c.state.in_(while_in),
        )
        .values(**values)
    )


def _attempt(row: Row[Any]) -> Attempt:
    values = dict(row._mapping)
    values["provider"] = Provider(row.provider)
    values["state"] = AttemptState(row.state)
    values["outputs"] = tuple(json.loads(row.outputs))
    return Attempt(**values)

"""Generations as they are stored, and the walk through one account's. Nobody reads a generation without an account.

Pages go by position, not by number: a cursor names the last row that was shown, so that rows which come or change in
between neither repeat nor vanish.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, tuple_, update

from sample_app.catalogue import MediaKind
from sample_app.database import insert_new
from sample_app.errors import ApiError, ErrorCode
from sample_app.tables import generations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row

    from sample_app.database import Database

GENERATION_ID: Final = re.compile(r"gen_[0-9a-f]{32}", re.ASCII)

# An encoded position is 64 characters at most; anything much longer was not made here and is not worth decoding.
CURSOR_LENGTH_MAX: Final = 128

_CURSOR_TEXT: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_POSITION: Final = re.compile(r"([0-9]{1,15}):(gen_[0-9a-f]{32})", re.ASCII)


class Status(StrEnum):
    """Where a generation is in its life."""

    ACCEPTED = "accepted"
    RESERVED = "reserved"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NEEDS_RECONCILE = "needs_reconcile"

    @property
    def final(self) -> bool:
        """Whether nothing can change any more."""
        return self not in UNFINISHED


# States in which credits are held; a generation leaves them once, for a final one.
UNFINISHED: Final = (Status.ACCEPTED, Status.RESERVED, Status.RUNNING, Status.NEEDS_RECONCILE)


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation. Moments are milliseconds since 1970, UTC; ``request`` holds the fields as they were sent."""

    generation_id: str
    account_id: str
    kind: MediaKind
    model: str
    status: Status
    version: int
    request: Mapping[str, object]
    credits: int
    provider: str | None
    outputs: tuple[str, ...]
    failure: tuple[str, str] | None
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; None does not narrow."""

    kind: MediaKind | None = None
    status: Status | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the newest-first order, between two rows."""

    created_at: int
    generation_id: str

    def encode(self) -> str:
        """As a cursor: opaque to clients, safe in a query."""
        return base64.urlsafe_b64encode(f"{self.created_at}:{self.generation_id}".encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, cursor: str) -> Position:
        """The place that *cursor* names.

        Raises:
            ApiError: 422 if no place has this cursor.
        """
        if len(cursor) > CURSOR_LENGTH_MAX or not _CURSOR_TEXT.fullmatch(cursor):
            raise ApiError(ErrorCode.INVALID_CURSOR)
        try:
            text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            raise ApiError(ErrorCode.INVALID_CURSOR) from None
        found = _POSITION.fullmatch(text)
        if found is None:
            raise ApiError(ErrorCode.INVALID_CURSOR)
        return cls(int(found[1]), found[2])


@dataclass(frozen=True, slots=True)
class Page:
    """Some generations, and where the next ones begin; ``next`` is None on the last page."""

    generations: tuple[Generation, ...]
    next: Position | None


@dataclass(frozen=True, slots=True)
class GenerationStore:
    """The generations of all accounts, read one account at a time."""

    database: Database

    def find(self, account_id: str, generation_id: str) -> Generation | None:
        """The account's generation with this id. Another account's is None too."""
        if not GENERATION_ID.fullmatch(generation_id):
            return None
        with self.database.reading() as connection:
            found = read(connection, generation_id)
        return found if found is not None and found.account_id == account_id else None

    def page(self, account_id: str, filters: Filters, *, after: Position | None, rows_max: int) -> Page:
        """At most *rows_max* of the account's generations, newest first, those behind *after*."""
        columns = generations.c
        query = select(generations).where(columns.account_id == account_id)
        if after is not None:
            query = query.where(
                tuple_(columns.created_at, columns.generation_id) < tuple_(after.created_at, after.generation_id)
            )
        if filters.kind is not None:
            query = query.where(columns.kind == filters.kind)
        if filters.status is not None:
            query = query.where(columns.status == filters.status)
        if filters.model is not None:
            query = query.where(columns.model == filters.model)
        # One row more than is shown tells whether there is a next page.
        query = query.order_by(columns.created_at.desc(), columns.generation_id.desc()).limit(rows_max + 1)
        with self.database.reading() as connection:
            found = tuple(_generation(row) for row in connection.execute(query))
        shown = found[:rows_max]
        last = Position(shown[-1].created_at, shown[-1].generation_id) if len(found) > rows_max else None
        return Page(shown, last)


def add(connection: Connection, generation: Generation, *, due_at: int | None) -> bool:
    """Store a new generation. False, and nothing changed, if the id is taken."""
    values = {
        "generation_id": generation.generation_id,
        "account_id": generation.account_id,
        "kind": generation.kind,
        "model": generation.model,
        "status": generation.status,
        "version": generation.version,
        "request": json.dumps(generation.request),
        "credits": generation.credits,
        "provider": generation.provider,
        "outputs": json.dumps(generation.outputs),
        "failure_code": generation.failure[0] if generation.failure else None,
        "failure_message": generation.failure[1] if generation.failure else None,
        "created_at": generation.created_at,
        "updated_at": generation.updated_at,
        "due_at": due_at,
        "signals": 0,
    }
    return insert_new(connection, generations, values)


def move(
    connection: Connection,
    generation_id: str,
    to: Status,
    now: int,
    *,
    come_from: tuple[Status, ...],
    **values: object,
) -> Generation | None:
    """Change the state if it is one of *come_from*: the generation after the change, or None if it was not."""
    columns = generations.c
    if "outputs" in values:
        values["outputs"] = json.dumps(values["outputs"])
    row = connection.execute(
        update(generations)
        .where(columns.generation_id == generation_id, columns.status.in_(come_from))
        .values(status=to, updated_at=now, version=columns.version + 1, **values)
        .returning(generations)
    ).one_or_none()
    return None if row is None else _generation(row)


def read(connection: Connection, generation_id: str) -> Generation | None:
    """The generation with this id, whosever it is: for the service itself, never for a client."""
    row = connection.execute(select(generations).where(generations.c.generation_id == generation_id)).one_or_none()
    return None if row is None else _generation(row)


def _generation(row: Row[Any]) -> Generation:
    return Generation(
        generation_id=row.generation_id,
        account_id=row.account_id,
        kind=MediaKind(row.kind),
        model=row.model,
        status=Status(row.status),
        version=row.version,
        request=json.loads(row.request),
        credits=row.credits,
        provider=row.provider,
        outputs=tuple(json.loads(row.outputs)),
        failure=None if row.failure_code is None else (row.failure_code, row.failure_message),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )

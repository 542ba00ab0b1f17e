"""Files: which account has which, and where the storage keeps it. The bytes are the artifact pipeline's."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, select

from sample_app.clock import DAY_MS
from sample_app.database import insert_new
from sample_app.tables import files

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sample_app.artifact_pipeline import Stored, Winner
    from sample_app.generations import Generation

FILE_ID: Final = re.compile(r"file_[0-9a-f]{32}", re.ASCII)

# Providers fetch an input file within minutes; a day leaves time to use it again.
UPLOAD_LIFETIME_MS: Final = DAY_MS


@dataclass(frozen=True, slots=True)
class File:
    """One row. Moments are milliseconds since 1970, UTC; ``expires_at`` is None for outputs, which stay."""

    file_id: str
    account_id: str
    generation_id: str | None
    storage_key: str
    media_type: str
    bytes: int
    sha256: str
    created_at: int
    expires_at: int | None


def new_id() -> str:
    """An id for an upload."""
    return f"file_{secrets.token_hex(16)}"


def output_ids(generation_id: str, attempt: int, number: int) -> tuple[str, ...]:
    """The ids of an attempt's files: the same whenever they are worked out, and no guess without the generation's."""
    names = (f"{generation_id}/{attempt}/{index}" for index in range(number))
    return tuple(f"file_{hashlib.sha256(name.encode()).hexdigest()[:32]}" for name in names)


def add_outputs(connection: Connection, generation: Generation, winner: Winner, now: int) -> None:
    """Write down a winner's files."""
    names = output_ids(generation.generation_id, winner.number, len(winner.files))
    for file_id, stored in zip(names, winner.files, strict=True):
        _add(connection, file_id, generation.account_id, generation.generation_id, stored, now, None)


def add_upload(connection: Connection, file_id: str, account_id: str, stored: Stored, now: int) -> File:
    """Write down an uploaded file."""
    return _add(connection, file_id, account_id, None, stored, now, now + UPLOAD_LIFETIME_MS)


def find(connection: Connection, file_id: str, now: int) -> File | None:
    """The file with this id, whosever it is, unless its time is over."""
    if not FILE_ID.fullmatch(file_id):
        return None
    row = connection.execute(select(files).where(files.c.file_id == file_id)).one_or_none()
    if row is None or (row.expires_at is not None and row.expires_at <= now):
        return None
    return File(**row._mapping)


def expired(connection: Connection, now: int, rows_max: int) -> tuple[File, ...]:
    """Files whose time is over."""
    query = select(files).where(files.c.expires_at <= now).limit(rows_max)
    return tuple(File(**row._mapping) for row in connection.execute(query))


def remove(connection: Connection, file_id: str) -> None:
    """Forget a file."""
    connection.execute(delete(files).where(files.c.file_id == file_id))


def _add(
    connection: Connection,
    file_id: str,
    account_id: str,
    generation_id: str | None,
    stored: Stored,
    now: int,
    expires_at: int | None,
) -> File:
    values: dict[str, Any] = {
        "file_id": file_id,
        "account_id": account_id,
        "generation_id": generation_id,
        "storage_key": stored.key,
        "media_type": stored.media_type,
        "bytes": stored.bytes,
        "sha256": stored.sha256,
        "created_at": now,
        "expires_at": expires_at,
    }
    insert_new(connection, files, values)
    return File(**values)

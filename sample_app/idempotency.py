"""Idempotency keys: a POST that spends, repeated with its key, has its first answer and does nothing.

The key is claimed by the transaction that does the work and keeps the answer, so there is no state in between: either
all of it is there or none. Whoever comes meanwhile with the same key waits for that transaction.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, select, update
from sqlalchemy.exc import OperationalError

from sample_app.clock import DAY_MS
from sample_app.database import insert_new
from sample_app.errors import ApiError, ErrorCode
from sample_app.tables import idempotency_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

KEEP_MS: Final = DAY_MS

_LOCK_NOT_AVAILABLE: Final = "55P03"


@dataclass(frozen=True, slots=True)
class Act:
    """One act of spending: who, by which operation, under which key, with which parameters."""

    account_id: str
    operation: str
    key: str
    parameters: Mapping[str, object]

    @property
    def digest(self) -> bytes:
        """The same for the same parameters, however their JSON was written."""
        return hashlib.sha256(json.dumps(self.parameters, sort_keys=True).encode()).digest()


def claim(connection: Connection, act: Act, now: int) -> dict[str, Any] | None:
    """Claim the key for this transaction: None, or the answer of the one that had it first.

    Raises:
        ApiError: 422 if the key was used with other parameters, 409 if its first request takes too long.
    """
    values = {
        "account_id": act.account_id,
        "operation": act.operation,
        "key": act.key,
        "parameters_sha256": act.digest,
        "created_at": now,
    }
    try:
        if insert_new(connection, idempotency_keys, values):
            return None
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise ApiError(ErrorCode.REQUEST_RUNNING) from None
        raise
    row = connection.execute(select(idempotency_keys).where(*_is(act))).one()
    if row.parameters_sha256 != act.digest:
        raise ApiError(ErrorCode.IDEMPOTENCY_KEY_REUSED)
    answer: dict[str, Any] = json.loads(row.answer)
    return answer


def keep(connection: Connection, act: Act, answer: Mapping[str, object]) -> None:
    """Keep the answer under the key, in the transaction that claimed it."""
    connection.execute(update(idempotency_keys).where(*_is(act)).values(answer=json.dumps(answer)))


def forget(connection: Connection, now: int) -> int:
    """Drop keys that nobody will repeat any more; how many."""
    done = connection.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < now - KEEP_MS))
    return int(done.rowcount)


def _is(act: Act) -> tuple[Any, ...]:
    columns = idempotency_keys.c
    return (columns.account_id == act.account_id, columns.operation == act.operation, columns.key == act.key)

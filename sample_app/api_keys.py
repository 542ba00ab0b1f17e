"""API keys: made, stored as digests, found, revoked, rotated.

A key is ``bsk_<id>_<secret>``. The id is public and finds the row; the secret is 256 random bits of which only the
SHA-256 is stored. A slow password hash would add nothing: a secret of that size cannot be searched.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select, update

from sample_app.clock import SECOND_MS
from sample_app.tables import api_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Row

    from sample_app.clock import Clock
    from sample_app.database import Database

ACCOUNT_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
KEY_ID: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
LABEL_LENGTH_MAX: Final = 100

_TOKEN: Final = re.compile(r"bsk_([0-9a-f]{16})_([0-9a-f]{64})", re.ASCII)


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    GENERATE = "generate"
    BILLING = "billing"
    BILLING_READ = "billing:read"
    PLAYGROUND = "playground"


# What a key of the API can have. The playground has keys of its own, which live for minutes.
API_SCOPES: Final = tuple(scope for scope in Scope if scope is not Scope.PLAYGROUND)
PLAYGROUND_KEY_MS: Final = 15 * 60 * SECOND_MS


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key, without its secret. Moments are milliseconds since 1970, UTC."""

    key_id: str
    secret_sha256: bytes
    account_id: str
    label: str
    scopes: frozenset[Scope]
    created_at: int
    expires_at: int | None
    revoked_at: int | None

    def matches(self, secret: str) -> bool:
        """Whether *secret* is this key's, in a time that does not depend on where they differ."""
        return hmac.compare_digest(self.secret_sha256, _digest(secret))


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key with its token. The token exists here and with its owner, nowhere else."""

    key: ApiKey
    token: str


def split_token(token: str) -> tuple[str, str] | None:
    """The key id and the secret in *token*, or None if it does not look like a key."""
    found = _TOKEN.fullmatch(token)
    return (found[1], found[2]) if found else None


@dataclass(frozen=True, slots=True)
class ApiKeyStore:
    """The keys of all accounts."""

    database: Database
    clock: Clock

    def find(self, key_id: str) -> ApiKey | None:
        """The key with this id, whatever its state."""
        with self.database.reading() as connection:
            return _find(connection, key_id)

    def list(self, account_id: str | None = None) -> tuple[ApiKey, ...]:
        """All keys, or one account's, oldest first."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.key_id)
        if account_id is not None:
            query = query.where(api_keys.c.account_id == account_id)
        with self.database.reading() as connection:
            return tuple(_key(row) for row in connection.execute(query))

    def create(
        self, account_id: str, scopes: Iterable[Scope], *, label: str = "", expires_at: int | None = None
    ) -> IssuedKey:
        """Make a key for *account_id*; *expires_at* is in milliseconds, None for never."""
        with self.database.writing() as connection:
            return self._issue(connection, account_id, scopes, label=label, expires_at=expires_at)

    def revoke(self, key_id: str) -> bool:
        """Stop a key for good. False if there is no such key; revoking twice keeps the first moment."""
        with self.database.writing() as connection:
            if _find(connection, key_id) is None:
                return False
            self._revoke(connection, key_id)
            return True

    def rotate(self, key_id: str, *, overlap_ms: int = 0) -> IssuedKey | None:
        """Replace a key by a new one for the same account, scopes, label and expiry.

        The old key stops at once, or keeps working for *overlap_ms* more. None if the key does not exist or no longer
        works, since rotating must not bring a dead key back to life.
        """
        with self.database.writing() as connection:
            old = _find(connection, key_id)
            now = self.clock()
            if old is None or old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
                return None
            issued = self._issue(connection, old.account_id, old.scopes, label=old.label, expires_at=old.expires_at)
            if overlap_ms:
                end = now + overlap_ms if old.expires_at is None else min(now + overlap_ms, old.expires_at)
                connection.execute(update(api_keys).where(api_keys.c.key_id == key_id).values(expires_at=end))
            else:
                self._revoke(connection, key_id)
            return issued

    def replace_labelled(
        self, account_id: str, scopes: Iterable[Scope], *, label: str, expires_at: int | None
    ) -> IssuedKey:
        """Make a key and revoke the account's other keys with the same *label*, in one transaction."""
        with self.database.writing() as connection:
            for row in connection.execute(
                select(api_keys.c.key_id).where(
                    api_keys.c.account_id == account_id, api_keys.c.label == label, api_keys.c.revoked_at.is_(None)
                )
            ).all():
                self._revoke(connection, row.key_id)
            return self._issue(connection, account_id, scopes, label=label, expires_at=expires_at)

    def _issue(
        self,
        connection: Connection,
        account_id: str,
        scopes: Iterable[Scope],
        *,
        label: str,
        expires_at: int | None,
    ) -> IssuedKey:
        secret = secrets.token_hex(32)
        key = ApiKey(
            key_id=secrets.token_hex(8),
            secret_sha256=_digest(secret),
            account_id=account_id,
            label=label,
            scopes=frozenset(scopes),
            created_at=self.clock(),
            expires_at=expires_at,
            revoked_at=None,
        )
        connection.execute(
            insert(api_keys).values(
                key_id=key.key_id,
                secret_sha256=key.secret_sha256,
                account_id=key.account_id,
                label=key.label,
                scopes=" ".join(sorted(key.scopes)),
                created_at=key.created_at,
                expires_at=key.expires_at,
            )
        )
        return IssuedKey(key, f"bsk_{key.key_id}_{secret}")

    def _revoke(self, connection: Connection, key_id: str) -> None:
        connection.execute(
            update(api_keys)
            .where(api_keys.c.key_id == key_id, api_keys.c.revoked_at.is_(None))
            .values(revoked_at=self.clock())
        )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def _find(connection: Connection, key_id: str) -> ApiKey | None:
    row = connection.execute(select(api_keys).where(api_keys.c.key_id == key_id)).one_or_none()
    return None if row is None else _key(row)


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        key_id=row.key_id,
        secret_sha256=row.secret_sha256,
        account_id=row.account_id,
        label=row.label,
        scopes=frozenset(Scope(name) for name in row.scopes.split()),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )

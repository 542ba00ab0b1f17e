"""What this service signs and later recognises: addresses of files, and dashboard sessions.

All keys are derived by label from one secret, so that a signature for one purpose is none for another. The secret is
the operator's, or one that the deployment made up at its first start and keeps in its database, for all its machines.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from sample_app.clock import SECOND_MS
from sample_app.database import insert_new
from sample_app.tables import secrets as secrets_table

if TYPE_CHECKING:
    from sample_app.clock import Clock
    from sample_app.database import Database

# How long an address that a client was sent to works, and one that a provider was given.
LINK_SECONDS: Final = 15 * 60
INPUT_LINK_SECONDS: Final = 60 * 60
SESSION_SECONDS: Final = 60 * 60

_SESSION: Final = re.compile(r"([a-z0-9][a-z0-9_-]{0,62})\.([0-9]{1,11})\.([A-Za-z0-9_-]{43})", re.ASCII)
_EXPIRES: Final = re.compile(r"[0-9]{1,11}", re.ASCII)
_NAME: Final = "signing"


@dataclass(frozen=True, slots=True)
class Session:
    """A dashboard session: the cookie's value, and the token that must come with it."""

    cookie: str
    token: str


@dataclass(frozen=True, slots=True)
class Signing:
    """Signs and verifies. ``given`` is the operator's secret, or empty."""

    database: Database
    clock: Clock
    given: str

    def address(self, file_id: str, seconds: int) -> str:
        """An address of this service that opens a file for so long, without a key."""
        expires = self.clock() // SECOND_MS + seconds
        return f"/v1/files/{file_id}?expires={expires}&signature={self._mac('file', f'{file_id}.{expires}')}"

    def opens(self, file_id: str, expires: str, signature: str) -> bool:
        """Whether these are from an address that was handed out, whose time is not over."""
        if not _EXPIRES.fullmatch(expires) or int(expires) * SECOND_MS <= self.clock():
            return False
        return self._is(signature, "file", f"{file_id}.{expires}")

    def session(self, account_id: str) -> Session:
        """A new dashboard session for somebody whom the dashboard has signed in."""
        facts = f"{account_id}.{self.clock() // SECOND_MS + SESSION_SECONDS}"
        cookie = f"{facts}.{self._mac('session', facts)}"
        return Session(cookie, self._mac("anti-forgery", cookie))

    def account(self, cookie: str, token: str) -> str | None:
        """Whose session it is, if it is one, its time is not over, and the token belongs to it."""
        found = _SESSION.fullmatch(cookie)
        if found is None or not self._is(found[3], "session", f"{found[1]}.{found[2]}"):
            return None
        if int(found[2]) * SECOND_MS <= self.clock() or not self._is(token, "anti-forgery", cookie):
            return None
        return found[1]

    def _is(self, presented: str, label: str, message: str) -> bool:
        return hmac.compare_digest(presented.encode("utf-8", "replace"), self._mac(label, message).encode())

    def _mac(self, label: str, message: str) -> str:
        key = hmac.digest(self._secret().encode(), label.encode(), "sha256")
        return base64.urlsafe_b64encode(hmac.digest(key, message.encode(), hashlib.sha256)).decode().rstrip("=")

    def _secret(self) -> str:
        if self.given:
            return self.given
        query = select(secrets_table.c.value).where(secrets_table.c.name == _NAME)
        with self.database.reading() as connection:
            found = connection.execute(query).scalar_one_or_none()
        if found is not None:
            return str(found)
        with self.database.writing() as connection:
            insert_new(connection, secrets_table, {"name": _NAME, "value": secrets.token_hex(32)})
            return str(connection.execute(query).scalar_one())

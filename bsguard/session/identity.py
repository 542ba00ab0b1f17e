"""Who a session is: keyed hashes of what the request presents; nothing else is ever kept.

A claim of a JSON Web Token is not verified here, so it may only narrow: it tells whose session it is once the
application has accepted the request, and a credential that is throttled or denied stays so whatever it claims.
"""

from __future__ import annotations

import binascii
import json
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final, NamedTuple

from bsguard.core.credentials import canonical
from bsguard.core.grammar import environ_key
from bsguard.core.secrets import Secrets, keyed_hash

if TYPE_CHECKING:
    from bsguard.core.request import Request
    from bsguard.session.config import IdentitySource

#: Identities that a process remembers the hashes of, and how long one may be to be remembered.
_REMEMBERED_MAX: Final = 4096
_REMEMBERED_CHARS_MAX: Final = 2048
#: Longest token whose claims are read, and longest text that is taken for an identity.
TOKEN_CHARS_MAX: Final = 8192
IDENTITY_CHARS_MAX: Final = 1024


class Who(NamedTuple):
    """Ids of one session: under each secret, newest first; empty where the request presents none."""

    sessions: tuple[str, ...]
    #: Id of the credential, where that is something else than the session.
    credential: str = ""


NOBODY: Final = Who(())


class Identities:
    """Finds the session of a request."""

    def __init__(self, source: IdentitySource, secret_keys: tuple[str, ...]) -> None:
        self._source = source
        self._keys = Secrets(secret_keys).derive("identity")
        self._key = environ_key(source.name) if source.kind == "header" else ""
        self._remembered = lru_cache(maxsize=_REMEMBERED_MAX)(self._hash)
        self._credentials = lru_cache(maxsize=_REMEMBERED_MAX)(self._credential)

    def of(self, request: Request) -> Who:
        """The session of *request*, before the application has seen it."""
        kind = self._source.kind
        authorization = request.environ.get("HTTP_AUTHORIZATION", "")
        if kind == "authorization":
            if not authorization:
                return NOBODY
            short = len(authorization) <= _REMEMBERED_CHARS_MAX
            return self._credentials(authorization) if short else self._credential(authorization)
        credential = self.hashed(canonical(authorization))[0] if authorization else ""
        if kind == "account":
            return Who(self.account(request.shared.account or ""), credential)
        found = self._find(request, authorization)
        return Who(self.hashed(f"{kind}\0{self._source.name}\0{found}"), credential) if found else Who((), credential)

    def account(self, account: str) -> tuple[str, ...]:
        """The ids of an account's session."""
        return self.hashed(f"account\0{account}") if account else ()

    def hashed(self, text: str) -> tuple[str, ...]:
        """*text* hashed under each secret."""
        return self._remembered(text) if len(text) <= _REMEMBERED_CHARS_MAX else self._hash(text)

    @property
    def by_credential(self) -> bool:
        """Whether a session is a credential."""
        return self._source.kind == "authorization"

    @property
    def by_account(self) -> bool:
        """Whether the application says who it is, so that this is known only after it has seen the request."""
        return self._source.kind == "account"

    def _credential(self, authorization: str) -> Who:
        return Who(self._hash(canonical(authorization)))

    def _hash(self, text: str) -> tuple[str, ...]:
        return tuple(keyed_hash(key, text) for key in self._keys)

    def _find(self, request: Request, authorization: str) -> str:
        source = self._source
        if source.kind == "header":
            return request.header(self._key)[:IDENTITY_CHARS_MAX]
        if source.kind == "cookie":
            return _cookie(request.header("HTTP_COOKIE"), source.name)
        if source.kind == "claim":
            return _claim(authorization, source.name)
        assumed = source.callback(request.environ) if source.callback is not None else None
        return "" if assumed is None else str(assumed)[:IDENTITY_CHARS_MAX]


def _cookie(header: str, name: str) -> str:
    if name not in header or len(header) > TOKEN_CHARS_MAX:
        return ""
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value[:IDENTITY_CHARS_MAX] if found is not None else ""


def _claim(authorization: str, name: str) -> str:
    """A claim of the token (RFC 7519 §3), unverified; empty where there is none."""
    parts = authorization.rpartition(" ")[2].split(".")
    if len(parts) != 3 or len(authorization) > TOKEN_CHARS_MAX:
        return ""
    try:
        payload = binascii.a2b_base64(parts[1].translate(_FROM_URL) + "==")
        claims = json.loads(payload)
        found = claims.get(name, "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return str(found)[:IDENTITY_CHARS_MAX] if isinstance(found, (str, int)) else ""


_FROM_URL: Final = str.maketrans("-_", "+/")

"""Access control: who is asking, and may they.

The account comes from the API key and from nothing else. Once a key is accepted, the guard is told whose request it
is; it is not told before, so that nobody can act on an account by naming it.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bsguard import identify
from sample_app.api_keys import ApiKey, Scope, split_token
from sample_app.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from sample_app.api_keys import ApiKeyStore
    from sample_app.clock import Clock
    from sample_app.signing import Signing

_REALM: Final = 'Bearer realm="control-plane"'


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: an account, through one of its keys."""

    account_id: str
    key_id: str


@dataclass(frozen=True, slots=True)
class AccessControl:
    """Checks credentials. ``cron_secret`` empty means that no cron call is accepted."""

    keys: ApiKeyStore
    clock: Clock
    cron_secret: str
    signing: Signing

    def require_scope(self, authorization: str | None, scope: Scope) -> Principal:
        """The principal of a request with this Authorization header.

        Raises:
            ApiError: 401 with ``WWW-Authenticate`` if there is no key that works, 403 if it lacks *scope*.
        """
        key = self._authenticate(authorization)
        identify(key.account_id)
        if scope not in key.scopes:
            # RFC 6750, section 3.1: the 403 "MAY include the "scope" attribute with the scope necessary to access the
            # protected resource".
            challenge = f'{_REALM}, error="insufficient_scope", scope="{scope}"'
            raise ApiError(ErrorCode.MISSING_SCOPE, headers={"WWW-Authenticate": challenge})
        return Principal(key.account_id, key.key_id)

    def require_playground(self, request: Request) -> Principal:
        """The principal of a request to the playground: by a playground key, or by a dashboard session.

        A session alone proves nothing: browsers send cookies with requests that other sites make. The token is what
        such a site cannot know.

        Raises:
            ApiError: 401 if neither is there and works, 403 if the key is for something else.
        """
        authorization = request.headers.get("Authorization")
        if authorization:
            return self.require_scope(authorization, Scope.PLAYGROUND)
        cookie, token = request.cookies.get("dashboard_session", ""), request.headers.get("X-CSRF-Token", "")
        account_id = self.signing.account(cookie, token)
        if account_id is None:
            raise ApiError(ErrorCode.INVALID_PLAYGROUND_ACCESS, headers={"WWW-Authenticate": _REALM})
        identify(account_id)
        return Principal(account_id, f"session:{account_id}")

    def require_cron_secret(self, presented: str | None) -> None:
        """Let a scheduler's call pass.

        Raises:
            ApiError: 401 if *presented* is not the operator's secret, or there is none.
        """
        expected = self.cron_secret.encode()
        # Headers reach WSGI apps as Latin-1 text, so every presented value has bytes to compare.
        given = (presented or "").encode("latin-1", "replace")
        if not expected or not hmac.compare_digest(expected, given):
            # RFC 9110, section 15.5.2: who answers 401 "MUST send a WWW-Authenticate header field".
            headers = {"WWW-Authenticate": 'X-Cron-Secret realm="control-plane"'}
            raise ApiError(ErrorCode.INVALID_CRON_SECRET, headers=headers)

    def _authenticate(self, authorization: str | None) -> ApiKey:
        if not authorization:
            # RFC 6750, section 3: without credentials, "the resource server SHOULD NOT include an error code".
            raise ApiError(ErrorCode.MISSING_KEY, headers={"WWW-Authenticate": _REALM})
        scheme, _, token = authorization.partition(" ")
        parts = split_token(token.strip(" ")) if scheme.lower() == "bearer" else None
        key = self.keys.find(parts[0]) if parts else None
        if key is None or parts is None or not key.matches(parts[1]):
            raise _invalid(ErrorCode.INVALID_KEY)
        # From here on the client has shown the secret, so it may be told what became of its key.
        if key.revoked_at is not None:
            raise _invalid(ErrorCode.REVOKED_KEY)
        if key.expires_at is not None and key.expires_at <= self.clock():
            raise _invalid(ErrorCode.EXPIRED_KEY)
        return key


def _invalid(error: ErrorCode) -> ApiError:
    return ApiError(error, headers={"WWW-Authenticate": f'{_REALM}, error="invalid_token"'})

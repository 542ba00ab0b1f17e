"""Who is counted: the client's network, its credential, what the credential is aimed at."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from bsguard.core.credentials import canonical, user_and_password
from bsguard.core.networks import parse_address

if TYPE_CHECKING:
    from bsguard.core.request import Request

#: How many characters of a token name the key it is meant for; what dashboards show of an API key.
TARGET_CHARS: Final = 12
#: They are counted from the last sign between words here: ``sk_live_``, ``github_pat_`` name the issuer, no key.
_ISSUER_CHARS: Final = 16

#: A site has a /48 (RFC 6177): whoever has one can take sixteen bits of /64 networks in turn.
_SITE_BITS: Final = 48

#: JSON Web Tokens begin alike whomever they are for, and nobody guesses them.
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.")
_IDENTIFIER: Final = re.compile(r"[^/]*[0-9][^/]*|[^/]{24,}")


@lru_cache(maxsize=4096)
def site_of(address: str) -> str:
    """The /48 of an IPv6 address; empty for any other."""
    parsed = parse_address(address)
    if not isinstance(parsed, ipaddress.IPv6Address):
        return ""
    return str(ipaddress.IPv6Network((int(parsed) >> (128 - _SITE_BITS) << (128 - _SITE_BITS), _SITE_BITS)))


def unplaceable(request: Request) -> bool:
    """Whether the client's address stands for everybody: a proxy on this machine that was not declared.

    A peer elsewhere that sends forwarding headers is counted by its own address, or any client could have itself
    counted by none.
    """
    client = request.client
    if client.address == "unknown":
        return True
    address = parse_address(client.address) if client.undeclared_proxy else None
    return address is not None and address.is_loopback


def credential_of(request: Request, keys: tuple[str, ...]) -> str:
    """The credential that the request presents, under the environ *keys*; empty when it presents none."""
    return "\0".join([canonical(request.header(key)) for key in keys]).strip("\0")


def target_of(credential: str) -> str:
    """What a guessed *credential* is aimed at, a user name or the beginning of a key; empty if that says nothing.

    The beginning that all keys of one issuer share is no target: it would be everybody's.
    """
    scheme, _, token = credential.partition(" ")
    token = token.strip() or scheme
    if scheme.lower() == "basic":
        return "user " + _user_name(token)
    if _JWT.match(token):
        return ""
    shared = 1 + max(token.rfind(mark, 0, _ISSUER_CHARS) for mark in "_-.")
    return "key " + token[: min(shared + TARGET_CHARS, len(token) // 2)]


def _user_name(token: str) -> str:
    """The user name of Basic credentials, in one spelling; the token's digest if there is none."""
    pair = user_and_password(token)
    if pair is None:
        return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
    return pair.partition(b":")[0].decode("utf-8", "replace").strip().casefold()


def shape_of(path: str) -> str:
    """*path* with its identifiers left out: ``/v1/files/{}`` for ``/v1/files/8f14``."""
    return "/".join("{}" if _IDENTIFIER.fullmatch(segment) else segment for segment in path.split("/"))

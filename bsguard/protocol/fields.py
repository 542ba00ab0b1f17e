"""Checks of the request line and the header fields. Each looks at one thing and returns a finding or None."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bsguard.core import codes
from bsguard.core.client import is_trusted, peer_of
from bsguard.core.grammar import (
    CONTROL_IN_VALUE,
    CREDENTIALS_OPAQUE,
    CREDENTIALS_PARAMS,
    CREDENTIALS_TOKEN68,
    ENVIRON_NAME,
)
from bsguard.core.request import parse_authority
from bsguard.core.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bsguard.core.request import Request
    from bsguard.protocol.config import ProtocolConfig

#: What servers call the versions we speak; h2 servers say "HTTP/2" or "HTTP/2.0".
_VERSIONS: Final = frozenset({"HTTP/1.1", "HTTP/1.0", "HTTP/2", "HTTP/2.0"})
#: Framing fields have keys of their own (RFC 3875 §4.1.2, §4.1.3); under HTTP_ they come from another spelling.
_SHADOWS: Final = frozenset({"HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"})
#: How many names are remembered, and how long they may be, so that nobody can fill the memory with names.
_GOOD_NAMES_MAX: Final = 4096
_GOOD_NAME_CHARS_MAX: Final = 64


def method(request: Request, config: ProtocolConfig) -> Finding | None:
    """RFC 9110 §9.1: the method token is case-sensitive; 405 must list what is allowed (§15.5.6)."""
    if request.method in config.methods:
        return None
    allow = (("Allow", ", ".join(config.methods)),)
    return Finding("protocol.method", codes.METHOD_NOT_ALLOWED, "not on the allow-list", headers=allow)


def version(request: Request, config: ProtocolConfig) -> Finding | None:  # noqa: ARG001
    """RFC 9110 §2.5: versions that we do not know may mean anything by the same bytes."""
    if request.environ.get("SERVER_PROTOCOL") in _VERSIONS:
        return None
    return Finding("protocol.version", codes.VERSION_NOT_SUPPORTED, "not HTTP/1.0, 1.1 or 2")


def https(request: Request, config: ProtocolConfig) -> Finding | None:
    """HTTPS as a trusted source says it; ``wsgi.url_scheme`` alone proves nothing (see ``core/client.py``)."""
    client = request.client
    if not config.https or client.https or client.local:
        return None
    if any(pattern.matches(request.path) for pattern in config.https_paths_exempt):
        return None
    reason = "plain HTTP"
    if client.undeclared_proxy:
        reason = "HTTPS is claimed by a peer that is not in BSGUARD_TRUSTED_PROXIES"
    return Finding("protocol.https", codes.HTTPS_REQUIRED, reason)


class HeaderLines:
    """Names, values, count and size of all header lines."""

    def __init__(self) -> None:
        #: Environ keys found good before, and those of them that are headers: the common request is two set operations.
        self._known: tuple[set[str], set[str]] = (set(), set())

    def __call__(self, request: Request, config: ProtocolConfig) -> list[Finding]:
        """All that is wrong with the header lines; usually an empty list."""
        environ = request.environ
        findings: list[Finding] = []
        good, headers = self._known
        if good.issuperset(environ):
            keys: Collection[str] = headers.intersection(environ)
        else:
            keys = [key for key in environ if key[:5] == "HTTP_"]
            if not self._names_good(keys, environ):
                reason = "a name that is no token, or a second spelling of Content-Length or Content-Type"
                findings.append(Finding("protocol.header.name", codes.MALFORMED_HEADER, reason))
        # One text of all names and values; about as long as the lines on the wire.
        text = " ".join([*keys, *map(environ.__getitem__, keys), environ.get("CONTENT_TYPE", "")])
        if not text.isprintable() and CONTROL_IN_VALUE.search(text):  # the first is quick, and true of most requests
            findings.append(Finding("protocol.header.value", codes.MALFORMED_HEADER, "a control character in a value"))
        if len(keys) > config.headers_count_max:
            reason = f"more than {config.headers_count_max} header lines"
            findings.append(Finding("protocol.header.count", codes.HEADERS_TOO_LARGE, reason))
        if len(text) > config.headers_bytes_max:
            reason = f"headers of more than {config.headers_bytes_max} bytes"
            findings.append(Finding("protocol.header.size", codes.HEADERS_TOO_LARGE, reason))
        return findings

    def _names_good(self, keys: list[str], environ: Mapping[str, object]) -> bool:
        if not all(ENVIRON_NAME.fullmatch(key) for key in keys) or not _SHADOWS.isdisjoint(keys):
            return False
        good, headers = self._known if len(self._known[0]) < _GOOD_NAMES_MAX else (set(), set())
        if max(map(len, keys), default=0) <= _GOOD_NAME_CHARS_MAX:
            headers.update(keys)  # before the other set, by which another thread may find that all is known
            good.update(environ)
            self._known = (good, headers)
        return True


def host(request: Request, config: ProtocolConfig) -> Finding | None:  # noqa: ARG001
    """RFC 9112 §3.2: HTTP/1.1 requires exactly one Host; servers join several with a comma, which no host has."""
    raw = request.header("HTTP_HOST")
    if not raw:
        if "HTTP_HOST" not in request.environ and request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
            return None
        return Finding("protocol.host.missing", codes.INVALID_HOST, "no Host, or an empty one")
    if parse_authority(raw) is None:
        return Finding("protocol.host.invalid", codes.INVALID_HOST, "not one host name or address")
    return None


def authorization_size(request: Request, config: ProtocolConfig) -> Finding | None:
    """A credential longer than any in real use is a flood or a mistake."""
    if len(request.header("HTTP_AUTHORIZATION")) <= config.authorization_bytes_max:
        return None
    reason = f"longer than {config.authorization_bytes_max} bytes"
    return Finding("protocol.authorization.size", codes.AUTHORIZATION_TOO_LARGE, reason)


def authorization(request: Request, config: ProtocolConfig) -> Finding | None:  # noqa: ARG001
    """RFC 9110 §11.6.2: one credential. Servers join repeated lines with a comma, and token68 has no comma."""
    raw = request.header("HTTP_AUTHORIZATION")
    if CREDENTIALS_TOKEN68.fullmatch(raw):
        return None
    scheme = raw.partition(" ")[0].lower()
    if scheme not in ("bearer", "basic") and (CREDENTIALS_PARAMS.fullmatch(raw) or CREDENTIALS_OPAQUE.fullmatch(raw)):
        return None
    return Finding("protocol.authorization.invalid", codes.INVALID_AUTHORIZATION, "not one well-formed credential")


def expect(request: Request, config: ProtocolConfig) -> Finding | None:  # noqa: ARG001
    """RFC 9110 §10.1.1: 100-continue is the only expectation there is."""
    if request.header("HTTP_EXPECT").lower() in ("", "100-continue"):
        return None
    return Finding("protocol.expect", codes.EXPECTATION_FAILED, "not 100-continue")


def upgrade(request: Request, config: ProtocolConfig) -> Finding | None:
    """RFC 9110 §7.8. ``h2c`` through an unsuspecting proxy is a tunnel past every check."""
    raw = request.header("HTTP_UPGRADE")
    if raw and all(name.strip().lower() in config.upgrades for name in raw.split(",")):
        return None
    return Finding("protocol.upgrade", codes.UPGRADE_REFUSED, "a protocol that is not declared")


def mount(request: Request, config: ProtocolConfig) -> Finding | None:  # noqa: ARG001
    """gunicorn lets a peer on this machine set SCRIPT_NAME and PATH_INFO by header, and so move a request."""
    if is_trusted(peer_of(request.environ), request.settings.trusted_proxies):
        return None
    return Finding("protocol.header.mount", codes.MALFORMED_HEADER, "a header that would set the mount point or path")


def method_override(request: Request, config: ProtocolConfig) -> Finding | None:  # noqa: ARG001
    """The method that was judged is the method that runs."""
    if config.method_override:
        return None
    return Finding("protocol.method-override", codes.METHOD_OVERRIDE_REFUSED, "a method override header")

"""The request as all layers see it: one view of the environ, parsed once.

Facts are read from the environ at each access, because a foreign middleware between two layers may edit it. What costs
something to work out is kept beside the raw text that it came from, and worked out anew when that text changes.
The view lives in ``environ["bsguard.request"]``; a client cannot put anything there, its headers all arrive as
``HTTP_…``.
"""

from __future__ import annotations

import ipaddress
import os
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from bsguard.core import strict_json
from bsguard.core.body import Body
from bsguard.core.client import arrival_of, client_of, is_trusted, peer_of
from bsguard.core.credentials import canonical
from bsguard.core.grammar import HOST, REQUEST_ID, environ_key
from bsguard.core.media import parse_media_type
from bsguard.core.secrets import identity_key, keyed_hash
from bsguard.core.surfaces import UNPLACED

if TYPE_CHECKING:
    import weakref

    from _typeshed.wsgi import WSGIEnvironment

    from bsguard.core.client import Arrival
    from bsguard.core.media import MediaType
    from bsguard.core.settings import Settings
    from bsguard.core.surfaces import Placement

#: Where the shared view lives in the environ.
ENVIRON_KEY: Final = "bsguard.request"
#: Where the request id stands for the application's own use; part of the public interface.
REQUEST_ID_KEY: Final = "bsguard.request_id"

_ID_BYTES: Final = 12  # enough that no two requests of a busy year share an id
_PORT_MAX: Final = 65_535
_AUTHORITY_CHARS_MAX: Final = 253 + len(":65535")  # RFC 1035 §2.3.4


class Shared:
    """What belongs to the request itself, whatever becomes of its environ: one object for all its views."""

    __slots__ = (
        "account",
        "arrival",
        "bodies",
        "cost_us",
        "id",
        "prefix",
        "refused_by",
        "respond",
        "route",
        "started_ns",
    )

    def __init__(self, request_id: str, arrival: Arrival) -> None:
        self.id = request_id
        #: Who sent it: the connection cannot change, whatever a middleware makes of REMOTE_ADDR.
        self.arrival = arrival
        #: Every body there is to free: a foreign middleware may have put another stream in place.
        self.bodies: list[Body] = []
        #: The prefix that ``ProxyFix`` took from a header, and the mount point before; None until it is asked for.
        self.prefix: tuple[str, str] | None = None
        #: Named by the application through :func:`bsguard.identify`; never by the client.
        self.account: str | None = None
        #: The layer that refused the request; empty while none has.
        self.refused_by = ""
        #: Headers that verdicts want in the answer.
        self.respond: tuple[tuple[str, str], ...] = ()
        #: Template of the path, such as ``/v1/files/{id}``, by whoever knows it; empty while nobody has said.
        self.route = ""
        #: Microseconds that judging took, once it is done.
        self.cost_us = 0
        self.started_ns = time.perf_counter_ns()


class Request:
    """A read-only view of one WSGI request.

    Text is WSGI's native form, one character a byte, unless a property says that it is decoded.
    """

    __slots__ = (
        "__weakref__",
        "_json",
        "_placement",
        "body",
        "client",
        "environ",
        "memo",
        "outer",
        "settings",
        "shared",
    )

    def __init__(self, environ: WSGIEnvironment, settings: Settings, shared: Shared | None = None) -> None:
        self.environ = environ
        self.settings = settings
        self._json: tuple[Body, object, int] | None = None
        self._placement: tuple[tuple[str, str], Placement] | None = None
        #: What a layer worked out in one phase and needs in a later one, by layer.
        self.memo: dict[object, Any] = {}
        self.shared = shared or Shared(self._new_id(), arrival_of(environ))
        #: Who is calling; see :mod:`bsguard.core.client`.
        self.client = client_of(self.shared.arrival, settings.trusted_proxies)
        #: The request within which this one was made, if the application calls guarded applications itself.
        self.outer: weakref.ref[Request] | None = None
        #: The body; reading it is shared by all layers.
        self.body = self._find_body()

    @classmethod
    def of(cls, environ: WSGIEnvironment, settings: Settings) -> tuple[Request, bool]:
        """The view of *environ*, and whether it was made just now: who made it owns the request and closes it."""
        found = environ.get(ENVIRON_KEY)
        if not isinstance(found, Request):
            request = cls(environ, settings)
            environ[ENVIRON_KEY] = request
            environ[REQUEST_ID_KEY] = request.shared.id
            return request, True
        if found.environ is not environ or (found.settings is not settings and found.settings != settings):
            # Somebody copied the environ, or these layers have settings of their own: another view of the request.
            found = environ[ENVIRON_KEY] = cls(environ, settings, found.shared)
        elif not found.body.belongs_to(environ):
            found.body = found._find_body()
        return found, False

    @property
    def id(self) -> str:
        """The request id, in every event and response of this request."""
        return self.shared.id

    @property
    def method(self) -> str:
        """The method, exactly as sent."""
        method: str = self.environ["REQUEST_METHOD"]
        return method

    def header(self, key: str) -> str:
        """The value under an environ key such as ``HTTP_ACCEPT``; empty when absent."""
        value: str = self.environ.get(key, "")
        return value

    @property
    def path_native(self) -> str:
        """Full path as the server gave it, mount point included, any prefix of ``ProxyFix`` not; native text."""
        environ = self.environ
        path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        if "werkzeug.proxy_fix.orig" not in environ:
            return path
        if self.shared.prefix is None:
            self.shared.prefix = _prefix_of(environ)
        prefix, given = self.shared.prefix
        return given + path[len(prefix) :] if prefix and path.startswith(prefix) else path

    @property
    def path(self) -> str:
        """Full path, percent-decoded, as Unicode; bytes that are not UTF-8 become U+FFFD."""
        native = self.path_native
        return native if native.isascii() else native.encode("latin-1", "replace").decode("utf-8", "replace")

    @property
    def raw_target(self) -> str | None:
        """The request target as it stood on the wire; None where the server does not tell."""
        target = self.environ.get("RAW_URI") or self.environ.get("REQUEST_URI")
        return None if target is None else str(target)

    @property
    def host(self) -> str:
        """The host name in lower case, without port and final dot; empty when absent or malformed."""
        authority = parse_authority(self.header("HTTP_HOST"))
        return authority[0] if authority else ""

    @property
    def identity(self) -> str:
        """Keyed hash of the Authorization header, 16 hexadecimal digits; empty without credentials or secret."""
        authorization = self.header("HTTP_AUTHORIZATION")
        if not authorization:
            return ""
        key = identity_key(self.settings.secret_keys)
        return keyed_hash(key, canonical(authorization)) if key is not None else ""

    @property
    def media_type(self) -> MediaType | None:
        """The parsed Content-Type; None when absent or malformed."""
        raw = self.header("CONTENT_TYPE")
        return parse_media_type(raw) if raw else None

    @property
    def placement(self) -> Placement:
        """The surface that the request falls on."""
        surfaces = self.settings.surfaces
        if not surfaces.declared:
            return UNPLACED
        at = (self.header("HTTP_HOST"), self.path_native)
        kept = self._placement
        if kept is None or kept[0] != at:
            kept = self._placement = (at, surfaces.place(self.host, self.path))
        return kept[1]

    @property
    def streaming(self) -> bool:
        """Whether the path is declared streaming, so that nothing reads its body before the application."""
        paths = self.settings.streaming_paths
        return bool(paths) and any(pattern.matches(self.path) for pattern in paths)

    def json(self, depth_max: int) -> object:
        """The body as strict JSON; None for an empty one, which a chunked body may turn out to be.

        Raises :class:`~bsguard.core.errors.BodyError` or :class:`~bsguard.core.strict_json.JsonProblem`.
        """
        body = self.body
        # What was parsed with a larger depth allowed may be too deep for who asks now.
        if self._json is None or self._json[0] is not body or self._json[2] > depth_max:
            data = body.read(self.settings.inspect_bytes_max)
            self._json = (body, strict_json.loads(data, depth_max) if data else None, depth_max)
        return self._json[1]

    def close(self) -> None:
        """Free all bodies, and let the environ be used for another request."""
        self.environ.pop(ENVIRON_KEY, None)
        for body in self.shared.bodies:
            body.put_back(self.environ)
            body.close()

    def _find_body(self) -> Body:
        """The body whose stream the environ carries: one that is known, or a new one."""
        for body in self.shared.bodies:
            if body.belongs_to(self.environ):
                return body
        body = Body(self.environ)
        self.shared.bodies.append(body)
        return body

    def _new_id(self) -> str:
        """A fresh id, or the one that a trusted proxy handed in."""
        settings = self.settings
        if settings.trusted_proxies:
            handed = self.header(environ_key(settings.request_id_header))
            if handed and REQUEST_ID.fullmatch(handed) and is_trusted(peer_of(self.environ), settings.trusted_proxies):
                return handed
        return os.urandom(_ID_BYTES).hex()


def _prefix_of(environ: WSGIEnvironment) -> tuple[str, str]:
    """What ``ProxyFix`` has put in front of SCRIPT_NAME by ``X-Forwarded-Prefix``, and what stood there before."""
    original = environ["werkzeug.proxy_fix.orig"]
    given = str(original.get("SCRIPT_NAME") or "") if isinstance(original, dict) else ""
    mount = str(environ.get("SCRIPT_NAME", ""))
    # From the right: what stands left was written by whoever is farther away, the client even.
    prefixes = (prefix.strip() for prefix in reversed(str(environ.get("HTTP_X_FORWARDED_PREFIX", "")).split(",")))
    return next((prefix for prefix in prefixes if prefix and mount.startswith(prefix)), ""), given


def parse_authority(raw: str) -> tuple[str, int | None] | None:
    """Host name in lower case without final dot, and port, of a Host value; None unless it is exactly one authority."""
    return _parse_authority(raw) if len(raw) <= _AUTHORITY_CHARS_MAX else None


@lru_cache(maxsize=1024)
def _parse_authority(raw: str) -> tuple[str, int | None] | None:
    match = HOST.fullmatch(raw)
    if match is None or int(match["port"] or 0) > _PORT_MAX:
        return None
    if raw.startswith("["):
        try:
            ipaddress.IPv6Address(match["name"][1:-1])
        except ValueError:
            return None
    return match["name"].lower().rstrip("."), int(match["port"]) if match["port"] else None

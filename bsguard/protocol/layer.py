"""The protocol layer: runs its checks in order and reports all that fired."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Final

from bsguard.core import codes
from bsguard.core.client import FORWARDING_KEYS, is_trusted
from bsguard.core.layer import Layer
from bsguard.core.strict_json import JsonProblem
from bsguard.core.verdict import ALLOW, Finding, Verdict
from bsguard.protocol import fields, framing
from bsguard.protocol.config import ProtocolConfig
from bsguard.protocol.rules import RULES
from bsguard.protocol.target import target

if TYPE_CHECKING:
    from collections.abc import Callable

    from bsguard.core.request import Request

    Check = Callable[[Request, ProtocolConfig], Finding | None]

#: Made on every request, in this order.
_ALWAYS: Final[tuple[Check, ...]] = (fields.method, fields.version, fields.https, fields.host)

#: Made when the environ has the key, in this order; most requests have one or two of them.
_BY_KEY: Final[dict[str, tuple[Check, ...]]] = {
    "HTTP_TRANSFER_ENCODING": (framing.transfer_encoding,),
    "CONTENT_LENGTH": (framing.content_length, framing.body_size),
    "HTTP_CONTENT_ENCODING": (framing.content_encoding,),
    "CONTENT_TYPE": (framing.content_type,),
    "HTTP_AUTHORIZATION": (fields.authorization_size, fields.authorization),
    "HTTP_EXPECT": (fields.expect,),
    "HTTP_SCRIPT_NAME": (fields.mount,),
    "HTTP_PATH_INFO": (fields.mount,),
    "HTTP_UPGRADE": (fields.upgrade,),
    "HTTP_HTTP2_SETTINGS": (fields.upgrade,),
    "HTTP_X_HTTP_METHOD_OVERRIDE": (fields.method_override,),
    "HTTP_X_HTTP_METHOD": (fields.method_override,),
    "HTTP_X_METHOD_OVERRIDE": (fields.method_override,),
}
_KEYS: Final = frozenset(_BY_KEY)

#: Made when the request has a body, or says what it would be.
_WITH_BODY: Final[tuple[Check, ...]] = (framing.body_method, framing.json_only)

#: Set by clients, read as a proxy setting by programs that the application starts: https://httpoxy.org.
_HTTPOXY: Final = "HTTP_PROXY"


@lru_cache(maxsize=4096)
def _checks(present: frozenset[str], body: bool) -> tuple[Check, ...]:
    """The checks that concern a request with these of the keys, in the order of the tables."""
    by_key = dict.fromkeys(check for key, checks in _BY_KEY.items() if key in present for check in checks)
    return (*_ALWAYS, *by_key, *(_WITH_BODY if body else ()))


#: Said for information; nothing takes an address, a host or a scheme from it.
_HARMLESS_FORWARDING: Final = frozenset({"HTTP_VIA"})


class Protocol(Layer[ProtocolConfig]):
    """Refuses what is not well-formed, unambiguous HTTP: the cheapest layer, and so the outermost.

    Judges what the server lets it see; ``flask bsguard check`` says what yours hides. gunicorn from version 23 with
    its Python parser is the reference.
    """

    name: ClassVar[str] = "protocol"
    config_class = ProtocolConfig
    rules = RULES

    def prepare(self) -> None:
        """The names of headers that were seen before are remembered."""
        self._header_lines = fields.HeaderLines()

    def inspect_head(self, request: Request) -> Verdict:
        """Request line, target, headers and framing; drops the ``Proxy`` header."""
        environ = request.environ
        checks = _checks(_KEYS.intersection(environ), request.body.present)
        config = self.config
        found = [finding for check in checks if (finding := check(request, config)) is not None]
        found += self._header_lines(request, config)
        found += target(request, config)
        remove: tuple[str, ...] = (_HTTPOXY,) if _HTTPOXY in environ else ()
        if request.shared.arrival.forwarding:
            remove += self._unbelieved(request)
        return Verdict(tuple(found), remove) if found or remove else ALLOW

    def _unbelieved(self, request: Request) -> tuple[str, ...]:
        """Forwarding headers that nobody declared wrote: a ``ProxyFix`` further in would believe them.

        While monitoring without any declared proxy they stay, because the application may live by them.
        """
        trusted = request.settings.trusted_proxies
        if is_trusted(request.shared.arrival.peer, trusted) or (self.mode != "enforce" and not trusted):
            return ()
        return tuple(sorted(FORWARDING_KEYS.intersection(request.environ) - _HARMLESS_FORWARDING))

    def inspect_body(self, request: Request) -> Verdict:
        """A JSON body is strict JSON; a coded one was declared and cannot be judged here."""
        media_type = request.media_type
        if media_type is None or not media_type.json or not request.body.present:
            return ALLOW
        if framing.is_coded(request):
            return ALLOW
        try:
            request.json(self.config.json_depth_max)
        except JsonProblem as problem:
            return Verdict((Finding(f"protocol.json.{problem.rule}", codes.INVALID_JSON, str(problem)),))
        return ALLOW

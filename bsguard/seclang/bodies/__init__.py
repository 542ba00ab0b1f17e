"""Request bodies as SecLang's rules read them: one parser a content type, all bounded, none of them raises.

A body that is broken, or that goes past a limit, gives ``error`` and everything that was read until then, so that
rules still see what an app with a more lenient parser would.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bsguard.seclang.bodies.json_body import parse_json
from bsguard.seclang.bodies.model import Limits, Pairs, ParsedBody
from bsguard.seclang.bodies.multipart import parse_multipart
from bsguard.seclang.bodies.urlencoded import parse_urlencoded
from bsguard.seclang.bodies.xml_body import parse_xml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PROCESSORS", "Limits", "Pairs", "ParsedBody", "parse_urlencoded", "parts_of_plain"]


#: White space, byte order marks, and what UTF-16 and UTF-32 put before a character.
_BEFORE_JSON: Final = b" \t\r\n\f\v\0\xff\xfe\xef\xbb\xbf"


def parts_of_plain(body: bytes, limits: Limits) -> list[bytes]:
    """Names and values of a body whose media type nothing reads, if it looks like JSON or like a form all the same."""
    is_json = body.lstrip(_BEFORE_JSON)[:1] in (b"{", b"[")
    parsed = parse_json(body, limits) if is_json else parse_urlencoded(body, limits)
    return [part for pair in parsed.arguments for part in pair if part != body]


def _urlencoded(body: bytes, _content_type: bytes, limits: Limits) -> ParsedBody:
    return parse_urlencoded(body, limits)


def _json(body: bytes, _content_type: bytes, limits: Limits) -> ParsedBody:
    return parse_json(body, limits)


def _xml(body: bytes, _content_type: bytes, limits: Limits) -> ParsedBody:
    return parse_xml(body, limits)


#: By the name that REQBODY_PROCESSOR and ``ctl:requestBodyProcessor`` use; called with body, Content-Type and limits.
PROCESSORS: Final[Mapping[str, Callable[[bytes, bytes, Limits], ParsedBody]]] = MappingProxyType(
    {"URLENCODED": _urlencoded, "MULTIPART": parse_multipart, "JSON": _json, "XML": _xml}
)

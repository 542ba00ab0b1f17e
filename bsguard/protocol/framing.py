"""Checks of message framing and content headers: where the body ends, and what it claims to be.

A request whose end two readers see in different places is the beginning of somebody else's request (RFC 9112 §11.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bsguard.core import codes
from bsguard.core.grammar import CONTENT_LENGTH
from bsguard.core.verdict import Finding

if TYPE_CHECKING:
    from bsguard.core.request import Request
    from bsguard.protocol.config import ProtocolConfig


def transfer_encoding(request: Request, config: ProtocolConfig) -> Finding | None:  # noqa: ARG001
    """RFC 9112 §6.1: a server must refuse a transfer coding it does not understand, and one beside a length."""
    environ = request.environ
    raw = environ["HTTP_TRANSFER_ENCODING"]
    if raw.strip(" \t").lower() != "chunked":  # also what a repeated header is joined to
        reason = "anything but one chunked"
        return Finding("protocol.framing.transfer-encoding", codes.INVALID_FRAMING, reason)
    if environ.get("CONTENT_LENGTH"):
        return Finding("protocol.framing.te-with-cl", codes.INVALID_FRAMING, "both ways to say where the body ends")
    if environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        return Finding("protocol.framing.te-on-http10", codes.INVALID_FRAMING, "HTTP/1.0 has no transfer codings")
    if not environ.get("wsgi.input_terminated"):
        reason = "the server does not decode chunked bodies"
        return Finding("protocol.framing.unterminated", codes.INVALID_FRAMING, reason)
    return None


def content_length(request: Request, config: ProtocolConfig) -> Finding | None:  # noqa: ARG001
    """RFC 9110 §8.6: digits and nothing else; a repeated header arrives joined with a comma."""
    raw = request.environ.get("CONTENT_LENGTH")
    if not raw or CONTENT_LENGTH.fullmatch(raw):
        return None
    return Finding("protocol.framing.content-length", codes.INVALID_FRAMING, "not a plain number")


def body_method(request: Request, config: ProtocolConfig) -> Finding | None:
    """RFC 9110 §9.3.1: content in a GET has no meaning, and some readers leave it for the next request."""
    if request.method in config.body_methods:
        return None
    return Finding("protocol.body.method", codes.BODY_NOT_ALLOWED, "a body on a method that takes none")


def body_size(request: Request, config: ProtocolConfig) -> Finding | None:  # noqa: ARG001
    """The hard maximum, by the declared length, before a byte is read."""
    limit = request.settings.body_bytes_max
    if request.body.length <= limit:
        return None
    return Finding("protocol.body.size", codes.BODY_TOO_LARGE, f"declared length is over {limit} bytes")


def content_encoding(request: Request, config: ProtocolConfig) -> Finding | None:
    """RFC 9110 §15.5.16: 415, with Accept-Encoding to say what would do."""
    if all(coding in config.content_encodings for coding in _codings(request)):
        return None
    accept = (("Accept-Encoding", ", ".join(("identity", *config.content_encodings))),)
    reason = "a content coding that is not declared"
    return Finding("protocol.content-encoding", codes.UNSUPPORTED_CONTENT_ENCODING, reason, headers=accept)


def is_coded(request: Request) -> bool:
    """Whether the body is coded, so that its bytes are not its content."""
    return bool(_codings(request))


def _codings(request: Request) -> list[str]:
    """The content codings; ``identity`` is none (RFC 9110 §8.4.1)."""
    codings = [coding.strip().lower() for coding in request.header("HTTP_CONTENT_ENCODING").split(",")]
    return [coding for coding in codings if coding not in ("", "identity")]


def content_type(request: Request, config: ProtocolConfig) -> Finding | None:  # noqa: ARG001
    """RFC 9110 §8.3: one media type; RFC 8259 §8.1: JSON is UTF-8."""
    media_type = request.media_type
    if media_type is None:
        if not request.header("CONTENT_TYPE"):
            return None
        reason = "not one well-formed media type"
        return Finding("protocol.content-type.invalid", codes.INVALID_CONTENT_TYPE, reason)
    if media_type.json and media_type.charset not in ("", "utf-8", "utf8"):
        reason = "JSON in another charset than UTF-8"
        return Finding("protocol.content-type.charset", codes.UNSUPPORTED_MEDIA_TYPE, reason)
    return None


def json_only(request: Request, config: ProtocolConfig) -> Finding | None:
    """On api surfaces a body is JSON, or what its path declares."""
    media_type = request.media_type
    if not request.placement.api or (media_type is not None and media_type.json):
        return None
    essence = "" if media_type is None else media_type.essence
    for pattern, allowed in config.content_types:
        if pattern.matches(request.path) and ("*/*" in allowed or essence in allowed):
            return None
    accept = (("Accept-Post", "application/json"),) if request.method == "POST" else ()
    reason = "neither JSON nor declared for the path"
    return Finding("protocol.content-type.not-json", codes.UNSUPPORTED_MEDIA_TYPE, reason, headers=accept)

"""Checks of the request target: the path on the wire, the path that the application sees, and that they are one.

A server hands over the path decoded once. Whoever decodes, splits or normalises it again, in front of us or behind,
may arrive at another path. So every form that two readers could take for different paths is refused, and the decoded
raw target must equal what the application is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from bsguard.core import codes
from bsguard.core.grammar import (
    BAD_ESCAPE,
    CONTROL_IN_TEXT,
    ESCAPE,
    PLAIN_PATH,
    UNSAFE_IN_PATH,
    UNSAFE_IN_QUERY,
)
from bsguard.core.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bsguard.core.request import Request
    from bsguard.protocol.config import ProtocolConfig


def target(request: Request, config: ProtocolConfig) -> list[Finding]:
    """All that is wrong with the target; an empty list for the plain paths that most clients send."""
    raw = request.raw_target
    seen = request.path_native
    query = request.header("QUERY_STRING")
    findings: list[Finding] = []
    if raw is not None and len(raw) > config.target_bytes_max:
        findings.append(_finding("length", f"longer than {config.target_bytes_max} bytes"))
    if raw == "*" and request.method == "OPTIONS":  # RFC 9112 §3.2.4
        return []
    path, reason = (seen, "") if raw is None else _path_on_wire(raw, request)
    if path is None:
        return [*findings, _finding("form", reason)]
    if not seen and path == "/" and raw is not None and not raw.startswith("/"):
        seen = path  # an absolute-form target without a path means "/" (RFC 9110 §4.2.3)
    if raw is not None and "#" in raw:
        findings.append(_finding("fragment", "a fragment"))
    if path != seen or not PLAIN_PATH.fullmatch(path):
        findings += _unusual(path, seen, config, on_wire=raw is not None)
    if query and UNSAFE_IN_QUERY.search(query):
        findings.append(_finding("characters", "a character in the query that must be percent-encoded"))
    if "%" in query and request.placement.api and BAD_ESCAPE.search(query):
        findings.append(_finding("query-escape", "a percent sign without two hexadecimal digits in the query"))
    return findings


def _path_on_wire(raw: str, request: Request) -> tuple[str | None, str]:
    """The still encoded path of the raw target, or None and why there is none."""
    if raw.startswith("/"):
        return raw.partition("?")[0], ""
    scheme, mark, rest = raw.partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        return None, "neither a path nor a URL"
    # RFC 9112 §3.2.2: the authority of an absolute-form target overrides Host. Servers keep Host, so they must agree.
    authority = rest.partition("?")[0].partition("/")[0]
    if authority.lower() != request.header("HTTP_HOST").lower():
        return None, "a URL of another host than Host names"
    return rest[len(authority) :].partition("?")[0] or "/", ""


def _unusual(path: str, seen: str, config: ProtocolConfig, *, on_wire: bool) -> Iterator[Finding]:
    """Everything wrong with a path that is not plain. *seen* is what the application is given."""
    if on_wire:
        yield from _miswritten(path, config)
        if not _same_path(path, seen):
            yield _finding("mismatch", "the application is given another path than the one on the wire")
    try:
        text = seen.encode("latin-1").decode("utf-8")
    except UnicodeError:
        yield _finding("utf8", "the decoded path is not UTF-8")
        text = seen
    if not text.startswith("/"):
        yield _finding("form", "the path does not start with a slash")
    if CONTROL_IN_TEXT.search(text):
        yield _finding("control", "a control character in the path")
    if "\\" in text:
        yield _finding("backslash", "a backslash in the path")
    if "//" in text and "double-slash" not in config.path_forms:
        yield _finding("double-slash", "an empty path segment")
    if any(segment.partition(";")[0] in (".", "..") for segment in text.replace("\\", "/").split("/")):
        yield _finding("dot-segment", "a dot segment")
    if ESCAPE.search(text) and "double-escape" not in config.path_forms:
        yield _finding("double-escape", "an escape that is still there after decoding")


def _miswritten(path: str, config: ProtocolConfig) -> Iterator[Finding]:
    """What is wrong with a path as it is spelled on the wire."""
    if UNSAFE_IN_PATH.search(path):
        yield _finding("characters", "a character in the path that must be percent-encoded")
    if BAD_ESCAPE.search(path):
        yield _finding("escape", "a percent sign without two hexadecimal digits")
    if "%2f" in path.lower() and "encoded-slash" not in config.path_forms:
        yield _finding("encoded-slash", "an encoded slash")


def _same_path(path: str, seen: str) -> bool:
    """Whether *path*, decoded once, is what the application sees."""
    try:
        return unquote_to_bytes(path.encode("latin-1").partition(b"#")[0]) == seen.encode("latin-1")
    except UnicodeError:
        return False


def _finding(name: str, reason: str) -> Finding:
    code = codes.TARGET_TOO_LONG if name == "length" else codes.INVALID_TARGET
    return Finding(f"protocol.target.{name}", code, reason)

"""A guarded request as the rule engine takes it: the parts of the environ, as near to the wire as the server tells."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_to_bytes

from bsguard.seclang.request import Request, text_bytes

if TYPE_CHECKING:
    from bsguard.core.request import Request as Guarded

#: Distinct header names that are kept translated; a client may send any number of others.
_NAMES_MAX: Final = 1024
#: What stands in a path as it is: RFC 3986 §3.3, and what browsers send unescaped.
_PLAIN: Final = "/:@!$&'()*+,;=-._~"


def engine_request(request: Guarded) -> Request:
    """The head of *request* for the engine; its body follows when the rules get to it."""
    environ = request.environ
    headers = [(_name(key), text_bytes(value)) for key, value in environ.items() if key.startswith("HTTP_")]
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        value = environ.get(key)
        if value:
            headers.append((_name(key), text_bytes(value)))
    return Request(
        method=text_bytes(request.method),
        target=_target(request).replace(b"#", b"%23"),  # the server left it there, so to the application it is text
        headers=tuple(headers),
        protocol=text_bytes(environ.get("SERVER_PROTOCOL") or "HTTP/1.0"),
        client=request.client.address.encode(),
        unique_id=request.id.encode(),
    )


def _target(request: Guarded) -> bytes:
    """The target on the wire, if the application sees the same path and query; else what the application sees."""
    seen, query = request.path_native, request.header("QUERY_STRING")
    raw = request.raw_target
    if raw is not None:
        path, _, raw_query = raw.partition("?")
        if raw_query == query and (path == seen or _decodes_to(path, seen)):
            return text_bytes(raw)
    rebuilt = quote(seen.encode("latin-1", "replace"), safe=_PLAIN)
    return text_bytes(f"{rebuilt}?{query}" if query else rebuilt)


def _decodes_to(path: str, seen: str) -> bool:
    """Whether *path*, which may be in absolute form, is *seen* once decoded."""
    if not path.startswith("/"):
        _, _, rest = path.partition("://")
        path = "/" + rest.partition("/")[2]
    return unquote_to_bytes(text_bytes(path)) == text_bytes(seen)


@lru_cache(maxsize=_NAMES_MAX)
def _name(key: str) -> bytes:
    """``HTTP_USER_AGENT`` as ``User-Agent``: the server has kept neither case nor the difference of ``-`` and ``_``."""
    return key.removeprefix("HTTP_").replace("_", "-").title().encode("latin-1", "replace")

"""Compressed bodies, as far as rules may want to see into them: gzip and deflate, up to a limit."""

from __future__ import annotations

import zlib
from typing import Final

#: Window bits that zlib wants for each coding (RFC 9110 §8.4.1).
_WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
#: More codings than this have no honest use, and each costs a pass.
_CODINGS_MAX: Final = 4
#: What is behind the end of a member is copied each time, so pieces are small.
_PIECE_BYTES: Final = 4096


def decoded(body: bytes, coding: str, bytes_max: int) -> bytes:
    """*body* without its codings, cut one byte above *bytes_max*; as it is where it has none, or not those it names.

    Rules then see what the application will see if it decodes, and what is there if it does not.
    """
    names = [name for one in coding.split(",") if (name := one.strip().lower()) not in ("", "identity")]
    if not names or len(names) > _CODINGS_MAX or any(name not in _WINDOWS for name in names):
        return body
    for name in reversed(names):  # the last one was put on last
        inner = _without(body, _WINDOWS[name], bytes_max)
        if inner is None:
            return body
        body = inner
    return body


def _without(body: bytes, window: int, bytes_max: int) -> bytes | None:
    """The content of all members, which gzip may have several of (RFC 1952 §2.2); None if there is not even one."""
    found = bytearray()
    stream = zlib.decompressobj(window)
    at = 0
    while at < len(body) and len(found) <= bytes_max:
        if stream.eof:
            stream = zlib.decompressobj(window)
        piece = body[at : at + _PIECE_BYTES]
        try:
            found += stream.decompress(piece, bytes_max + 1 - len(found))
        except zlib.error:
            return bytes(found) or None
        at += len(piece) - len(stream.unused_data)
    return bytes(found)

"""Compressed bodies, as far as rules may want to see into them: gzip and deflate, up to a limit."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

#: Window bits that zlib wants for each coding (RFC 9110 §8.4.1).
_WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
#: More codings than this have no honest use, and each costs a pass.
_CODINGS_MAX: Final = 4
#: What is behind the end of a member is copied each time, so pieces are small.
_PIECE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Decoded:
    """A body without its codings; as it was sent where they cannot be taken off."""

    body: bytes
    #: Why they cannot; empty if they can.
    error: str = ""


def decoded(body: bytes, coding: str, bytes_max: int) -> Decoded:
    """*body* without what Content-Encoding says is put on it, cut one byte above *bytes_max*."""
    names = [name for one in coding.split(",") if (name := one.strip().lower()) not in ("", "identity")]
    if len(names) > _CODINGS_MAX or any(name not in _WINDOWS for name in names):
        return Decoded(body, "a content coding that rules cannot see through")
    inner = body
    for name in reversed(names):  # the last one was put on last
        taken = _without(inner, _WINDOWS[name], bytes_max)
        if taken is None:
            return Decoded(body, "a body that is not coded as Content-Encoding says")
        inner = taken
    return Decoded(inner)


def _without(body: bytes, window: int, bytes_max: int) -> bytes | None:
    """The content of all members, which gzip may have several of (RFC 1952 §2.2); None if one is broken or cut off."""
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
            return None
        at += len(piece) - len(stream.unused_data)
    return bytes(found) if stream.eof or len(found) > bytes_max else None

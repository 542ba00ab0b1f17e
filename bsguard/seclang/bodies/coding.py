"""Compressed bodies, as far as rules may want to see into them: gzip and deflate, up to a limit."""

from __future__ import annotations

import zlib
from typing import Final

#: Window bits that zlib wants for each coding (RFC 9110 §8.4.1).
_WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def decoded(body: bytes, coding: str, bytes_max: int) -> bytes:
    """*body* without its coding, cut one byte above *bytes_max*; as it is where it has none, or not the one it names.

    Rules then see what the application will see if it decodes, and what is there if it does not.
    """
    window = _WINDOWS.get(coding.strip().lower())
    if window is None or not body:
        return body
    try:
        return zlib.decompressobj(window).decompress(body, bytes_max + 1)
    except zlib.error:
        return body

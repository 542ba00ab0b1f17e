"""Transformations that undo what URLs, HTML, JavaScript, CSS and C escape, and two that escape."""

from __future__ import annotations

import re
from typing import Final

# Python looks for an integer in bytes ten times as fast as for bytes of length one.
_PERCENT_SIGN: Final = ord("%")
_AMPERSAND: Final = ord("&")
_BACKSLASH: Final = ord("\\")

#: The full-width forms U+FF01 to U+FF5E stand for ASCII 0x21 to 0x7E.
_FULL_WIDTH: Final = {0xFF00 + low: low + 0x20 for low in range(1, 0x5F)}


def _byte(code: int) -> bytes:
    """The one byte that stands for a code: its low one, and ASCII for a full-width form."""
    return bytes((_FULL_WIDTH.get(code, code) & 0xFF,))


_HEX_PAIRS: Final = {
    first + second: bytes((int(first + second, 16),))
    for first in map(bytes, zip(b"0123456789abcdefABCDEF", strict=True))
    for second in map(bytes, zip(b"0123456789abcdefABCDEF", strict=True))
}

_PERCENT: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_PERCENT_OR_U: Final = re.compile(rb"%(?:[uU]([0-9a-fA-F]{4})|([0-9a-fA-F]{2}))")


def url_decode(value: bytes) -> bytes:
    """``+`` and ``%HH``; what is no valid escape stays."""
    result = value.replace(b"+", b" ")
    return _PERCENT.sub(_percent, result) if _PERCENT_SIGN in result else result


def url_decode_uni(value: bytes) -> bytes:
    """``+``, ``%HH`` and Microsoft's ``%uHHHH``, of which one byte remains."""
    result = value.replace(b"+", b" ")
    return _PERCENT_OR_U.sub(_percent_or_u, result) if _PERCENT_SIGN in result else result


def _percent(match: re.Match[bytes]) -> bytes:
    return _HEX_PAIRS[match[1]]


def _percent_or_u(match: re.Match[bytes]) -> bytes:
    pair = match[2]
    return _HEX_PAIRS[pair] if pair is not None else _byte(int(match[1], 16))


_NOT_URL_PLAIN: Final = re.compile(rb"[^0-9A-Za-z*]")


def url_encode(value: bytes) -> bytes:
    """``+`` for a space; ``%hh`` for all but letters, digits and ``*``."""
    return _NOT_URL_PLAIN.sub(_percent_encoded, value) if _NOT_URL_PLAIN.search(value) else value


def _percent_encoded(match: re.Match[bytes]) -> bytes:
    byte = match[0]
    return b"+" if byte == b" " else b"%%%02x" % byte[0]


_ENTITY: Final = re.compile(rb"&(?:#[xX]([0-9a-fA-F]++);?|#([0-9]++);?|(quot|amp|lt|gt|nbsp)[0-9A-Za-z]*+;?)", re.I)
_NAMED: Final = {b"quot": b'"', b"amp": b"&", b"lt": b"<", b"gt": b">", b"nbsp": b"\xa0"}


def html_entity_decode(value: bytes) -> bytes:
    """Numeric entities, of which one byte remains, and five named ones; the semicolon may be missing.

    A name takes the letters and digits that follow it along: ``&ltx`` is ``<``.
    """
    return _ENTITY.sub(_entity, value) if _AMPERSAND in value else value


def _entity(match: re.Match[bytes]) -> bytes:
    hexadecimal, decimal, name = match.groups()
    if name is not None:
        return _NAMED[name.lower()]
    digits, base = (hexadecimal, 16) if hexadecimal is not None else (decimal, 10)
    return _low_byte(digits, base)


def _low_byte(digits: bytes, base: int) -> bytes:
    """The low byte of a number of any length; past C's ``long`` it is that of the largest."""
    significant = digits.lstrip(b"0")
    if len(significant) > 19:
        return b"\xff"
    return bytes((min(int(significant or b"0", base), 2**63 - 1) & 0xFF,))


_C_LETTERS: Final = dict(zip(b"abfnrtv", (b"\a", b"\b", b"\f", b"\n", b"\r", b"\t", b"\v"), strict=True))
_JS_ESCAPE: Final = re.compile(
    rb"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-3][0-7]{0,2}|[4-7][0-7]?)|(.))", re.DOTALL
)
_C_ESCAPE: Final = re.compile(rb"\\(?:[xX]([0-9a-fA-F]{2})|([0-7]{1,3})|(.))", re.DOTALL)


def js_decode(value: bytes) -> bytes:
    r"""``\uHHHH``, of which one byte remains, ``\xHH``, octal, ``\n`` and its like; else the backslash goes."""
    return _JS_ESCAPE.sub(_js_escape, value) if _BACKSLASH in value else value


def _js_escape(match: re.Match[bytes]) -> bytes:
    code, pair, octal, letter = match.groups()
    if letter is not None:
        return _C_LETTERS.get(letter[0], letter)
    if code is not None:
        return _byte(int(code, 16))
    return _HEX_PAIRS[pair] if pair is not None else bytes((int(octal, 8),))


def escape_seq_decode(value: bytes) -> bytes:
    r"""ANSI C: ``\xHH``, octal of which one byte remains, ``\n`` and its like; else the backslash goes."""
    return _C_ESCAPE.sub(_c_escape, value) if _BACKSLASH in value else value


def _c_escape(match: re.Match[bytes]) -> bytes:
    pair, octal, letter = match.groups()
    if letter is not None:
        return _C_LETTERS.get(letter[0], letter)
    return _HEX_PAIRS[pair] if pair is not None else bytes((int(octal, 8) & 0xFF,))


_CSS_ESCAPE: Final = re.compile(rb"\\(?:([0-9a-fA-F]{1,6})[ \t\n\v\f\r]?|(.?))", re.DOTALL)


def css_decode(value: bytes) -> bytes:
    r"""``\H`` to ``\HHHHHH``, of which one byte remains, with one white space after it; else the backslash goes.

    A backslash before a newline goes with it.
    """
    return _CSS_ESCAPE.sub(_css_escape, value) if _BACKSLASH in value else value


def _css_escape(match: re.Match[bytes]) -> bytes:
    digits, other = match.groups()
    if digits is None:
        return b"" if other == b"\n" else other
    return _byte(int(digits, 16))


_UTF8: Final = re.compile(
    rb"\0(?!\Z)|[\xc0-\xdf](?:[\x80-\xbf])?|[\xe0-\xef](?:[\x80-\xbf]{2})?|[\xf0-\xf7](?:[\x80-\xbf]{3})?"
)
_UTF8_PAYLOAD: Final = {2: 0x1F, 3: 0x0F, 4: 0x07}
_UTF8_LEAST: Final = {2: 0x80, 3: 0x800, 4: 0x10000}


def utf8_to_unicode(value: bytes) -> bytes:
    """UTF-8 becomes ``%uHHHH``; NUL bytes, but a last one, and lead bytes without their followers go."""
    if value.isascii() and 0 not in value:
        return value
    result = _UTF8.sub(_percent_u, value)
    return value if result == value else result


def _percent_u(match: re.Match[bytes]) -> bytes:
    sequence = match[0]
    length = len(sequence)
    if length == 1:
        return sequence if sequence >= b"\xf5" else b""
    code = sequence[0] & _UTF8_PAYLOAD[length]
    for byte in sequence[1:]:
        code = code << 6 | byte & 0x3F
    written = b"%%u%04x" % code if sequence < b"\xf5" else b"%c%%u%04x" % (sequence[0], code)
    wrong = 0xD800 <= code <= 0xDFFF or code < _UTF8_LEAST[length]
    return written + sequence[:1] if wrong else written

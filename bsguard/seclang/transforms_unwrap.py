"""``t:unwrap``, a transformation of our own: takes the disguises off a value, layer by layer, until nothing changes.

One step instead of a chain of six, so that a rule need not guess in which order a payload was wrapped, and so that it
costs one test where nothing is wrapped. Unlike the transformations of ModSecurity it leaves alone what is no escape:
a backslash stays one, and so does ``&copy``.
"""

from __future__ import annotations

import binascii
import re
from html.entities import html5
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: Each layer costs one pass over the value; what is wrapped deeper than this is not looked into.
LAYERS_MAX: Final = 4
#: A word or an identifier may look like a shorter one, and nothing that does harm is shorter than twelve bytes.
BASE64_BYTES_MIN: Final = 16

_PERCENT: Final = re.compile(rb"%(?:u([0-9a-f]{4})|([0-9a-f]{2}))", re.IGNORECASE)
_ENTITY: Final = re.compile(rb"&(?:#x0{0,6}([0-9a-f]{1,6});?|#0{0,7}([0-9]{1,7});?|([a-z]{2,10});)", re.IGNORECASE)
_ESCAPE: Final = re.compile(rb"\\(?:u([0-9a-f]{4})|u\{0{0,4}([0-9a-f]{1,6})\}|x([0-9a-f]{2}))", re.IGNORECASE)
#: ASCII in two, three or four bytes, which no encoder writes (RFC 3629 §3), and the full-width forms.
_OVERLONG: Final = re.compile(
    rb"[\xc0\xc1]([\x80-\xbf])|\xe0[\x80\x81]([\x80-\xbf])|\xf0\x80[\x80\x81]([\x80-\xbf])|\xef[\xbc\xbd][\x80-\xbf]"
)
#: UTF-7 (RFC 2152) of ASCII: every character begins with a zero byte, so the first letter is an A.
_UTF7: Final = re.compile(rb"\+(A[A-Za-z0-9+/]{2,64})-")
_LETTERS: Final = rb"(?P<letters>[A-Za-z0-9+/_-]{%d,}+)={0,2}" % BASE64_BYTES_MIN
#: What may stand before it: nothing, or the path, address or name that it is the last part of. A slash may be a letter
#: of base64 as well, so both are tried.
_BASE64: Final = (
    re.compile(rb"(?P<lead>)" + _LETTERS),
    re.compile(rb"(?P<lead>(?>[\w.:/?=&;,-]*[./=:,](?=\w)))" + _LETTERS),
)
#: Credentials (RFC 7617 §2), which an application always decodes, however short they are.
_BASIC: Final = re.compile(rb"(?i)(basic +)([A-Za-z0-9+/_-]++)={0,2}")
_BASIC_BYTES_MIN: Final = len("Basic Og==")
#: Control characters other than white space: what holds one is no text. (NUL may be half of UTF-16.)
_NO_TEXT: Final = bytes({*range(1, 9), 11, 12, *range(14, 32), 127})
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-="
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_NAMED: Final = {
    name.removesuffix(";").encode(): text.encode() for name, text in html5.items() if len(text) == 1 and text < "\x80"
}
_WHOLE_WIDTH: Final = 0xFEE0
_FULL_WIDTH: Final = range(0xFF01, 0xFF5F)


def unwrap(value: bytes) -> bytes:
    """*value* without percent signs, entities, Unicode escapes, overlong UTF-8, UTF-7, UTF-16 and base64 of text."""
    for _ in range(LAYERS_MAX):
        before = value
        if value.translate(None, _UNMARKED):
            for mark, pattern, replace in _LAYERS:
                if mark in value:
                    value = pattern.sub(replace, value)
        if not value.isascii():
            value = _OVERLONG.sub(_narrow, value)
        if _looks_like_base64(value):
            value = _from_base64(value)
        if value == before:
            return before
    return value


def may_be_wrapped(text: bytes) -> bool:
    """Whether :func:`unwrap` may change one of the lines of *text*."""
    if text.translate(None, _UNMARKED) and any(mark in text and pattern.search(text) for mark, pattern, _ in _LAYERS):
        return True
    if not text.isascii() and _OVERLONG.search(text):
        return True
    if len(text) < _BASIC_BYTES_MIN:
        return False
    lines = [line for line in text.split(b"\n") if len(line) >= _BASIC_BYTES_MIN]
    return any(_from_base64(line) is not line for line in lines if _looks_like_base64(line))


def _looks_like_base64(value: bytes) -> bool:
    """Whether it ends as base64 does, and is no text; :func:`_from_base64` looks closer."""
    if _SPACE in value:
        return value[:6].lower() == b"basic "
    return len(value) - len(value.rstrip(_ALPHABET)) >= BASE64_BYTES_MIN


def _from_base64(value: bytes) -> bytes:
    basic = _BASIC.fullmatch(value)
    if basic is not None:
        return _credentials(basic) or value
    for pattern in _BASE64:
        match = pattern.fullmatch(value)
        text = None if match is None else _text(match["letters"].translate(_STANDARD))
        if match is not None and text is not None:
            return bytes(match["lead"]) + text
    return value


def _credentials(match: re.Match[bytes]) -> bytes | None:
    """The scheme and what is behind it; control characters in it keep no application from reading on."""
    scheme, letters = match.groups()
    decoded = _decoded(letters.translate(_STANDARD))
    return None if decoded is None else bytes(scheme) + decoded.translate(None, _NO_TEXT)


def _text(letters: bytes) -> bytes | None:
    decoded = _decoded(letters)
    if decoded is None or len(decoded.translate(None, _NO_TEXT)) != len(decoded):
        return None
    return decoded


def _decoded(letters: bytes) -> bytes | None:
    """What base64 in its standard alphabet stands for, if that is UTF-8."""
    if len(letters) % 4 == 1:
        return None
    decoded = binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
    try:
        decoded.decode()
    except UnicodeDecodeError:
        return None
    return decoded


def _character(code: int, otherwise: bytes) -> bytes:
    if code in _FULL_WIDTH:
        return bytes((code - _WHOLE_WIDTH,))
    if code < 0x80:
        return bytes((code,))
    return otherwise if code > 0x10FFFF or 0xD800 <= code < 0xE000 else chr(code).encode()


def _percent(match: re.Match[bytes]) -> bytes:
    code, pair = match.groups()
    return bytes((int(pair, 16),)) if pair is not None else _character(int(code, 16), match[0])


def _entity(match: re.Match[bytes]) -> bytes:
    hexadecimal, decimal, name = match.groups()
    if name is not None:
        return _NAMED.get(name) or _NAMED.get(name.lower(), match[0])
    return _character(int(hexadecimal, 16) if hexadecimal is not None else int(decimal), match[0])


def _escape(match: re.Match[bytes]) -> bytes:
    four, braced, two = match.groups()
    return _character(int(four or braced or two, 16), match[0])


def _narrow(match: re.Match[bytes]) -> bytes:
    sequence = match[0]
    if sequence[0] == 0xEF:
        code = (sequence[1] & 0x3F) << 6 | sequence[2] & 0x3F | 0xF000
        return _character(code, sequence) if code in _FULL_WIDTH else sequence
    return bytes(((sequence[-2] & 1) << 6 | sequence[-1] & 0x3F,))


def _shifted(match: re.Match[bytes]) -> bytes:
    letters = match[1]
    data = binascii.a2b_base64(letters + b"A" * (-len(letters) % 4))
    packed = data[: len(letters) * 6 // 16 * 2]
    return packed[1::2] if not any(packed[::2]) and packed[1::2].isascii() else match[0]


def _nothing(_: re.Match[bytes]) -> bytes:
    return b""


#: What must be in a value for a layer to be there, and what takes it off.
_LAYERS: Final[tuple[tuple[int, re.Pattern[bytes], Callable[[re.Match[bytes]], bytes]], ...]] = (
    (ord("\0"), re.compile(rb"\0"), _nothing),
    (ord("%"), _PERCENT, _percent),
    (ord("&"), _ENTITY, _entity),
    (ord("\\"), _ESCAPE, _escape),
    (ord("+"), _UTF7, _shifted),
)
_UNMARKED: Final = bytes(sorted(set(range(256)) - {mark for mark, _, _ in _LAYERS}))
_SPACE: Final = ord(" ")

"""Base64, hexadecimal, and SQL's hexadecimal strings."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)?")
_PADDING: Final = ord("=")
#: What may be Base64 up to its end, its first NUL or its first line's end; most values are not, and this tells soonest.
_LETTERS: Final = re.compile(rb"[A-Za-z0-9+/]*+=*+ *+(?:[\r\n\0]|\Z)")
_LINE_END: Final = re.compile(rb" *+(?:\r?\n|\Z)")
_BASE64_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_LAST_PADDING: Final = re.compile(rb"=(?!=)")
_NOT_BASE64: Final = bytes(byte for byte in range(256) if byte not in _BASE64_ALPHABET)


def base64_decode(value: bytes) -> bytes:
    """Strict but for line ends: what is not Base64 to its end, or to its first NUL, stays as it is."""
    if not value or not _LETTERS.match(value):
        return value
    text = value if value.isalnum() else _LINE_END.sub(b"", value.partition(b"\0")[0])
    if len(text) % 4 or not _BASE64.fullmatch(text):
        return value
    return binascii.a2b_base64(text)


def base64_decode_ext(value: bytes) -> bytes:
    """Forgiving: every other character is skipped; nothing remains where ``=`` cuts a group after one character."""
    letters = value.translate(None, _NOT_BASE64)
    if _PADDING in value and _cut_after_one(value):
        return b""
    missing = -len(letters) % 4
    decoded = base64.b64decode(letters + b"A" * missing)
    return decoded[:-missing] if missing else decoded


def _cut_after_one(value: bytes) -> bool:
    count = 0
    start = 0
    for end in _LAST_PADDING.finditer(value):
        count += len(value[start : end.start()].translate(None, _NOT_BASE64))
        start = end.end()
        if count % 4 == 1:
            return True
    return False


def base64_encode(value: bytes) -> bytes:
    """Base64 with padding."""
    return base64.b64encode(value) if value else value


def hex_encode(value: bytes) -> bytes:
    """Two lower-case digits a byte."""
    return value.hex().encode() if value else value


#: ModSecurity reads every byte as a digit, and what is none by the same arithmetic.
_DIGITS: Final = bytes(((byte & 0xDF) - 0x41 + 10 if byte >= 0x41 else byte - 0x30) & 0xFF for byte in range(256))


def hex_decode(value: bytes) -> bytes:
    """One byte for two digits; an odd last one is dropped."""
    if not value:
        return value
    digits = value.translate(_DIGITS)
    return bytes((high * 16 + low) & 0xFF for high, low in zip(digits[::2], digits[1::2], strict=False))


_SQL_HEX: Final = re.compile(rb"0[xX]((?:[0-9a-fA-F]{2})++)")


def sql_hex_decode(value: bytes) -> bytes:
    """``0x414243`` becomes ``ABC``."""
    return _SQL_HEX.sub(_sql_hex, value) if _SQL_HEX.search(value) else value


def _sql_hex(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode())

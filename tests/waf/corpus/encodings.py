"""Disguises of a payload. Each is a function of bytes; what a URL must still escape is the place's business."""

from __future__ import annotations

import base64
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SPECIAL = re.compile(rb"[^A-Za-z0-9]")
_ASCII_SPECIAL = re.compile(rb"[\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]")
#: Shorter ones make base64 that a word or an identifier could be.
BASE64_BYTES_MIN = 12


@dataclass(frozen=True)
class Encoding:
    """One disguise."""

    apply: Callable[[bytes], bytes]
    #: Whether the outcome can stand in a URL as it is.
    is_url: bool = False
    #: Whether the outcome says in JSON, by JSON's own escapes, what it disguises.
    is_json: bool = False
    #: Classes that it makes sense for; empty for all.
    classes: frozenset[str] = frozenset()


def _each(form: str) -> Callable[[bytes], bytes]:
    return lambda text: _SPECIAL.sub(lambda match: (form % match[0][0]).encode(), text)


def _percent(text: bytes) -> bytes:
    return "".join(f"%{byte:02X}" for byte in text).encode()


def _double(text: bytes) -> bytes:
    return _percent(text).replace(b"%", b"%25")


def _overlong(text: bytes) -> bytes:
    return _ASCII_SPECIAL.sub(lambda match: bytes((0xC0 | match[0][0] >> 6, 0x80 | match[0][0] & 0x3F)), text)


def _full_width(text: bytes) -> bytes:
    return _ASCII_SPECIAL.sub(lambda match: chr(0xFEE0 + match[0][0]).encode(), text)


def _utf7(text: bytes) -> bytes:
    def shifted(match: re.Match[bytes]) -> bytes:
        packed = base64.b64encode(match[0].decode("latin-1").encode("utf-16-be")).rstrip(b"=")
        return b"+" + packed + b"-"

    return re.sub(rb"[<>\"'=&;+]+", shifted, text)


def _comments(text: bytes) -> bytes:
    return text.replace(b" ", b"/**/")


def _case(text: bytes) -> bytes:
    chance = random.Random(text)
    letters = text.decode("utf-8")
    return "".join(chance.choice((letter.upper(), letter.lower())) for letter in letters).encode()


ENCODINGS: Mapping[str, Encoding] = {
    "plain": Encoding(lambda text: text),
    "percent": Encoding(_percent, is_url=True),
    "double percent": Encoding(_double, is_url=True),
    "entity": Encoding(_each("&#x%02x;")),
    "decimal entity": Encoding(_each("&#%d;")),
    "unicode escape": Encoding(_each("\\u%04x"), is_json=True),
    "percent u": Encoding(_each("%%u%04X"), is_url=True),
    "overlong": Encoding(_overlong),
    "full width": Encoding(_full_width),
    "base64": Encoding(base64.b64encode),
    "utf-16": Encoding(lambda text: text.decode("utf-8").encode("utf-16-le")),
    "utf-7": Encoding(_utf7, classes=frozenset({"script", "xml"})),
    "comments": Encoding(_comments, classes=frozenset({"sql"})),
    "case": Encoding(_case, classes=frozenset({"sql", "script", "log"})),
}

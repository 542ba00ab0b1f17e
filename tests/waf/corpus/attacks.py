"""The attack corpus: every payload in every disguise at every place, and attacks whose shape is the request itself.

The payloads lie in ``attacks/``, a class a file. A quarter of them is held out: rules are written without looking at
how those fare, and the benchmark reports both parts.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.waf.corpus.encodings import BASE64_BYTES_MIN, ENCODINGS
from tests.waf.corpus.places import PLACES, get, post

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bsguard.seclang import Request

FOLDER = Path(__file__).with_name("attacks")
CLASSES = tuple(sorted(path.stem for path in FOLDER.glob("*.txt")))
#: Control characters are written as their pictures.
_PICTURES = str.maketrans({"␀": "\0", "␊": "\n", "␍": "\r"})
#: Places where a class cannot do harm, or where the place itself forbids its characters.
_NOT_AT = {
    "xml": {"path", "agent", "multipart name", "JSON key"},
    "mail": {"path", "agent", "header", "multipart name", "file name", "JSON key", "XML attribute"},
    "deserialisation": {"path", "agent", "multipart name", "file name", "JSON key"},
    "ssrf": {"path", "agent", "multipart name", "file name", "JSON key"},
    "ldap": {"file name"},
    "xpath": {"file name"},
    "nosql": {"path", "agent", "header", "referer", "multipart name", "file name", "JSON key"},
    "traversal": {"agent", "multipart name", "JSON key"},
}
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")


@dataclass(frozen=True)
class Attack:
    """One hostile request."""

    kind: str
    payload: str
    encoding: str
    place: str
    request: Request
    held_out: bool

    @property
    def name(self) -> str:
        """What to find it by."""
        return f"{self.kind}: {self.payload} ({self.encoding}, {self.place})"


def is_held_out(payload: str) -> bool:
    """Whether rules are written without looking at this one."""
    return hashlib.sha256(payload.encode()).digest()[0] % 4 == 0


@lru_cache
def payloads(kind: str) -> tuple[str, ...]:
    """The payloads of a class."""
    lines = (FOLDER / f"{kind}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line.translate(_PICTURES) for line in lines if line and not line.startswith("# "))


def attacks() -> Iterator[Attack]:
    """All of them, in an order that stays the same."""
    for kind in CLASSES:
        for payload in payloads(kind):
            yield from _disguised(kind, payload)
    yield from _structured()


def _disguised(kind: str, payload: str) -> Iterator[Attack]:
    text = payload.encode()
    for encoding_name, encoding in ENCODINGS.items():
        if encoding.classes and kind not in encoding.classes:
            continue
        if encoding_name == "base64" and (len(text) < BASE64_BYTES_MIN or _BASE64.fullmatch(payload)):
            continue
        disguised = encoding.apply(text)
        if disguised == text and encoding_name != "plain":
            continue
        for place_name, place in PLACES.items():
            if place_name in _NOT_AT.get(kind, ()):
                continue
            request = place(disguised, encoding)
            if request is not None:
                yield Attack(kind, payload, encoding_name, place_name, request, is_held_out(payload))
    if kind == "xml":
        request = post(text, b"application/xml")
        yield Attack(kind, payload, "plain", "body", request, is_held_out(payload))


def _structured() -> Iterator[Attack]:
    table = tomllib.loads((FOLDER / "structured.toml").read_text(encoding="utf-8"))

    def attack(kind: str, payload: str, place: str, request: Request) -> Attack:
        return Attack(kind, payload, "plain", place, request, is_held_out(payload))

    for kind in ("prototype", "nosql"):
        for name in table[kind]["names"]:
            escaped = name.replace("[", "%5B").replace("]", "%5D").encode()
            for place, written in (("query name", name.encode()), ("escaped query name", escaped)):
                yield attack(kind, name, place, get(b"/v1/items?" + written + b"=1"))
            yield attack(kind, name, "form name", post(escaped + b"=1", b"application/x-www-form-urlencoded"))
        for body in table[kind]["bodies"]:
            yield attack(kind, body, "JSON body", post(body.encode(), b"application/json"))
    for agent in table["scanner"]["agents"]:
        yield attack("scanner", agent, "agent", get(b"/v1/items", (b"User-Agent", agent.encode())))
    for kind, pairs in (("scanner", table["scanner"]["headers"]), ("header", table["header"]["pairs"])):
        for name, value in pairs:
            yield attack(kind, f"{name}: {value}", "header", get(b"/v1/items", (name.encode(), value.encode())))
    for path in table["scanner"]["paths"]:
        yield attack("scanner", path, "path", get(path.encode()))

"""The benign corpus: requests that honest clients send, the more awkward the better.

The texts lie in ``benign/``, a kind a file; this is the recipe that puts them into requests. It is seeded, so that the
corpus is the same everywhere. What people write at length (code, markdown, HTML mail, log lines) goes into fields that
an operator would declare as free text, all else also where the rules are at their strictest. A quarter of the texts is
held out, as in ``attacks``.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import re
import tomllib
import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from bsguard.seclang import Request
from tests.waf.corpus.attacks import is_held_out
from tests.waf.corpus.places import BOUNDARY, replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FOLDER = Path(__file__).with_name("benign")
COUNT = 9000
_SEED = 20260801
#: Kinds that only stand in fields for free text.
LONG = ("code", "html_mail", "logs", "markdown")
SHORT = ("addresses", "english_sql", "maths", "names", "paths", "prose", "searches", "tokens", "urls")
#: The fields that are declared as free text, by the name that the rules see.
FREE_TEXT = (
    "comment",
    "generation_prompt",
    "description",
    "json.comment",
    "json.generation_prompt",
    "json.description",
)
_NOUNS = (
    "lamp",
    "chair",
    "table",
    "cake",
    "bicycle",
    "garden",
    "river",
    "novel",
    "guitar",
    "kettle",
    "ticket",
    "ladder",
    "window",
    "kitten",
    "pillow",
    "lantern",
)
_CITIES = (
    "Xi'an",
    "Paris",
    "L'Aquila",
    "New York",
    "Berlin",
    "São Paulo",
    "Land's End",
    "Tokyo",
    "Saint John's",
    "Lyon",
)
_AGENTS = tuple((FOLDER / "agents.txt").read_text(encoding="utf-8").splitlines())
_LANGUAGES = ("en-GB,en;q=0.8", "de-DE,de;q=0.9,en;q=0.7", "fr", "*", "zh-CN,zh;q=0.9,en-US;q=0.8", "pt-BR,pt;q=0.9")


@dataclass(frozen=True)
class Benign:
    """One honest request."""

    kind: str
    text: str
    place: str
    request: Request
    held_out: bool

    @property
    def name(self) -> str:
        """What to find it by."""
        return f"{self.kind}: {self.text[:100]!r} ({self.place})"


@lru_cache
def texts(kind: str) -> tuple[str, ...]:
    """The texts of a kind."""
    if kind == "tokens":
        return tuple(_tokens(random.Random(_SEED)))
    content = (FOLDER / f"{kind}.txt").read_text(encoding="utf-8")
    if kind in ("code", "html_mail", "markdown"):
        return tuple(block.strip("\n") for block in content.split("\n%%\n"))
    lines = [line for line in content.splitlines() if line and not re.match(r"# [A-Z].*\.( |$)", line)]
    return tuple(_filled(lines)) if kind == "english_sql" else tuple(lines)


def _filled(lines: list[str]) -> Iterator[str]:
    chance = random.Random(_SEED)
    for line in lines:
        for _ in range(4):
            text = re.sub(r"\{noun\}", lambda _: chance.choice(_NOUNS), line)
            text = re.sub(r"\{city\}", lambda _: chance.choice(_CITIES), text)
            yield re.sub(r"\{number\}", lambda _: str(chance.randrange(1, 40)), text)


def _tokens(chance: random.Random) -> Iterator[str]:
    """Identifiers, digests, base64 of bytes and of text, JSON Web Tokens, signatures, keys, colours, versions."""

    def url_safe(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    for number in range(24):
        yield base64.b64encode(chance.randbytes(12 + number)).decode()
        yield chance.randbytes(20).hex()
        yield base64.b64encode(f"Hello {chance.choice(_NOUNS)}, it's number {number} & more".encode()).decode()
        yield base64.b64encode(
            json.dumps({"cursor": number, "sort": ["-created", "id"], "q": "O'Neil"}).encode()
        ).decode()
        head = url_safe(b'{"alg":"HS256","typ":"JWT"}')
        claims = {
            "sub": f"user|{number}",
            "name": "Maren O'Neil",
            "iat": 1709287200,
            "scope": "read write",
            "admin": False,
        }
        yield f"{head}.{url_safe(json.dumps(claims).encode())}.{url_safe(chance.randbytes(32))}"
        yield str(uuid.UUID(bytes=chance.randbytes(16), version=4))
        yield f"bsk_{chance.randbytes(8).hex()}_{chance.randbytes(32).hex()}"
        yield "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + chance.randbytes(60)).decode()
    secrets = "!\"#$%&'()*+,-./:;<=>?@[]^_{|}~abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    for length in range(12, 36):
        yield "".join(chance.choice(secrets) for _ in range(length))
    yield from (
        "#ff8800",
        "v1.2.3-rc.1+build.5",
        "2024-03-01T10:00:00+01:00",
        "GS1.1.1709287200.1.1.1709287300.0.0.0",
        'W/"5d8c72a5edda8"',
    )


def _get(target: str, *headers: tuple[str, str]) -> tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...], bytes]:
    return b"GET", target.encode(), tuple((name.encode(), value.encode()) for name, value in headers), b""


def _post(target: str, media: str, body: bytes) -> tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...], bytes]:
    headers = ((b"Content-Type", media.encode()), (b"Content-Length", b"%d" % len(body)))
    return b"POST", target.encode(), headers, body


def _multipart(field: str, text: str) -> Any:
    line = "--" + BOUNDARY.decode()
    disposition = "Content-Disposition: form-data; name="
    body = f'{line}\r\n{disposition}"album"\r\n\r\n12\r\n{line}\r\n{disposition}"{field}"\r\n\r\n{text}\r\n{line}--\r\n'
    return _post("/v1/uploads", f"multipart/form-data; boundary={BOUNDARY.decode()}", body.encode())


def _file_name(text: str) -> Any:
    line = "--" + BOUNDARY.decode()
    name = re.sub(r'[\r\n"]', "_", text)
    head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: image/png'
    return _post(
        "/v1/uploads",
        f"multipart/form-data; boundary={BOUNDARY.decode()}",
        f"{line}\r\n{head}\r\n\r\n\x00\r\n{line}--\r\n".encode(),
    )


def _json(field: str, text: str, chance: random.Random) -> Any:
    value: Any = {field: text, "page": chance.randrange(9), "tags": ["a", "b"]}
    return _post("/v1/items", "application/json", json.dumps(value, ensure_ascii=chance.random() < 0.5).encode())


def _xml(text: str) -> Any:
    clean = re.sub(r"[\x00-\x08\x0b-\x1f]", "", text)
    escaped = clean.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return _post(
        "/v1/orders", "application/xml", f'<order><id n="{escaped}">7</id><name>{escaped}</name></order>'.encode()
    )


#: Places for short texts, by name.
_PLACES: Mapping[str, Callable[[str, random.Random], Any]] = {
    "query": lambda text, _: _get("/v1/search?" + urlencode({"page": 1, "q": text, "sort": "asc"})),
    "query, few escapes": lambda text, _: _get("/v1/search?q=" + quote(text, safe="!$'()*,:;@/?-._~") + "&page=1"),
    "path": lambda text, _: _get("/v1/tags/" + quote(text, safe="!$'()*,:;@-._~")),
    "referer": lambda text, _: _get(
        "/v1/items", ("Referer", "https://www.example.com/search?" + urlencode({"q": text}))
    ),
    "cookie": lambda text, _: _get(
        "/v1/items", ("Cookie", f"_ga=GA1.1.12.34; last={quote(text, safe='')}; theme=dark")
    ),
    "header": lambda text, _: _get("/v1/items", ("X-Title", text)),
    "form": lambda text, _: _post(
        "/v1/profile", "application/x-www-form-urlencoded", urlencode({"id": 5, "name": text}).encode()
    ),
    "multipart field": lambda text, _: _multipart("title", text),
    "JSON value": lambda text, chance: _json("name", text, chance),
    "XML": lambda text, _: _xml(text),
}
#: Fields for free text.
_FREE: Mapping[str, Callable[[str, random.Random], Any]] = {
    "free text in a form": lambda text, _: _post(
        "/v1/comments", "application/x-www-form-urlencoded", urlencode({"comment": text}).encode()
    ),
    "free text in multipart": lambda text, _: _multipart("description", text),
    "free text in JSON": lambda text, chance: _json(
        chance.choice(("comment", "generation_prompt", "description")), text, chance
    ),
    "free text in a query": lambda text, _: _get("/v1/preview?" + urlencode({"comment": text})),
}


def benign() -> Iterator[Benign]:
    """All of them, in an order that stays the same."""
    return itertools.islice(_endless(), COUNT)


def _endless() -> Iterator[Benign]:
    chance = random.Random(_SEED)
    for kind in SHORT:
        for text in texts(kind):
            for place, make in {**_PLACES, **_FREE}.items():
                if place == "path" and kind == "urls":
                    continue  # no client puts a URL into a segment of a path
                if kind in ("addresses", "english_sql", "tokens") and chance.random() < 0.6:
                    continue  # there are many of these
                yield _made(kind, text, place, make(text, chance), chance)
    for kind in LONG:
        for text in texts(kind):
            for place, make in _FREE.items():
                yield _made(kind, text, place, make(text, chance), chance)
    for body in tomllib.loads((FOLDER / "graphs.toml").read_text(encoding="utf-8"))["bodies"]:
        yield _made("graphs", body, "JSON body", _post("/v1/items", "application/json", body.encode()), chance)
    for text in texts("paths"):
        yield _made("paths", text, "file name", _file_name(text), chance)
    while True:
        yield _mixed(chance)


def _mixed(chance: random.Random) -> Benign:
    """A body with a dozen texts of all kinds, as forms with many fields have them."""
    document: dict[str, Any] = {}
    for number in range(chance.randrange(4, 14)):
        kind = chance.choice(SHORT)
        document[f"{kind}_{number}"] = chance.choice(texts(kind))
    document["comment"] = chance.choice(texts(chance.choice(LONG)))
    body = json.dumps({"form": document, "rows": [chance.choice(texts("names")) for _ in range(4)]})
    return _made("mixed", body, "JSON body", _post("/v1/forms", "application/json", body.encode()), chance)


def _made(kind: str, text: str, place: str, parts: Any, chance: random.Random) -> Benign:
    method, target, headers, body = parts
    token = "Bearer " + chance.choice(texts("tokens")[4:190:8])
    usual = (
        (b"User-Agent", chance.choice(_AGENTS).encode()),
        (b"Accept-Language", chance.choice(_LANGUAGES).encode()),
        (b"Authorization", token.encode()),
    )
    request = Request(method, target, replaced((*usual, *headers)), body, client=b"203.0.113.9")
    return Benign(kind, text, place, request, is_held_out(text))

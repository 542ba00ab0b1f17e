"""Media types (RFC 9110 §8.3)."""

from __future__ import annotations

import pytest

from bsguard.core.media import MediaType, parse_media_type
from tests.unit.support import table

GOOD: dict[str, tuple[str, str, tuple[tuple[str, str], ...]]] = {
    "plain": ("text/html", "text/html", ()),
    "in capitals": ("Application/JSON", "application/json", ()),
    "a parameter": ("text/html; charset=UTF-8", "text/html", (("charset", "UTF-8"),)),
    "a parameter in capitals": ("text/html;CharSet=x", "text/html", (("charset", "x"),)),
    "tabs": ("text/html\t;\tcharset=x", "text/html", (("charset", "x"),)),
    "two parameters": ("a/b; c=d; e=f", "a/b", (("c", "d"), ("e", "f"))),
    "a quoted value": ('a/b; c="d e;f"', "a/b", (("c", "d e;f"),)),
    "an empty quoted value": ('a/b; c=""', "a/b", (("c", ""),)),
    "a quoted quote": (r'a/b; c="d\"e\\f\g"', "a/b", (("c", r'd"e\fg'),)),
    "empty parameters": ("a/b;; ;", "a/b", ()),
    "obsolete text when quoted": ('a/b; c="\xe9"', "a/b", (("c", "\xe9"),)),
    "every sign of a token": ("!#$%&'*+-.^_`|~/9", "!#$%&'*+-.^_`|~/9", ()),
    "as long as allowed": ("a/" + "b" * 1022, "a/" + "b" * 1022, ()),
}


@pytest.mark.parametrize(("raw", "essence", "parameters"), table(13, GOOD))
def test_a_media_type_is_read(raw: str, essence: str, parameters: tuple[tuple[str, str], ...]) -> None:
    assert parse_media_type(raw) == MediaType(essence, parameters)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "json",
        "a/",
        "/b",
        "a/b/c",
        "a /b",
        " a/b",
        "a/b ",
        "a/b, c/d",
        "a/b;c",
        "a/b;c=",
        "a/b;=d",
        "a/b; c = d",
        'a/b;c="d',
        'a/b;c="d"e',
        'a/b;c="\\"',
        'a/b;c="\x00"',
        "a/b;c=d;C=e",
        "a/b\n",
        "a/b;c=\xe9",
        "é/b",
        "a/" + "b" * 1023,
    ],
)
def test_what_is_not_exactly_one_media_type_is_none(raw: str) -> None:
    assert parse_media_type(raw) is None


JSON: dict[str, tuple[str, bool, str]] = {
    "JSON": ("application/json", True, ""),
    "JSON with a charset": ("application/json; charset=UTF-8", True, "utf-8"),
    "JSON with a quoted charset": ('application/json; charset="Utf-8"', True, "utf-8"),
    "a JSON dialect": ("application/problem+json", True, ""),
    "a dialect of another tree": ("text/x+json", True, ""),
    "a name that only ends like it": ("application/xjson", False, ""),
    "JSON lines": ("application/jsonl", False, ""),
    "JSON first": ("application/json+xml", False, ""),
    "text": ("text/plain; charset=latin-1", False, "latin-1"),
}


@pytest.mark.parametrize(("raw", "json", "charset"), table(9, JSON))
def test_json_and_its_charset_are_recognised(raw: str, json: bool, charset: str) -> None:
    media_type = parse_media_type(raw)

    assert media_type is not None
    assert media_type.json is json
    assert media_type.charset == charset

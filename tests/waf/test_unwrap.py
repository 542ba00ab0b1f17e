"""``t:unwrap``: what it takes off, and what it leaves alone; its trigger never misses a change."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsguard.seclang.transforms_unwrap import LAYERS_MAX, may_be_wrapped, unwrap

TEXT = b"' or 1=1 -- <x>"
WRAPPED = {
    "percent": (b"%27%20or%201=1", b"' or 1=1"),
    "percent of Microsoft": (b"%u0027 or", b"' or"),
    "percent, three times": (b"%25252527", b"'"),
    "entities": (b"&#39;&#x27;&#0000039&apos;&lt;&LT;&colon;", b"''''<<:"),
    "escapes of JavaScript": (b"\\u0027\\x27\\u{27}", b"'''"),
    "overlong UTF-8 of two, three and four bytes": (b"\xc0\xa7 \xe0\x80\xa7 \xf0\x80\x80\xa7", b"' ' '"),
    "full width": ("＇ｏｒ".encode(), b"'or"),
    "UTF-7": (b"+ADw-script+AD4-", b"<script>"),
    "UTF-16": ("<a>".encode("utf-16-le"), b"<a>"),
    "base64": (base64.b64encode(TEXT), TEXT),
    "base64 for URLs, without padding": (base64.urlsafe_b64encode(TEXT + b"?").rstrip(b"="), TEXT + b"?"),
    "base64 of a scheme of authentication": (b"Basic " + base64.b64encode(TEXT), b"Basic " + TEXT),
    "short credentials": (b"Basic " + base64.b64encode(b":'||1--"), b"Basic :'||1--"),
    "credentials with a control character": (b"BASIC " + base64.b64encode(b"\1" + TEXT), b"BASIC " + TEXT),
    "base64 in data": (b"data:text/html;base64," + base64.b64encode(TEXT), b"data:text/html;base64," + TEXT),
    "base64 behind a path": (b"/v1/items/" + base64.b64encode(TEXT), b"/v1/items/" + TEXT),
    "base64 of base64": (base64.b64encode(base64.b64encode(TEXT)), TEXT),
    "base64 of entities": (base64.b64encode(b"&#39; or 1=1 -- "), b"' or 1=1 -- "),
    "base64 of UTF-16": (base64.b64encode("whoami; id".encode("utf-16-le")), b"whoami; id"),
}
LEFT = {
    "a backslash": b"C:\\new\\users",
    "an unknown entity": b"&copy; &nope; a & b",
    "a lonely percent sign": b"100% sure, 5%",
    "a plus": b"a+b +Alpha-beta",
    "base64 of bytes": b"iVBORw0KGgoAAAANSUhEUgAA",
    "a short word": b"abcdefghijkl",
    "what only looks like credentials": b"basic plan",
    "a token": b"bsk_2365ae65797dd296_83ce21ef2dcd8a2b",
    "good UTF-8": "Zażółć 日本語 😀".encode(),
    "bad UTF-8": b"\xff\xfe\x80",
    "nothing": b"",
}


@pytest.mark.parametrize(("wrapped", "text"), WRAPPED.values(), ids=WRAPPED)
def test_disguises_are_taken_off(wrapped: bytes, text: bytes) -> None:
    assert unwrap(wrapped) == text
    assert may_be_wrapped(b"before\n" + wrapped + b"\nafter")


@pytest.mark.parametrize("value", LEFT.values(), ids=LEFT)
def test_what_is_none_is_left_alone(value: bytes) -> None:
    assert unwrap(value) is value


def test_the_tables_are_whole() -> None:
    assert (len(WRAPPED), len(LEFT)) == (19, 11)


def test_more_layers_than_the_limit_are_left() -> None:
    value = b"'"
    for _ in range(LAYERS_MAX + 1):
        value = "".join(f"%{byte:02x}" for byte in value).encode()
    assert unwrap(value) == b"%27"


@given(st.lists(st.binary(max_size=40) | st.sampled_from([wrapped for wrapped, _ in WRAPPED.values()]), max_size=4))
def test_the_trigger_never_misses_a_change(values: list[bytes]) -> None:
    if any(unwrap(value) != value for value in values):
        assert may_be_wrapped(b"\n".join(values))

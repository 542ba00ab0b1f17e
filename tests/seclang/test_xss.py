"""@detectXSS: attacks that it must see, text that is none, and how much of the public collections it sees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsguard.seclang.xss import detect_xss
from tests.property.support import looks
from tests.seclang import samples
from tests.seclang.bounded import ends, filled

ATTACKS = [
    b"<script>alert(1)</script>",
    b"<ScRiPt src=//x>",
    b"<\x00script>",
    b"<script/x>",
    b"<img src=x onerror=alert(1)>",
    b'<img/src="x"/onerror=alert(1)>',
    b"<x onwhatever=alert(1)>",
    b"<svg onload=alert(1)>",
    b"<svg/onload=alert(1)>",
    b'"><script>alert(1)</script>',
    b"' onmouseover='alert(1)",
    b'" onfocus=alert(1) autofocus x="',
    b"x onclick=alert(1)",
    b"onclick=alert(1)",
    b"` onclick=alert(1)",
    b'<a href="javascript:alert(1)">',
    b"<a href=java&#115;cript:alert(1)>",
    b"<a href='jav&Tab;ascript&colon;alert(1)'>",
    b"<a href='  java\nscript:alert(1)'>",
    b"<a href=j&#0;avascript:alert(1)>",
    b"<form action=vbscript:x>",
    b"<iframe src=x>",
    b"<object data=x>",
    b"<p style='x:expression(alert(1))'>",
    b"<!-- `> <x --!><script>",
    b"<!--[if IE]>",
    b"<!DOCTYPE html>",
    b"<!ENTITY x 'y'>",
    b"<?xml version='1.0'?>",
    b"<set attributeName=onmouseover to=alert(1)>",
    b"<p title='a>b'><script>",
    b"a<b x='\"><script>1</script>'>",
]
BENIGN = [
    b"",
    b"a = b",
    b"1 < 2 and 3 > 2",
    b"x <y",
    b"a<b>c</b>",
    b"<p class='x'>Hello <b>world</b></p>",
    b"<a href='https://example.com/?q=javascript'>x</a>",
    b"<img src=logo.png alt='on the road'>",
    b"ONLY_IF_EMPTY = 0",
    b"one=1&two=2",
    b"on=1",
    b"<!-- a comment -->",
    b"</script>",
    b"I <3 you",
    b"<x onclick=>",
    b"<x onclick='' onload=\"\">",
    b"<!-- a > <script> -->",
    b"<a href=data/javascript.html>",
    b"styles=x",
    b"javascript:alert(1)",
    b"data: a, b",
    b"List<String> names = new ArrayList<>();",
]


@pytest.mark.parametrize("value", ATTACKS)
def test_an_attack_is_seen(value: bytes) -> None:
    assert detect_xss(value)


@pytest.mark.parametrize("value", BENIGN)
def test_other_text_is_left_alone(value: bytes) -> None:
    assert not detect_xss(value)


def test_upper_case_changes_nothing() -> None:
    for value in ATTACKS:
        assert detect_xss(value.upper()), value


def test_most_of_the_public_attacks_are_seen_and_little_else() -> None:
    values = samples.attacks("xss-*.txt")
    other = samples.attacks("sqli-*.txt") + samples.attacks("false_positives.txt")

    assert len(values) == 1645
    assert sum(map(detect_xss, values)) >= 1632
    assert len(other) == 17_570
    assert sum(map(detect_xss, other)) == 0


def test_our_own_documents_hold_no_attack() -> None:
    lines = samples.prose()

    assert len(lines) > 1000
    assert sum(map(detect_xss, lines)) <= len(lines) * 0.01


PIECES = (
    *(
        b"<",
        b">",
        b"<a",
        b"<a ",
        b"</",
        b"<!",
        b"<!--",
        b"-->",
        b"--!>",
        b"<?",
        b"<%",
        b"=",
        b'"',
        b"'",
        b"`",
        b"/",
        b"\0",
    ),
    *(b" ", b"\n", b"x", b"on", b"onclick", b" onclick=", b"href=", b" href=javascript:", b"&#", b"&#x41;", b"&colon;"),
    *(b"script", b"style=", b"xmlns:", b"src=x", b"\xff", b"a=b ", b"='", b'="', b"a b=' <"),
)


@looks(300)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join) | st.binary(max_size=30))
def test_any_value_gets_a_verdict(value: bytes) -> None:
    assert detect_xss(value) in (True, False)


@looks(100)
@given(st.lists(st.sampled_from(PIECES), max_size=10).map(b"".join))
def test_a_script_element_is_seen_behind_any_text(text: bytes) -> None:
    """Whatever comes first, one of the places that the value can stand in ends up at the element."""
    if b"<" not in text and b"=" not in text:
        assert detect_xss(text + b"<script>")


def test_large_values_come_to_an_end() -> None:
    for piece in PIECES:
        for before in (b"", b"'", b"<a ", b"<!--", b"=", b"<a href="):
            with ends((before, piece)):
                detect_xss(before + filled(piece))

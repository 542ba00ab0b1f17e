"""``@sqlInjection`` and ``@scriptInjection``: where they look, what they let pass, and their signs."""

from __future__ import annotations

import pytest

from bsguard.seclang.patterns import compile_pattern
from bsguard.seclang.places import places
from bsguard.seclang.script_injection import SIGNS as SCRIPT_SIGNS
from bsguard.seclang.script_injection import find_script_injection
from bsguard.seclang.sql_injection import SIGNS as SQL_SIGNS
from bsguard.seclang.sql_injection import find_sql_injection
from bsguard.seclang.sqli import detect_sqli, injections
from tests.waf.corpus.attacks import payloads

PLACES = {
    "a value": (b"x' or 1=1", [b"x' or 1=1"]),
    "a path": (b"/v1/items/1 or 1=1", [b"/v1/items/1 or 1=1", b"1 or 1=1"]),
    "a member of JSON": (b"json.a.b.1 or 1=1", [b"json.a.b.1 or 1=1", b"1 or 1=1"]),
    "an address": (b"https://x.example/p?a=1&q=1 or 1=1", [b"https://x.example/p?a=1&q=1 or 1=1", b"1", b"1 or 1=1"]),
    "comments for spaces at the end of a path": (b"/v1/1/**/or/**/1=1", [b"/v1/1/**/or/**/1=1", b"1/**/or/**/1=1"]),
}


@pytest.mark.parametrize(("value", "found"), PLACES.values(), ids=PLACES)
def test_a_value_may_hold_others(value: bytes, found: list[bytes]) -> None:
    assert list(places(value)) == found


def test_an_address_with_many_parameters_is_looked_at_up_to_a_limit() -> None:
    assert len(list(places(b"https://x.example/?" + b"a=1&" * 1000))) == 17


SQL = [
    b"1 or 1=1",
    b"x' or 'a'='a",
    b'" or ""="',
    b"1) union select 1",
    b"'; drop table x",
    b"1 and sleep(5)",
    b"1/**/or/**/1=1",
    b"1#\nAND#\n9=9",
    b"' like '1",
    b"1 order by 3-- -",
    b"'||(select 1)||'",
    b"/a/b/1' or '1'='1",
    b"json.x.1 or 1=1",
]
HONEST = [
    b"O'Neil",
    b"guitar and 1 = happiness",
    b"x = 5 and y = 6",
    b"1 < 2 and 2 < 3",
    b"Union Select Committee",
    b'"foo" AND "bar"',
    b'"LIKE" STAMP',
    b'3/4" drill or 1/2" bit',
    b"sleep (8 hours)",
    b"count(A) = 5 and sum(A) = 15",
    b"x/*",
    b'/search?q=15"+laptop+case&page=6',
]


@pytest.mark.parametrize("value", SQL)
def test_sql_is_found(value: bytes) -> None:
    assert find_sql_injection(value)


@pytest.mark.parametrize("value", HONEST)
def test_what_only_has_the_shape_of_sql_passes(value: bytes) -> None:
    assert find_sql_injection(value) is None


def test_some_of_that_is_what_detect_sqli_takes_offence_at() -> None:
    assert sum(detect_sqli(value) is not None for value in HONEST) >= 5


def test_detect_sqli_answers_with_the_first_of_all_shapes() -> None:
    for kind in ("sql", "names", "script"):
        values = [payload.encode() for payload in payloads(kind)] if kind != "names" else [b"O'Neil", b"x"]
        for value in values:
            first = next((shape.encode("latin-1") for _, _, shape in injections(value)), None)
            assert detect_sqli(value) == first


@pytest.mark.parametrize("kind", ["sql", "script", "xpath", "php"])
def test_whatever_is_found_has_a_sign(kind: str) -> None:
    sql = compile_pattern("(?i)" + "|".join(SQL_SIGNS)).search
    script = compile_pattern("(?i)" + "|".join(SCRIPT_SIGNS)).search
    for payload in payloads(kind):
        value = payload.encode()
        assert sql(value) or not find_sql_injection(value)
        assert script(value) or not find_script_injection(value)


def test_script_is_found_in_the_parts_of_a_value_too() -> None:
    assert find_script_injection(b"https://x.example/?a=1&q=<script>x")
    assert find_script_injection(b"/v1/<img src=x onerror=y>")
    for honest in (b"a < b", b"<b>bold</b>", b'<?xml version="1.0"?><a>b</a>', b"x = onload", b"<3"):
        assert not find_script_injection(honest)

"""Every operator, on the language's public cases and on our own."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.seclang import operators
from bsguard.seclang.errors import Mistake
from bsguard.seclang.patterns import compile_pattern, phrases_pattern, translate, with_re
from tests.seclang.recorded import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC = FOLDER / "seclang-tests" / "operators"
#: Operators that CRS does not use and this engine does not have.
ABSENT = {"geoLookup", "rxGlobal", "verifyCC", "verifycpf", "verifyssn", "verifysvnr"}
#: Judged by tests of their own.
DETECTORS = {"detectSQLi", "detectXSS"}
COUNT = 3842

#: Operator, argument, what it matches, what it does not.
CASES: list[tuple[str, bytes, list[bytes], list[bytes]]] = [
    ("rx", rb"^a.b$", [b"a\nb", b"x\na-b\ny"], [b"a--b", b"A.b"]),
    ("rx", rb"^(?i)up", [b"UP1", b"x\nup"], [b"sup"]),
    ("rx", rb"\x{bc}[^>\x{be}]", [b"\xbcx"], [b"\xbc>", "\u00bcx".encode()[:1]]),
    ("rx", rb"a\z", [b"b\na"], [b"a\n"]),
    ("rx", rb"a\Z", [b"a\n", b"a"], [b"a\nb"]),
    ("rx", rb"\sx", [b"\x0bx"], [b"\x00x"]),
    ("rx", rb"[\S]x", [b"\x00x", b"\xffx"], [b"\x0bx"]),
    ("rx", rb"[\--9A-Z]", [b"-", b".", b"5"], [b"a", b","]),
    ("rx", rb"[\w-.]", [b"-", b".", b"a"], [b","]),
    ("rx", rb"[a-\d]", [b"-", b"a", b"7"], [b"b"]),
    ("rx", rb"[]a]", [b"]", b"a"], [b"b"]),
    ("rx", rb"[^]a]", [b"b"], [b"]", b"a"]),
    ("rx", rb"[[a&&b||c~~]", [b"[", b"&", b"|", b"~"], [b"d"]),
    ("rx", rb"[[:alpha:]_]", [b"a", b"_"], [b"1"]),
    ("rx", rb"a{,2}b", [b"a{,2}b"], [b"aab"]),
    ("rx", rb"\Q.*\E+", [b".**"], [b"a"]),
    ("rx", rb"(?<n>a)(?P=n)", [b"aa"], [b"a"]),
    ("rx", rb"(a)\1", [b"aa"], [b"ab"]),
    ("rx", rb"a(?=b)", [b"ab"], [b"ac"]),
    ("rx", rb"(?>a+)b", [b"aab"], [b"aa"]),
    ("rx", rb"(?<!&[aou]uml|&amp|\));|'", [b"a;", b"&foo;", b"&amp'"], [b"&auml;", b"&amp;", b");", b"x"]),
    ("rx", rb"(?<=a|[|)c]|d(?:e|f)g)x", [b"ax", b"|x", b")x", b"degx"], [b"x", b"ex", b"gx"]),
    ("geolookup", b"", [], [b"203.0.113.9", b""]),
    ("rbl", b"dnsbl.example.org", [], [b"203.0.113.9"]),
    ("rx", "(?i)é".encode(), ["é".encode()], ["É".encode()]),
    ("rx", b"", [b"", b"a"], []),
    ("pm", b"Ab cd|20 7c|e", [b"xaBx", b"CD |E"], [b"a b", b"cd|e"]),
    ("pm", b"abc ab abd", [b"xab"], [b"a"]),
    ("pm", b"a.c", [b"A.C"], [b"abc"]),
    ("pm", b"|ff 00|", [b"\xff\x00"], [b"\xff"]),
    ("within", b"GET POST", [b"GET", b"ET P", b""], [b"PUT"]),
    ("contains", b"ab", [b"cab"], [b"a b"]),
    ("containsword", b"ab", [b"ab", b"x ab-", b"1ab_"], [b"cab", b"abc"]),
    ("streq", b"ab", [b"ab"], [b"AB", b"ab "]),
    ("beginswith", b"ab", [b"abc"], [b"xab"]),
    ("endswith", b"ab", [b"xab"], [b"abc"]),
    ("eq", b"5", [b"5", b" 5x", b"+5", b"005"], [b"", b"x5"]),
    ("lt", b"5", [b"-6", b"", b"x"], [b"5"]),
    ("ge", b"5", [b"5", b"999999999999999999"], [b"4"]),
    ("ipmatch", b"10.0.0.0/8,::1,2001:db8::/32", [b"10.9.8.7", b"::1", b"2001:db8::5"], [b"11.0.0.1", b"x", b""]),
    ("validatebyterange", b"9,10,13,32-126", [b"\0", b"\x80"], [b"a\tb", b""]),
    (
        "validateutf8encoding",
        b"",
        [b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"],
        [b"a", "€".encode()],
    ),
    ("validateurlencoding", b"", [b"%", b"%4", b"%4g"], [b"%41", b"a"]),
    ("unconditionalmatch", b"", [b"", b"a"], []),
    ("nomatch", b"", [], [b"", b"a"]),
]


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"{CASES[number][0]} {number}")
def test_operator(number: int) -> None:
    name, argument, matching, other = CASES[number]
    match = operators.build(name, argument)

    assert [value for value in matching if match(value) is None] == []
    assert [value for value in other if match(value) is not None] == []


def test_every_operator_has_a_case() -> None:
    files = {"ipmatchf", "ipmatchfromfile", "pmf", "pmfromfile"}
    synonyms = {"strmatch", "gt", "le"}

    detectors = {"detectsqli", "detectxss", "sqlinjection", "scriptinjection"}

    assert operators.OPERATORS.keys() - {name for name, *_ in CASES} == files | synonyms | detectors


def test_addresses_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("# mine\n192.0.2.0/24\n\n2001:db8::1\n")
    match = operators.build("ipmatchfromfile", b"list", str(tmp_path))

    assert match(b"192.0.2.9") is not None
    assert match(b"192.0.3.9") is None


def test_captures() -> None:
    assert operators.build("rx", rb"a(b)?(c)")(b"xac") == (b"ac", b"", b"c")
    assert operators.build("pm", b"bc")(b"aBCd") == (b"BC",)
    assert len(operators.build("rx", b"(a)" * 12)(b"a" * 12) or ()) == 10


def test_engines_agree_on_the_rule_sets_patterns() -> None:
    """Where both can compile a pattern, ``re`` finds what RE2 finds."""
    rules = FOLDER / "crs" / "rules"
    if not rules.is_dir():
        pytest.skip(f"needs the Core Rule Set in {rules}")
    texts = {
        found.replace('\\"', '"')
        for path in rules.glob("*.conf")
        for found in re.findall(r'"!?@rx ((?:[^"\\]|\\.)*)"', path.read_text("utf-8"))
    }
    probes = [
        line.encode() for path in sorted(rules.glob("*.data")) for line in path.read_text("utf-8").split("\n")[:40]
    ]
    probes += [b"", b"a", b"\n", b"1' or '1'='1", b"<script>alert(1)</script>", b"() { :; }", b"; cat /etc/passwd"]
    compared = 0
    for text in sorted(texts):
        first, second = compile_pattern(text), with_re(translate(text).encode("latin-1"))
        for probe in probes[:: max(1, len(probes) // 60)] + probes[-7:]:
            found, other = first.search(probe), second.search(probe)
            compared += 1

            assert (found and found.span()) == (other and other.span()), (text[:80], probe)

    assert len(texts) > 280
    assert compared > 15_000


def test_long_phrases() -> None:
    pattern = phrases_pattern([b"a" * 5000, b"b" * 5000 + b"c", b"b" * 5000 + b"d"])

    assert pattern is not None
    assert pattern.search(b"x" + b"B" * 5000 + b"D")
    assert not pattern.search(b"b" * 5000)


@pytest.mark.parametrize(
    ("name", "argument"),
    [("pm", b"|4|"), ("pm", b""), ("rx", b"a)"), ("rx", b"[a"), ("rx", b"a\\"), ("rx", b"[[:x:]]"), ("ipmatch", b"")],
)
def test_argument_that_cannot_be(name: str, argument: bytes) -> None:
    with pytest.raises(Mistake):
        operators.build(name, argument)


def as_bytes(text: str) -> bytes:
    """The text of a public case: UTF-8, with a remaining ``\\xHH`` or ``\\uHHHH`` for the one byte it names."""
    found = re.compile(rb"\\x([0-9A-Fa-f]{2})|\\u00([0-9A-Fa-f]{2})")
    return found.sub(lambda match: bytes([int(match[1] or match[2], 16)]), text.encode())


def as_argument(case: dict[str, Any]) -> bytes:
    text = case.get("param", "")
    if case["name"] in ("rx", "pm"):
        return text.encode()
    return as_bytes(text.replace("test-cases/secrules-language-tests/operators/", ""))


@pytest.mark.skipif(not PUBLIC.is_dir(), reason=f"needs the public cases in {PUBLIC}")
def test_public_cases() -> None:
    ran = refused = 0
    for path in sorted(PUBLIC.glob("*.json")):
        if path.stem in ABSENT | DETECTORS:
            continue
        for number, case in enumerate(json.loads(path.read_text("utf-8"))):
            ran += 1
            try:
                match = operators.build(case["name"].lower(), as_argument(case), str(PUBLIC))
            except Mistake:  # an argument that cannot be is refused when the rules load
                refused += 1
                continue

            assert (match(as_bytes(case["input"])) is not None) == bool(case["ret"]), (path.stem, number, case)

    assert ran == COUNT
    assert refused == 3

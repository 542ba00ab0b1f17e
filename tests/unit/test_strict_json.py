"""JSON that no two readers understand differently."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bsguard.core.strict_json import JsonProblem, loads
from tests.unit.support import table

GOOD: dict[str, tuple[bytes, Any]] = {
    "an object": (b'{"a": [1, 2.5, true, null, "x"]}', {"a": [1, 2.5, True, None, "x"]}),
    "a number alone": (b"7", 7),
    "text alone": (b'""', ""),
    "all four kinds of space": (b" \t\r\n[] \t\r\n", []),
    "characters beyond ASCII": ('{"é": "🪸"}'.encode(), {"é": "🪸"}),
    "an escaped pair of surrogates": (rb'"\ud83e\udeb8"', "🪸"),
    "escapes": (rb'"\"\\\/\b\f\n\r\tA"', '"\\/\b\f\n\r\tA'),
    "an escaped backslash before the letters of an escape": (rb'"\\ud800"', "\\ud800"),
    "the largest double": (b"1.7976931348623157e308", 1.7976931348623157e308),
    "a number too small to tell from zero": (b"1e-400", 0.0),
    "a large whole number": (b"1" + b"0" * 400, 10**400),
    "the same key in different objects": (
        b'[{"a": 1}, {"a": 2}, {"b": {"a": 1}}]',
        [{"a": 1}, {"a": 2}, {"b": {"a": 1}}],
    ),
    "keys that differ in capitals": (b'{"a": 1, "A": 2}', {"a": 1, "A": 2}),
    "as deep as allowed": (b"[" * 8 + b"]" * 8, [[[[[[[[]]]]]]]]),
    "as deep as allowed, and wide": (b"[" * 8 + b"]" * 7 + b", [], {}]", [[[[[[[[]]]]]]], [], {}]),
    "wide, not deep": (b"[" + b"[]," * 50 + b"[]]", [[]] * 51),
    "brackets in text": (b'["' + b"[{" * 20 + rb"\"" + b"[{" * 20 + b'"]', ["[{" * 20 + '"' + "[{" * 20]),
    "a byte order mark within text": ('["\ufeff"]'.encode(), ["\ufeff"]),
    "a NUL that is escaped": (rb'"\u0000"', "\0"),
}


@pytest.mark.parametrize(("data", "value"), table(19, GOOD))
def test_strict_json_is_read_as_everybody_reads_it(data: bytes, value: Any) -> None:
    assert loads(data, 8) == value == json.loads(data)


BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "syntax"),
    "only space": (b"  ", "syntax"),
    "two values": (b"1 2", "syntax"),
    "something after": (b"{} x", "syntax"),
    "a final comma": (b"[1,]", "syntax"),
    "single quotes": (b"{'a': 1}", "syntax"),
    "a bare key": (b"{a: 1}", "syntax"),
    "a comment": (b"[1] // x", "syntax"),
    "a control character in text": (b'"\x01"', "syntax"),
    "a line end in text": (b'"\n"', "syntax"),
    "a form feed as space": (b"\x0c1", "syntax"),
    "a no-break space as space": ("\u00a01".encode(), "syntax"),
    "a leading zero": (b"01", "syntax"),
    "a plus sign": (b"+1", "syntax"),
    "a naked point": (b".5", "syntax"),
    "a hexadecimal number": (b"0x1", "syntax"),
    "a bad escape": (rb'"\x"', "syntax"),
    "a cut escape": (rb'"\u12"', "syntax"),
    "an open text": (b'"abc', "syntax"),
    "an open array": (b"[1", "syntax"),
    "a number of too many digits to be read": (b"1" * 5000, "syntax"),
    "True": (b"True", "syntax"),
    "NaN": (b"[NaN]", "number"),
    "Infinity": (b"[Infinity]", "number"),
    "minus infinity": (b"-Infinity", "number"),
    "a number over the largest": (b"1e400", "number"),
    "a negative number over the largest": (b"-1e400", "number"),
    "a number over the largest in digits": (b"1" + b"0" * 400 + b".0", "number"),
    "the same key twice": (b'{"a": 1, "a": 2}', "duplicate-key"),
    "the same key spelled otherwise": (rb'{"a": 1, "\u0061": 2}', "duplicate-key"),
    "the same empty key": (b'{"": 1, "": 1}', "duplicate-key"),
    "the same key deep within": (b'[[{"b": {"a": 1, "c": 0, "a": 1}}]]', "duplicate-key"),
    "one level too deep": (b"[" * 9 + b"]" * 9, "depth"),
    "too deep in objects": (b'{"a":' * 9 + b"1" + b"}" * 9, "depth"),
    "too deep and open": (b"[" * 100_000, "depth"),
    "too deep after text with a quote": (rb'["\"", ' + b"[" * 9 + b"]" * 10, "depth"),
    "too deep after a closed text with a backslash": (rb'["\\", ' + b"[" * 9 + b"]" * 10, "depth"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "encoding"),
    "Latin-1": (b'"\xe9"', "encoding"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "encoding"),
    "UTF-16 without a mark": ('{"a": 1}'.encode("utf-16-le"), "syntax"),
    "an overlong form": (b'"\xc0\xaf"', "encoding"),
    "a surrogate in UTF-8": (b'"\xed\xa0\x80"', "encoding"),
    "a cut character": (b'"\xf0\x9f\xaa"', "encoding"),
    "a lone high surrogate": (rb'"\ud83e"', "surrogate"),
    "a lone low surrogate": (rb'"\udeb8"', "surrogate"),
    "surrogates turned round": (rb'"\udeb8\ud83e"', "surrogate"),
    "a lone surrogate in a key": (rb'{"\uD800": 1}', "surrogate"),
}


@pytest.mark.parametrize(("data", "rule"), table(48, BAD))
def test_what_readers_differ_on_is_refused_under_its_rule(data: bytes, rule: str) -> None:
    with pytest.raises(JsonProblem) as caught:
        loads(data, 8)

    assert caught.value.rule == rule
    assert isinstance(caught.value, ValueError)


def test_a_problem_never_repeats_the_submitted_text() -> None:
    for data in (b'{"c4nary7": 1, "c4nary7": 2}', b'["c4nary7"', rb'["c4nary7\ud800"]', b'"c4nary7\xff"'):
        with pytest.raises(JsonProblem) as caught:
            loads(data, 8)
        assert "c4nary7" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_the_depth_is_the_caller_s() -> None:
    assert loads(b"[[]]", 2) == [[]]
    assert loads(b"1", 0) == 1
    with pytest.raises(JsonProblem) as caught:
        loads(b"[[]]", 1)
    assert str(caught.value) == "nested deeper than 1"

"""The strict JSON parser against the lenient one, and against input that was made to exhaust it."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bsguard.core import strict_json
from bsguard.core.strict_json import JsonProblem, loads
from tests.property.support import looks

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES = {"encoding", "depth", "syntax", "duplicate-key", "number", "surrogate"}
SIZE = 128 * 1024

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4).filter(str.isascii), inner, max_size=4)
    ),
    max_leaves=20,
)
pieces = st.lists(
    st.sampled_from(
        [
            *(
                b"{",
                b"}",
                b"[",
                b"]",
                b",",
                b":",
                b'"',
                b"\\",
                b'"a"',
                b'"a":',
                b"1",
                b"-",
                b".",
                b"e9",
                b"0",
                b" ",
                b"\n",
            ),
            *(
                b"true",
                b"null",
                b"NaN",
                b"Infinity",
                b"1e999",
                rb"\u",
                rb"\ud800",
                rb"\udc00",
                b"d8",
                b"\xff",
                b"\xc3\xa9",
            ),
            *(b"\xef\xbb\xbf", b"\0", b"\x1f", b"/*", b"'", b'{"a":1,"a":2}', b'["', b'"]'),
        ]
    ),
    max_size=25,
).map(b"".join)


def judged(data: bytes, depth_max: int = 64) -> tuple[str, Any]:
    try:
        return "", loads(data, depth_max)
    except JsonProblem as problem:
        return problem.rule, None


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


def same(one: Any, two: Any) -> bool:
    """Equal, and of equal types all the way down: 1, 1.0 and True are three things here."""
    return repr(one) == repr(two)


@looks(200)
@given(st.binary(max_size=40) | pieces, st.integers(0, 70))
@example(b"\xef\xbb\xbf1", 1)
@example(b'"\\', 1)
@example(b"[" * 71, 70)
def test_any_bytes_are_parsed_as_everybody_parses_them_or_refused_under_a_rule(data: bytes, depth_max: int) -> None:
    rule, value = judged(data, depth_max)

    assert rule in RULES | {""}
    if not rule:
        assert same(value, json.loads(data))
        assert depth_of(value) <= depth_max
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")


@looks(100)
@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_whatever_is_written_properly_is_read_back(value: Any, ascii_only: bool, indent: int | None) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8")
    depth = depth_of(value)

    assert same(judged(data, depth), ("", value))
    assert depth == 0 or judged(data, depth - 1) == ("depth", None)


@looks(50)
@given(values.filter(lambda value: isinstance(value, (list, dict))))
def test_a_cut_document_is_refused_at_every_byte_and_so_is_one_with_something_behind(value: Any) -> None:
    data = json.dumps(value, ensure_ascii=False).encode("utf-8")
    for end in range(len(data)):
        assert judged(data[:end])[0] in {"syntax", "encoding"}
    for behind in (b"]", b"}", b",", b"1", b'"', b"\0", data):
        assert judged(data + behind)[0] in {"syntax", "depth"}


@looks(80)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), min_size=1, max_size=6), st.data())
def test_a_key_that_comes_twice_is_found_however_it_is_spelled(keys: list[str], data: Any) -> None:
    keys = [*keys, data.draw(st.sampled_from(keys))]

    def spelled(key: str) -> str:
        units = key.encode("utf-16-be")
        escaped = "".join(f"\\u{units[at]:02x}{units[at + 1]:02X}" for at in range(0, len(units), 2))
        return f'"{escaped}"' if data.draw(st.booleans()) else json.dumps(key)

    members = ",".join(f"{spelled(key)}:0" for key in data.draw(st.permutations(keys)))
    document = f'[[{{"outer": {{{members}}}}}]]'.encode()

    assert judged(document) == ("duplicate-key", None)


@looks(80)
@given(st.text(st.characters(), max_size=6))
def test_only_unicode_text_comes_out(text: str) -> None:
    data = json.dumps(text).encode("ascii")
    rule, value = judged(data)
    lone = any(0xD800 <= ord(character) <= 0xDFFF for character in json.loads(data))

    assert (rule == "surrogate") is lone
    assert lone or value == text


@looks(80)
@given(values, st.lists(st.sampled_from('[]{}"\\\x07'), max_size=8).map("".join))
def test_the_count_of_brackets_is_the_true_depth(value: Any, text: str) -> None:
    data = json.dumps([text, value, text]).encode()
    depth = depth_of(value) + 1

    assert strict_json._depth_exceeds(data, depth - 1)
    assert not strict_json._depth_exceeds(data, depth)


def filled(unit: bytes, before: bytes = b"", behind: bytes = b"") -> bytes:
    room = SIZE - len(before) - len(behind)
    return before + (unit * (room // len(unit) + 1))[:room] + behind


#: Input of the largest size that is looked at, made to have every step done again and again.
HARDEST = {
    "an open text": filled(b"a", b'"'),
    "an open text of backslashes": filled(b"\\", b'"'),
    "an open text of escaped quotes": filled(b'\\"', b'"'),
    "an open text of escaped backslashes": filled(b"\\\\", b'["'),
    "only quotes": filled(b'"'),
    "only backslashes": filled(b"\\"),
    "open texts in arrays": filled(b'["'),
    "open texts in arrays behind brackets": filled(b'\\"["', b"[" * 100),
    "open objects": filled(b'{"a":'),
    "open arrays": filled(b"["),
    "closed arrays": filled(b"]"),
    "arrays that open and close": filled(b"[]"),
    "brackets within texts": filled(b'"[[[[",', b"[", b"1]"),
    "a wide array": filled(b"1,", b"[", b"1 ]"),
    "a wide object of one key": filled(b'"":1,', b"{", b'"":1}'),
    "spaces": filled(b" "),
    "spaces in an array": filled(b" ", b"["),
    "digits": filled(b"1"),
    "digits behind a point": filled(b"1", b"0."),
    "a large exponent": filled(b"9", b"1e"),
    "a small exponent": filled(b"9", b"1e-"),
    "minus signs": filled(b"-"),
    "escapes of surrogates": filled(rb"\ud800", b'"', b'"'),
    "escapes of backslashes before what looks like one": filled(rb"\\ud800", b'"', b'"'),
    "texts of one character": filled(b'"a",', b"[", b"1]"),
    "commas": filled(b","),
    "colons": filled(b":"),
    "NULs": filled(b"\0"),
    "line ends": filled(b"\n"),
    "cut characters": filled(b"\xc3"),
    "the letters of words": filled(b"tru"),
    "comments": filled(b"/*"),
}


@pytest.fixture
def patience() -> Iterator[None]:
    """A bound far above the milliseconds that these take, so that a step done n * n times is seen as a failure."""

    def lost(*_: object) -> None:
        raise TimeoutError("the work is not linear in the size of the input")

    before = signal.signal(signal.SIGALRM, lost)
    signal.setitimer(signal.ITIMER_REAL, 20)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("name", HARDEST)
def test_the_hardest_input_of_the_largest_size_is_judged(name: str) -> None:
    rule, value = judged(HARDEST[name])

    assert len(HARDEST[name]) in range(SIZE - 8, SIZE + 1)
    assert rule in RULES or same(value, json.loads(HARDEST[name]))


def test_the_table_of_hardest_inputs_is_complete() -> None:
    assert len(HARDEST) == 32

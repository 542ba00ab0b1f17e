"""Chains of transformations as the prefilter walks them: together, and only where they can change something."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsguard.seclang.prefilter.chains import CHANGES_CASE, FORESEEN, SEPARABLE, SEPARATOR, TESTED, Values, inert_bytes
from bsguard.seclang.prefilter.scanners import LiteralScanner, SingleScanner
from bsguard.seclang.transforms import TRANSFORMS
from bsguard.seclang.xss import detect_xss

#: Bytes that transformations look at, more often than chance would have them.
TEXT = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *rb"% + %41 %u0041 \ \x41 \u0041 & &lt; &#x3c &lt / // /./ /../ .. ./ . /* */ -- ' ^ , ; (".split(),
                *(
                    b" ",
                    b"  ",
                    b"\t",
                    b"\n",
                    b"\r",
                    b"\0",
                    b"\xa0",
                    b"\xc2\xa0",
                    b"\xe2\x82\xac",
                    b"\xff",
                    b'"',
                    b"A",
                    b"=",
                ),
            ]
        ),
        st.binary(max_size=3),
    ),
    max_size=12,
).map(b"".join)


@pytest.mark.parametrize("name", sorted(FORESEEN))
@given(values=st.lists(TEXT, min_size=1, max_size=4, unique=True))
@settings(max_examples=200, deadline=None)
def test_without_its_trigger_a_transformation_changes_nothing(name: str, values: list[bytes]) -> None:
    seen = Values(values)
    assert seen.is_changed_by(name) == (name in seen.changing())
    if name not in seen.changing():
        transform = TRANSFORMS[name]
        if name in CHANGES_CASE:
            assert [transform(value).lower() for value in values] == [value.lower() for value in values]
        else:
            assert [transform(value) for value in values] == values


@pytest.mark.parametrize("name", sorted(SEPARABLE))
@given(first=TEXT, second=TEXT)
@settings(max_examples=200, deadline=None)
def test_values_go_through_together(name: str, first: bytes, second: bytes) -> None:
    transform = TRANSFORMS[name]
    if SEPARATOR not in first + second:
        assert transform(first + SEPARATOR + second) == transform(first) + SEPARATOR + transform(second)


CHAINS = [
    ("lowercase", "jsdecode"),
    ("jsdecode", "lowercase"),
    ("cmdline", "urldecodeuni", "cssdecode"),
    ("utf8tounicode", "urldecodeuni", "htmlentitydecode", "jsdecode", "cssdecode", "removenulls"),
    ("urldecodeuni", "replacecomments", "normalizepath"),
    ("lowercase", "base64decode"),
    ("normalizepathwin", "removewhitespace"),
]


@pytest.mark.parametrize("chain", CHAINS, ids="-".join)
@given(values=st.lists(TEXT, min_size=1, max_size=4, unique=True))
@settings(max_examples=200, deadline=None)
def test_chains_lead_to_what_each_value_would(chain: tuple[str, ...], values: list[bytes]) -> None:
    expected = set()
    for value in values:
        for name in chain:
            value = TRANSFORMS[name](value)
        expected.add(value.lower())
    start = Values(values)
    ends = [reached.pieces() for reached, is_end in start.along(chain) if is_end]

    assert expected <= set[bytes]().union(*ends)


@given(chain=st.lists(st.sampled_from(sorted(TRANSFORMS)), max_size=3), value=TEXT)
@settings(max_examples=500, deadline=None)
def test_values_of_inert_bytes_stay_as_they_are(chain: list[str], value: bytes) -> None:
    inert = inert_bytes(chain)
    if inert is not None and not value.translate(None, inert):
        for name in chain:
            assert TRANSFORMS[name](value) == value


@given(TEXT)
def test_script_needs_a_tag_or_an_attribute(value: bytes) -> None:
    assert not detect_xss(value) or b"<" in value or b"=" in value


@given(
    texts=st.lists(TEXT | st.sampled_from([b"a.htaccess", b"POWERSHELL -c", b"x=ab7"]), max_size=3),
    wanted=st.integers(1, 255),
)
@settings(max_examples=300, deadline=None)
def test_scanners_agree_whatever_is_wanted(texts: list[bytes], wanted: int) -> None:
    phrases = [(b"powershell", 1), (b".htaccess", 1), (b"%", 2), (b"\\", 4), (b"a", 4)]
    sought = [*phrases, ("[a-z]=ab[0-9]", 8), ("\\.ht", 16), (r"\d{2}", 32), ("&lt|&#", 64), ("x+|y", 128)]
    text = b"\n".join(texts)

    assert LiteralScanner(sought).scan(text, wanted) == SingleScanner(sought).scan(text, wanted)


@given(values=st.lists(TEXT, min_size=1, max_size=6, unique=True))
@settings(max_examples=500, deadline=None)
def test_values_without_marks_are_left_alone(values: list[bytes]) -> None:
    changing = Values(values).changing()
    marked, plain = Values(values).parted(FORESEEN - changing)

    assert sorted([*marked.values, *plain.values]) == sorted(values)
    for name in FORESEEN - TESTED.keys():
        assert not any(TRANSFORMS[name](value).lower() != value.lower() for value in plain.values)
        assert marked.is_changed_by(name) or name not in changing
        assert not plain.is_changed_by(name) or not plain.values

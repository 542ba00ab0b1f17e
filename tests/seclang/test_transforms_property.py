"""What holds of transformations for any value: same object when unchanged, settled when done, linear time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsguard.seclang.transforms import TRANSFORMS
from tests.property.support import looks
from tests.seclang.bounded import ends, filled

PIECES = (
    *(b"%", b"%u", b"ff0", b"41", b"7", b"\\", b"\\x", b"\\u", b"&#", b"&#x", b"&lt", b"&nbsp", b";", b"/*", b"*/"),
    *(b"<!--", b"-->", b"--", b"#", b"/", b"..", b".", b" ", b"\t", b"\n", b"\r", b"\0", b"a", b"F", b"=", b'"', b"'"),
    *(b"^", b",", b"(", b"0x", b"\xa0", b"\xc2", "é€😀".encode(), b"\x80", b"\xed", b"\xff", b"[", b"]", b"+", b"QUJD"),
)
values = st.binary(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)

SETTLED = ("lowercase", "uppercase", "removewhitespace", "compresswhitespace", "removenulls", "replacenulls", "trim")
SETTLED += ("trimleft", "trimright", "replacecomments", "parityzero7bit", "cmdline")
REPEATED = (*PIECES, b"%u0041", b"&#x41", b"\\u0041", b"<!", b"-", b"a/", b"../", b"a..", b"/*/", b"=Q", b"a[", b"[]")


@pytest.mark.parametrize("name", TRANSFORMS)
@looks(60)
@given(value=values)
def test_gives_bytes_and_the_same_object_when_nothing_changed(name: str, value: bytes) -> None:
    result = TRANSFORMS[name](value)

    assert type(result) is bytes
    assert result is value or result != value


@pytest.mark.parametrize("name", SETTLED)
@looks(60)
@given(value=values)
def test_a_second_time_changes_nothing(name: str, value: bytes) -> None:
    once = TRANSFORMS[name](value)

    assert TRANSFORMS[name](once) is once


@pytest.mark.parametrize(("there", "back"), [("base64encode", "base64decode"), ("hexencode", "hexdecode")])
@looks(60)
@given(value=values)
def test_encodings_come_back(there: str, back: str, value: bytes) -> None:
    assert TRANSFORMS[back](TRANSFORMS[there](value)) == value


@looks(60)
@given(value=values)
def test_url_encoding_comes_back(value: bytes) -> None:
    assert TRANSFORMS["urldecodeuni"](TRANSFORMS["urlencode"](value)) == value


@pytest.mark.parametrize("name", TRANSFORMS)
def test_large_values_come_to_an_end(name: str) -> None:
    for piece in REPEATED:
        with ends(piece):
            TRANSFORMS[name](filled(piece))
            TRANSFORMS[name](b"/*" + filled(piece))

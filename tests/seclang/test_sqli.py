"""@detectSQLi: attacks that it must see, text that is none, and how much of the public collections it sees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsguard.seclang import sqli, sqli_fold, sqli_tokens
from bsguard.seclang.sqli import detect_sqli
from tests.property.support import looks
from tests.seclang import samples
from tests.seclang.bounded import ends, filled

ATTACKS = [
    b"1 or 1=1",
    b"1' or '1'='1",
    b'1" or "1"="1',
    b"admin'--",
    b"admin'/*",
    b"' or 1=1#",
    b"') or ('a'='a",
    b"1)) or 1=1--",
    b"-1 union select 1,2,3",
    b"1/**/union/**/all/**/select/**/1",
    b"1 /*!50000union*/ select 1",
    b"x' union((((select 1",
    b"1 /* a /* b */ c",
    b"' union select null,null--",
    b"1; drop table users",
    b"1';drop/**/table users--",
    b"'; exec master..xp_cmdshell 'dir'--",
    b"1 and sleep(5)",
    b"1-sleep(5)",
    b"sleep(5)",
    b"1 and (select 1 from dual)",
    b"1,(select 1)",
    b"(select(0)from(select(sleep(15)))v)",
    b"' and extractvalue(1,concat(0x7e,version()))--",
    b"1 waitfor delay '0:0:5'--",
    b"1 order by 10--",
    b"1 group by x having 1=1",
    b"1 procedure analyse(1)",
    b"' into outfile '/tmp/x",
    b"'='",
    b"'||'",
    b"' or ''='",
    b"a' in (select 1)",
    b"@@version or 1=1",
    b"' or true--",
    b"1 RLIKE (-(-1)) UNION SELECT 1",
    b"(1)*HOPE AND 8=3",
    b"'or''='",
    b"a\\' or 1=1--",
    b"1+" * 200 + b"1 union select 2",
]
BENIGN = [
    b"",
    b"12345",
    b"2024-01-01T10:00:00Z",
    b"550e8400-e29b-41d4-a716-446655440000",
    b"someone@example.com",
    b"https://example.com/a/b?c=d&e=f",
    b"O'Reilly and sons",
    b"rock 'n' roll",
    b"I don't think it's ready, or is it?",
    b"fish and chips",
    b"2 or 3 times a week",
    b"5 apples and 6 oranges",
    b"the European Union selects a new president",
    b"Please select one from the list, then update it",
    b"drop it; create a new one",
    b'necklace length 16" or 18"',
    b'"WOOD" AND "SIGN"',
    b"80's and 90's music -- the best",
    b"name = value",
    b"a and b or c",
    b"a <b>c</b> /* d */ e",
    b"select the best",
    b"(see above)",
    b"C# and F#",
    b"a--b",
    b"50% or 60%",
    b"order by phone",
    b"group by name",
    b"where is it",
    b"if (x == 1) { return; }",
    b"'quoted' text",
    b'{\\"a\\": \\"b\\", \\"c\\": 1}',
    rb"it\'s",
    b"<p>Hello <b>world</b></p>",
    b"<a href='/x'>here</a> and <a href='/x'>there</a>",
    b"like this",
    b"user (admin)",
]


@pytest.mark.parametrize("value", ATTACKS)
def test_an_attack_is_seen(value: bytes) -> None:
    assert detect_sqli(value)


@pytest.mark.parametrize("value", BENIGN)
def test_other_text_is_left_alone(value: bytes) -> None:
    assert detect_sqli(value) is None


def test_upper_case_and_odd_white_space_change_nothing() -> None:
    for value in ATTACKS:
        assert detect_sqli(value.upper()), value
        assert detect_sqli(value.replace(b" ", b"\t\xa0\n")), value


def test_most_of_the_public_attacks_are_seen_and_little_else() -> None:
    values = samples.attacks("sqli-*.txt")
    harmless = samples.attacks("false_positives.txt")

    assert len(values) == 17_149
    assert sum(detect_sqli(value) is not None for value in values) >= 16_970
    assert len(harmless) == 421
    assert sum(detect_sqli(value) is not None for value in harmless) <= 25


def test_our_own_documents_hold_no_attack() -> None:
    lines = samples.prose()

    assert len(lines) > 1000
    assert sum(detect_sqli(line) is not None for line in lines) <= len(lines) * 0.01


def test_the_tests_that_come_first_decide_nothing_else() -> None:
    """A value that is let go at once has no shape of the grammar either."""
    tried = 0
    for value in (*samples.crs_values(), *samples.prose(), *samples.attacks("*.txt")):
        if len(value) <= sqli._SIGNAL_BYTES_MAX and not sqli._has_signal(value):
            tried += 1
            for start, quote in sqli._starts(value):
                assert not sqli._SHAPES.match(sqli_fold.fold(value, start, quote)), value

    assert tried > 1000


PIECES = (
    *(
        b"'",
        b'"',
        b"`",
        b"(",
        b")",
        b";",
        b",",
        b"--",
        b"#",
        b"/*",
        b"*/",
        b"/*!",
        b"\\",
        b"@",
        b"@@",
        b"$$",
        b"=",
        b"<>",
    ),
    *(
        b" ",
        b"\t",
        b"\0",
        b"\xa0",
        b"1",
        b"0x",
        b"1e",
        b".",
        b"a",
        b"or",
        b" and ",
        b" union ",
        b" select ",
        b"||",
        b"&&",
    ),
    *(
        b" order by ",
        b" not ",
        b" in ",
        b"sleep",
        b"user",
        b"null",
        b"x'",
        b"n'",
        b"q'[",
        b"[a",
        b"]",
        b"-",
        b"+",
        b"\xff",
    ),
)


#: What a word may follow on without a space, each the end of another token, and what may make it part of a longer one.
BEFORE_WORDS = (
    *(b"", b"1", b"0x", b"0xa", b"0XFe", b"0b1", b"1.", b"1e5", b"\\N", b"\\n", b"'", b'"', b"`", b"]", b"[a]", b"$$"),
    *(b"@", b"@a", b"@a.b", b"$", b"\xa0", b"\xe9", b"a", b"_", b"a.", b"a.b\xe9", b"*/", b"--x\n"),
    *(b"{", b"~", b"\0", b"\n"),
)


@looks(600)
@given(
    st.lists(st.sampled_from(BEFORE_WORDS), max_size=4).map(b"".join),
    st.sampled_from([word.encode() for word in sqli._SIGNAL_WORDS]),
    st.lists(st.sampled_from(PIECES), max_size=2).map(b"".join),
    st.booleans(),
)
def test_a_word_of_sql_that_is_a_token_is_a_signal(before: bytes, word: bytes, after: bytes, upper: bool) -> None:
    value = before + (word.upper() if upper else word) + after
    if word in {text for _, text in sqli_tokens.tokens(value, 0, b"")}:
        assert sqli._has_signal(value)


def test_words_within_words_are_no_signals() -> None:
    for value in (b"hold for two beats", b"format", b"0 organs", b"sandy", b"\xe9or", b"nor", b"limits"):
        assert not sqli._has_signal(value), value


@looks(300)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join) | st.binary(max_size=30))
def test_any_value_gets_a_verdict_and_every_byte_is_in_one_token(value: bytes) -> None:
    shape = detect_sqli(value)

    assert shape is None or 0 < len(shape) <= 12
    assert sum(match.end() - match.start() for match in sqli_tokens._TOKEN.finditer(value)) == len(value)


def test_large_values_come_to_an_end() -> None:
    for piece in PIECES:
        for before in (b"", b"'", b"1 ", b"/*", b"("):
            with ends((before, piece)):
                detect_sqli(before + filled(piece))

"""Transformations that drop or replace characters: case, white space, comments, NUL bytes, parity."""

from __future__ import annotations

import re
from typing import Final

#: C's isspace() in the "C" locale.
_SPACES: Final = b" \t\n\v\f\r"
_AS_SPACE: Final = bytes.maketrans(_SPACES, b" " * len(_SPACES))
_SPACE: Final = ord(" ")

#: ModSecurity drops both bytes of a UTF-8 no-break space wherever they stand, alone too.
_WHITESPACE_AND_NBSP: Final = _SPACES + b"\xa0\xc2"


def lowercase(value: bytes) -> bytes:
    """ASCII letters only."""
    result = value.lower()
    return value if result == value else result


def uppercase(value: bytes) -> bytes:
    """ASCII letters only."""
    result = value.upper()
    return value if result == value else result


def remove_whitespace(value: bytes) -> bytes:
    """White space and no-break spaces go."""
    result = value.translate(None, _WHITESPACE_AND_NBSP)
    return value if len(result) == len(value) else result


def compress_whitespace(value: bytes) -> bytes:
    """Every run of white space becomes one space."""
    result = _with_single_spaces(value.translate(_AS_SPACE))
    return value if result == value else result


def _with_single_spaces(value: bytes) -> bytes:
    while value.find(b"  ") >= 0:  # every turn halves the runs, so that all turns together are linear
        value = value.replace(b"  ", b" ")
    return value


def trim(value: bytes) -> bytes:
    """White space goes at both ends."""
    return value.strip(_SPACES)


def trim_left(value: bytes) -> bytes:
    """White space goes at the start."""
    return value.lstrip(_SPACES)


def trim_right(value: bytes) -> bytes:
    """White space goes at the end."""
    return value.rstrip(_SPACES)


def remove_nulls(value: bytes) -> bytes:
    """NUL bytes go."""
    return value.replace(b"\0", b"")


def replace_nulls(value: bytes) -> bytes:
    """NUL bytes become spaces."""
    return value.replace(b"\0", b" ")


_CMD_LINE: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ,;\t\r\n", b"abcdefghijklmnopqrstuvwxyz     ")
_CMD_LINE_DROPS: Final = b"\"'\\^"


def cmd_line(value: bytes) -> bytes:
    r"""What a shell's quoting hides: ``"c^md" ,/C`` becomes ``cmd/c``."""
    result = value.translate(_CMD_LINE, _CMD_LINE_DROPS)
    if _SPACE in result:
        result = _with_single_spaces(result)
        result = result.replace(b" /", b"/").replace(b" (", b"(")
    return value if result == value else result


_ASTERISK: Final = ord("*")
_HASH: Final = ord("#")
_DASH: Final = ord("-")
_C_COMMENT: Final = re.compile(rb"/\*(?:.*?\*/|.*)", re.DOTALL)
_COMMENT_MARKS: Final = re.compile(rb"/\*|\*/|<!--|-->|--|#")
#: A comment that ends takes the next byte along as it is, and a NUL where there is none: so does the reference.
_COMMENT_OR_LINE_END: Final = re.compile(
    rb"(?:/\*|<!--)(?:(?:(?!\*/|-->).)*+(?:\*/|-->)(?P<next>.?)|.*)|(?P<rest>(?:--|#).*)", re.DOTALL
)


def replace_comments(value: bytes) -> bytes:
    """Every C comment, one without an end too, becomes one space."""
    return _C_COMMENT.sub(b" ", value) if _ASTERISK in value else value


def remove_comments_char(value: bytes) -> bytes:
    """The marks of C, SQL, shell and HTML comments go; the text between them stays."""
    return _COMMENT_MARKS.sub(b"", value) if _may_hold_comments(value) else value


def remove_comments(value: bytes) -> bytes:
    """C and HTML comments go, and everything from ``--`` or ``#`` on."""
    return _COMMENT_OR_LINE_END.sub(_removed_comment, value) if _may_hold_comments(value) else value


def _may_hold_comments(value: bytes) -> bool:
    return _HASH in value or _ASTERISK in value or _DASH in value


def _removed_comment(match: re.Match[bytes]) -> bytes:
    if match["rest"] is not None:
        return b""
    following: bytes | None = match["next"]
    return b" " if following is None else following or b"\0"


def _parity_table(odd: int) -> bytes:
    return bytes(byte | 0x80 if byte.bit_count() % 2 != odd else byte & 0x7F for byte in range(256))


_EVEN: Final = _parity_table(0)
_ODD: Final = _parity_table(1)
_ZERO: Final = bytes(byte & 0x7F for byte in range(256))


def parity_even(value: bytes) -> bytes:
    """The eighth bit becomes even parity."""
    result = value.translate(_EVEN)
    return value if result == value else result


def parity_odd(value: bytes) -> bytes:
    """The eighth bit becomes odd parity."""
    result = value.translate(_ODD)
    return value if result == value else result


def parity_zero(value: bytes) -> bytes:
    """The eighth bit is cleared."""
    return value if value.isascii() else value.translate(_ZERO)

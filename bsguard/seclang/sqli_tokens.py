"""SQL as a sequence of tokens, each a letter: see ``sqli_words`` for those of words.

Of the rest, ``s`` is a string, ``1`` a number, ``v`` a variable, ``c`` a comment (``h`` one that only MySQL knows),
``X`` a comment that hides code, and punctuation stands for itself. No dialect is assumed: what is a token in any of
MySQL, PostgreSQL, SQLite, Oracle and SQL Server is one here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bsguard.seclang.sqli_words import FUNCTIONS, NILADIC, WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

#: One token; every repetition is possessive, so that time is linear whatever the value.
_TOKEN: Final = re.compile(
    rb"""
    (?P<space>[\x00-\x20\x7f\xa0]++)
    |(?P<string>(?:[nNeE]|[uU]&)?'(?:[^'\\]++|\\.|'')*+(?:'|(?P<single>\\?\Z))
        |(?:[xX]'[0-9a-fA-F]*+|[bB]'[01]*+)'
        |"(?:[^"\\]++|\\.|"")*+(?:"|(?P<double>\\?\Z))
        |[nN]?[qQ]'(?:\(.*?(?:\)'|\Z)|\[.*?(?:\]'|\Z)|\{.*?(?:\}'|\Z)|<.*?(?:>'|\Z))
        |\$\$.*?(?:\$\$|\Z))
    |(?P<word>[A-Za-z_\x80-\x9f\xa1-\xff][\w$\x80-\x9f\xa1-\xff]*+(?:\.[A-Za-z_][\w$]*+)*+)
    |(?P<number>0[xX][0-9a-fA-F]*+|0[bB][01]++|\$?(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)(?:[eE][+\-]?[0-9]++)?+)
    |(?P<quoted>`[^`]*+(?:`|\Z)|\[[A-Za-z_][\w .$]*+\])
    |(?P<comment>/\*.*?(?:\*/|\Z)|--[^\n]*+|\#[^\n]*+)
    |(?P<variable>@@?+(?:[\w$.]++|`[^`]*+`|'[^']*+'|"[^"]*+")?+|\\N)
    |(?P<logic>&&|\|\|)
    |(?P<operator><=>|[<>!=:]=|<>|::|![<>]|<<|>>|[-+*/%=<>!~^|&])
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENS: Final = re.compile(rb"[\x00-\x20\x7f\xa0]*+\(")
_CALLED: Final = re.compile(rb"[\x00-\x20\x7f\xa0]*+\([\x00-\x20\x7f\xa0]*+\)")
#: Nothing but what ends a statement: what an attacker writes behind ``--``.
_BARE: Final = re.compile(rb"--[\s;+#-]*+\Z")

_KNOWN: Final = FUNCTIONS | NILADIC | WORDS.keys()
_LETTERS: Final = {"number": "1", "quoted": "n", "variable": "v", "logic": "&", "operator": "o"}

Token = tuple[str, bytes]


def tokens(value: bytes, position: int, quote: bytes) -> Iterator[Token]:
    """Letter and lower-case text of every token from *position* on; spaces are left out, and texts that say nothing.

    *quote* is the one that the value stands in, or empty: a last string that it leaves open is ``t``.
    """
    for match in _TOKEN.finditer(value, position):
        kind = match.lastgroup
        if kind == "space":
            continue
        if kind == "word":
            word = match[0].lower()
            yield _word(word, value, match.end()) if word in _KNOWN else "n", word
        elif kind == "string":
            opened = (match["single"] is not None and quote != b'"') or (match["double"] is not None and quote != b"'")
            yield ("t" if opened else "s"), b""
        elif kind == "comment":
            yield _comment(match[0]), b""
        elif kind == "other":
            yield match[0].decode("latin-1"), b""
        else:
            yield _LETTERS[str(kind)], match[0] if kind == "operator" else b""


def _word(word: bytes, value: bytes, end: int) -> str:
    if word in FUNCTIONS and _OPENS.match(value, end):
        return "f"
    if word in NILADIC and _CALLED.match(value, end):
        return "f"
    return WORDS.get(word, "n")


def _comment(text: bytes) -> str:
    if text.startswith(b"#"):
        return "h"
    if text.startswith(b"/*"):
        return "X" if text.startswith(b"/*!") or (b"/*" in text[2:] and text.endswith(b"*/")) else "m"
    return "c" if _BARE.match(text) else "d"

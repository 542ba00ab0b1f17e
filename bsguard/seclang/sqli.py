"""``@detectSQLi``: does a value, put where a program puts its users' input, go on as SQL?

A value can stand in a statement bare (``WHERE id = VALUE``), or within single or double quotes (``WHERE name =
'VALUE'``). For each of the three that it can leave, it is cut into tokens (``sqli_tokens``), these are folded to a
short shape (``sqli_fold``), one letter a token, and a grammar of shapes says whether that is a value which SQL follows.
Only the beginning counts: an attacker has to leave the value's place first, and prose that mentions SQL later is prose.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bsguard.seclang.patterns import compile_pattern, finder
from bsguard.seclang.sqli_fold import fold
from bsguard.seclang.sqli_words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The shapes of SQL that follows a value. ``q`` is a string whose beginning is the program's; ``1 s v e`` are a number,
#: a string, a variable or constant and an expression; ``n`` is a word, which alone may be prose. For the other letters
#: see ``sqli_words``, ``sqli_tokens`` and ``sqli_fold``.
_GRAMMAR: Final = (
    # A comment that hides code.
    r".{0,7}X",
    # UNION SELECT, after any value but prose.
    r"(?!nn|qn|o).{0,6}?[UA][o(]*[ET]",
    r"[1qsve]\)*(?:A(?:$|[cdmh(])|U[cdmh])|[1q]\)*U$",
    # AND, OR with a condition.
    r"[1qsve]\)*&\(*(?:f\(|E|e(?![nst1])|[1v](?:[oO].|[cdmB;,&U]|\)$)|s[oO&]|no[stv1]|\([1vs]|[sv]\)*[cm])",
    r"[1ve]\)*&\(+[1nsv]\)|e&1(?![nst])",
    r"q\)*&\(*(?:t|e|v$|1$|n[&oO].|\(?[1nvs]\))",
    r"n\)*&\(*(?:f\([^)]|E[^n]|e(?![nst1])|1[cdB]|s[oO][st])|n\)+&\(*[1vs]",
    # Another statement.
    r"[1qsve]\)*;+\(*(?:[EDW].|T(?:n[n.]|n?[(sv1]|v|f))|n\)*;+(?:T(?:nn|n?\(|v|f)|E[f(1v])|.{0,6};.{0,5}W",
    r"[1qsven]?\)*W[st1(]|qT(?:v|n[.(])|qE[1sv][;DT]|Tnv|T\(v|[1q][()]+E",
    # The rest of the program's statement commented out.
    r"[1ve]\)*;*[cdm]|q\)*;*[cm]|nm|[1sve]\)+[cm]|[1vs][&oO][1vse]\)+[cm]|1k[ne][cm]",
    # An operator that the value was not meant for.
    r"q\)*[oO]\(*(?:t|s(?:[&cdm)kBUL1]|[oO][stv1eE(])|v|f\(|E|1[&cdmUoO)]|n\()|q\)*[oO][(e]|qO[st](?!n)",
    r"1\)*[oO]\(*(?:f\([^)]|E|n\))|n\)*o\(*(?:\(E|f\([1sfE])",
    # A query, whole.
    r"Ef\([^)]|E\(+(?:E|f\(|so|[1sv]&|[1nsve]\)+[,kcd&mo])|Ee[,kcd&m]|E[1sve]\)*[&B]|E[1svne][,oO&]\(*(?:f\(|E)",
    r"E[1nsveoO,]*k\(*(?:E|f\()|E[1sve]\)|E[1nsveoO,]{0,3}kn{0,2}[kBLUc;)]|E[sv]kn|Ek[1nesv]+k|1En+E",
    # A function called.
    r"f\((?:[1sv](?!k)|\(*f\(|\(*E|e(?:[,&]|\)(?:$|[&oOcm,)]))|n,|n\)(?![{n;]))|f\(\)(?:&|UE|o[kf])",
    r"qf\([1sEf]|[1qsven]\)*,(?:\(+E|f\([^)])",
    # Clauses that end a query.
    r"[1qve]\)*B[1nsf(vet]|n\)*B(?:1(?![ns])|\(1)|[1qve]\)*L1|[1qsnv]\)*F",
)
_SHAPES: Final = re.compile("|".join(_GRAMMAR))

#: Names, numbers, dates, addresses: most values, and never SQL.
_PLAIN: Final = re.compile(rb"[\w.@%+$:/-]*+(?<!--)")
#: Without one of these no shape of the grammar can come about: marks, and words that a token can be. What stands before
#: such a word is no letter, unless a hexadecimal number or the constant ``\N`` ends there.
_MARKS: Final = ("'", '"', r"\(", ";", "--", r"/\*", "&&", r"\|\|")
_SIGNAL_WORDS: Final = (
    *("by", "outfile", "dumpfile"),
    *(word.decode() for word, part in WORDS.items() if part in "UETBLW&"),
)
SIGNAL: Final = (
    "|".join(_MARKS)
    + r"|(?:^|[^A-Za-z_\x80-\x9f\xa1-\xff\n]|0[xX][0-9a-fA-F]*|\\N)"
    + rf"(?:{'|'.join(sorted(_SIGNAL_WORDS))})\b"
)
#: In long values the first tokens tell sooner.
_SIGNAL_BYTES_MAX: Final = 64
_has_signal: Final = finder(compile_pattern(f"(?i){SIGNAL}", captures=False))

#: A string up to its end. In standard SQL a backslash is a character like any other; in MySQL it escapes the next.
_TAILS: Final = (
    (b"'", re.compile(rb"(?:[^'\\]++|\\.|'')*+'", re.DOTALL), re.compile(rb"(?:[^']++|'')*+'")),
    (b'"', re.compile(rb'(?:[^"\\]++|\\.|"")*+"', re.DOTALL), re.compile(rb'(?:[^"]++|"")*+"')),
)


_BACKSLASH: Final = ord("\\")


def detect_sqli(value: bytes) -> bytes | None:
    """The shape of the SQL that *value* injects, such as ``q&e``, or None. Linear in the length of *value*."""
    for _, _, shape in injections(value):
        return shape.encode("latin-1")
    return None


def injections(value: bytes) -> Iterator[tuple[int, bytes, str]]:
    """Every way in which *value* goes on as SQL: where it does, which string it has left by then, and the shape."""
    if _PLAIN.fullmatch(value) or (len(value) <= _SIGNAL_BYTES_MAX and not _has_signal(value)):
        return
    for start, quote in _starts(value):
        shape = fold(value, start, quote)
        if _SHAPES.match(shape):
            yield start, quote, shape


def _starts(value: bytes) -> Iterator[tuple[int, bytes]]:
    """Where the statement goes on after *value* has closed the string that it stands in, and which that is."""
    yield 0, b""
    for quote, escaping, standard in _TAILS:
        if ord(quote) not in value:
            continue
        escaped = escaping.match(value)
        if escaped:
            yield escaped.end(), quote
        if _BACKSLASH in value and (match := standard.match(value)) and (not escaped or match.end() != escaped.end()):
            yield match.end(), quote

"""``@detectSQLi``: does a value, put where a program puts its users' input, go on as SQL?

A value can stand in a statement bare (``WHERE id = VALUE``), or within single or double quotes (``WHERE name =
'VALUE'``). For each of the three that it can leave, it is cut into tokens (``sqli_tokens``), the first of them are
folded to a short shape, one letter a token, and a grammar of shapes says whether that is a value which SQL follows.
Only the first tokens count: what an attacker wants to close lies before them, and prose that mentions SQL later is prose.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from bsguard.seclang.sqli_tokens import tokens
from bsguard.seclang.sqli_words import PAIR_BEGINNINGS, PAIRS

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKENS_MAX: Final = 64
_SHAPE_MAX: Final = 8

#: What is not SQL whatever stands around it: words of letters, digits, dots and the like, with single spaces.
_PLAIN: Final = re.compile(rb"[\w.@%+$:/-]*+(?<!--)")

_UNARY: Final = frozenset((b"+", b"-", b"!", b"~", b"not", b"binary"))

_SHAPES: Final = re.compile(
    r"""
    .*X                                             # a comment that hides code
    |(?!nn|qn|o).{0,6}?[UA][o(]*[ET]                        # … UNION SELECT
    |[1qsve]\)*(?:A(?:$|[cdmh(])|U[cdmh])|qf\((?:1|s|E|f)|[1q]\)*U$
    |[1qsve]\)*&\(*(?:f\(|E|e(?![nst1])|[1v](?:[oO].|[cdmB;,&U]|\)$)|s[oO&]|no[stv1]|\([1vs]|[sv]\)*[cm])
    |[1ve]\)*&\(+[1nsv]\)
    |e&1(?![nst])
    |q\)*&\(*(?:t|e|v$|1$|n[&oO].|\(?[1nvs]\))
    |n\)*&\(*(?:f\([^)]|E[^n]|e(?![nst1])|1[cdB]|s[oO][st])|n\)+&\(*[1vs]
    |[1qsve]\)*;+\(*(?:[EDW].|T(?:nn|n?[(sv1]|v|f))|n\)*;+(?:T(?:nn|n?\(|v|f)|E[f(1v])
    |[1ve]\)*;*[cdm]|q\)*;*[cm]|nm|[1sve]\)+[cm]|[1vs][&oO][1vse]\)+[cm]
    |q\)*[oO]\(*(?:t|s(?:[&cdm)kBUL1]|[oO][stv1eE(])|v|f\(|E|1[&cdmUoO)]|n\()|q\)*[oO][(e]|qO[st](?!n)
    |1\)*[oO]\(*(?:f\([^)]|E|n\))|n\)*o\(*(?:\(E|f\([1sfE])
    |Ef\([^)]|E\(+(?:E|f\(|so|[1sv]&|[1nsve]\)+(?:[,kcd&mo]))|Ee[,kcd&m]|E[1sve]\)*[&B]|E[1svne][,oO&]\(*(?:f\(|E)
    |E[1nsveoO,]*k\(*(?:E|f\()|E[1sve]\)|E[1nsveoO,]{0,3}kn{0,2}(?:[kBLUc;]|\))|E[sv]kn|Ek[1nesv]+k|1En+E
    |f\((?:[1sv](?!k)|\(*f\(|\(*E|e(?:[,&]|\)(?:$|[&oOcm,)]))|n,|n\)(?![{n;]))|f\(\)(?:&|UE|o[kf])
    |[1qve]\)*B[1nsf(vet]|n\)*B(?:1(?![ns])|\(1)|[1qve]\)*L1|1k[ne][cm]
    |[1qsnv]\)*F|[1qsven]?\)*W[st1(]|.{0,6};.{0,5}W|qT(?:v|n(?:\.|\())|qE[1sv][;DT]|Tnv|T\(v|[1q]\)+E|[1q]\(+E
    |[1qsven]\)*,(?:\(+E|f\([^)])
    """,
    re.VERBOSE,
)
#: Operators that are HTML more often than SQL.
_ANGLES: Final = frozenset((b"<", b">"))
_COMPARES: Final = frozenset(
    b"= < > <= >= <> != == <=> like rlike regexp ilike glob match between is in similar isnull notnull !< !> ~".split()
)


def detect_sqli(value: bytes) -> bytes | None:
    """The shape of the SQL that *value* injects, such as ``s&1o1``, or None. Linear in the length of *value*."""
    if _PLAIN.fullmatch(value):
        return None
    for start, quote in _starts(value):
        shape = fold(value, start, quote)
        if _SHAPES.match(shape):
            return shape.encode()
    return None


_TAILS: Final = (
    (b"'", re.compile(rb"(?:[^'\\]++|\\.|'')*+'", re.DOTALL)),
    (b'"', re.compile(rb'(?:[^"\\]++|\\.|"")*+"', re.DOTALL)),
)


def _starts(value: bytes) -> Iterator[tuple[int, bytes]]:
    """Where the statement goes on after *value* has closed the string that it stands in, and which that is."""
    yield 0, b""
    for quote, tail in _TAILS:
        if quote in value and (match := tail.match(value)):
            yield match.end(), quote


def fold(value: bytes, start: int, quote: bytes) -> str:
    """The first tokens from *start* on as a shape; a string that ends at *start* comes first."""
    letters: list[str] = ["q"] if start else []
    previous = operator = b""
    ending = ""
    opened = 0
    for letter, text in islice(tokens(value, start, quote), _TOKENS_MAX):
        if letter in "cdmh":
            ending = letter
            continue
        ending = ""
        last = letters[-1] if letters else "("
        pair = PAIRS.get((previous, text)) if letters and previous and text else None
        previous = text
        if pair:
            letters[-1] = pair
            continue
        if letter == "(" and last == "(":
            opened += 1
            continue
        if letter == ")":
            if opened and len(letters) == 1:
                opened -= 1
                continue
            if letters[-2:-1] == ["("] and last in "1sve" and (letters[-3:-2] or ["("])[0] in "(&oO,":
                del letters[-2:]
                letter = "e"
                last = letters[-1] if letters else "("
        if text in _UNARY and last in "(oO&,;kE":
            continue
        if letter == last and letter in "s;":
            continue
        if letter in "1nve" and last in "oO," and len(letters) > 1 and letters[-2] in "1nve":
            left = letters[-2]
            if last != ",":
                if operator in _COMPARES and (left != "n" or (letter != "n" and len(letters) > 2)):
                    letters[-2] = "e"
                elif left == "1" and letter == "n":
                    letters[-2] = "n"
            del letters[-1]
            continue
        if letter == "o":
            marked_up = operator in _ANGLES or text in _ANGLES
            operator = text
            if last in "1nve" and len(letters) > 2 and letters[-2] in "oO" and not marked_up:
                del letters[-1]
                letters[-1] = "O"
                continue
        letters.append(letter)
        if letter == "n" and len(letters) == 2 and letters[0] in "nq" and text not in PAIR_BEGINNINGS:
            return ""  # two words, or a word after a quote: prose
        if len(letters) == _SHAPE_MAX:
            break
    return "".join(letters) + ending

"""``@sqlInjection``, an operator of our own: what ``@detectSQLi`` finds, read again with an eye on where it stands.

``@detectSQLi`` answers as the rule sets of others expect. This operator looks into more places, since a value may be
the last part of a path, the name of a member or the query of an address; and it lets pass what SQL shares with honest
texts: prose without any sign, arithmetic, words in quotation marks.
"""

from __future__ import annotations

import re
from typing import Final

from bsguard.seclang.patterns import compile_pattern
from bsguard.seclang.places import places
from bsguard.seclang.sqli import injections
from bsguard.seclang.sqli_words import FUNCTIONS, NILADIC

#: What a value holds that injects SQL, one at least: a string that is left with something after it, a condition, a word
#: that begins a statement or a clause, a comment, a call. The engine looks for these in the whole request at once.
_STRING_LEFT: Final = (
    r"[\"'`][\s)(]*(?:[=<>!*^&|;%/,+~#-]|(?:x?or|and|union|intersect|except|minus|not|r?like|regexp|ilike|glob|is|in|div|mod"
    r"|between|sounds|similar|collate|having|order|group|sort|limit|offset|fetch|procedure|into|where|as|on|waitfor"
    r"|isnull|notnull|escape|match)\b)"
)
_OTHER_SIGNS: Final = (
    r"(?:\b(?:x?or|and)|&&|\|\|)[\s(!~+-]*(?:[\d'\"@.#]|(?:true|false|null|not|exists|select|case|binary)\b|[\w.$]+[\s)]*(?:[=<>(!]"
    r"|(?:not|is|in|r?like|regexp|between)\b))",
    r"\b(?:union|select|insert|update|delete|replace|merge|exec|execute|case|create|drop|alter|truncate|rename|grant"
    r"|revoke|declare|shutdown|waitfor|having|outfile|dumpfile|intersect|procedure)\b",
    r"\b(?:order|group|sort)\s+by\b",
    r"[\d)][^\S\n]*(?:limit|offset|fetch|except|minus)\s+[\d(s]",
    r"--|/\*[\s\w!*/+'\"(-]|[\d'\")]\s*/\*",
    r";[\s(;]*(?:load|copy|handler|kill|attach|detach|vacuum|pragma|call|prepare|deallocate|backup|restore|reconfigure"
    r"|dump|begin|commit|rollback|use|describe|explain|set)\b",
    r"\b(?:" + "|".join(sorted(name.decode().replace(".", r"\.") for name in FUNCTIONS | NILADIC)) + r")\s*\(",
)
SIGNS: Final = (_STRING_LEFT, "|".join(_OTHER_SIGNS))
_SIGN: Final = compile_pattern("(?i)" + "|".join(SIGNS))
#: Letters and what stands between words of prose. SQL has to name a number, a string or a symbol somewhere.
_PROSE: Final = re.compile(rb"[A-Za-z\s.,!?\x80-\xff-]*+")
#: Numbers, variables of one letter, functions of school, signs. It is honest unless it begins as an injection does:
#: with one value, and a condition after it.
_ARITHMETIC: Final = re.compile(
    rb"(?:[\s\d.,;:+*/^=<>!|&()\[\]{}-]++|(?<![a-z])(?:[a-z]|and|or|not|if|then|else|sin|cos|tan|log|ln|exp|sqrt|floor"
    rb"|ceil|round|max|min|sum|count|abs|mod|pi|avg|pow)(?![a-z]))*+",
    re.IGNORECASE,
)
_VALUE_FIRST: Final = re.compile(
    rb"[\s(]*+[\d.+-]++[\s)]*+(?:x?or|and|\|\||&&)(?![a-z])(?!\s*+[\d.]++\s*+\Z)", re.IGNORECASE
)
#: A word with a remark in brackets behind it, where SQL would have a call with arguments.
_REMARK: Final = re.compile(rb"\s*+[A-Za-z_]++\s++\((?!\s*+(?:select\b|['\"@(]|[\d.]++\s*+[,)]))", re.IGNORECASE)
_COMMENTED: Final = re.compile(rb"(?:--|#|/\*)[\s+;-]*+\Z|/\*|;\s*+--")
#: A comparison of two constants, or of anything with a string, which no reader of prose would write in such a place.
_COMPARES: Final = re.compile(
    rb"(?:\b\d++|[\"')])\s*+(?:[!<>]?=|<=>|<>|[<>^]|\b(?:not\s++)?(?:r?like|regexp|in|is|between)\b)\s*+(?:[(\"'@-]|\d"
    rb"|null\b|not\b|binary\b)|\w\s*+(?:[!<>]?=|\b(?:r?like|regexp)\b)\s*+[\"']|@\d",
    re.IGNORECASE,
)
_CONSTANTS: Final = re.compile(rb"(?:\b\d++|['\"])\s*+(?:[!<>]?=|<>|[<>]|r?like\b)\s*+(?:\d|['\"@(])", re.IGNORECASE)
#: Words that begin statements and clauses, with what must follow, and calls of functions.
_SPEAKS_SQL: Final = re.compile(
    rb"\b(?:union\b.{0,40}\bselect\b|select\b.{0,200}\b(?:from|null|version)\b|select\s*+[(@'\d*]|select\b.{0,20}\("
    rb"|insert\s++into|delete\s++from|update\b.{1,60}\bset\b|drop\s++(?:table|database|view|user)|case\s++when"
    rb"|(?:order|group)\s++by|having\b|waitfor\b|exec(?:ute)?\b|procedure\s++analyse|into\s++(?:out|dump)file)|\w\s?\(",
    re.IGNORECASE | re.DOTALL,
)


def find_sql_injection(value: bytes) -> bytes | None:
    """The shape of the SQL that *value* injects, or None. Linear in the length of *value*."""
    if _SIGN.search(value) is None:
        return None
    for place in places(value):
        for start, quote, shape in injections(place):
            if not _is_honest(place, place[start:], quote, shape):
                return shape.encode("latin-1")
    return None


def _is_honest(value: bytes, rest: bytes, quote: bytes, shape: str) -> bool:
    """Whether *value* is a text that only has the shape of SQL; *rest* is what follows the string that it has left."""
    if quote == b'"' or (not quote and shape.startswith("s")):
        return not (_COMPARES.search(rest) or _COMMENTED.search(rest) or _SPEAKS_SQL.search(rest))
    if quote:
        return False
    if _PROSE.fullmatch(value) or shape == "nm" or (shape.startswith("f(") and _REMARK.match(value)):
        return True
    if _ARITHMETIC.fullmatch(value):
        return not (_VALUE_FIRST.match(value) or _COMMENTED.search(value))
    if shape == "n&e":
        return not _CONSTANTS.search(value)
    return False

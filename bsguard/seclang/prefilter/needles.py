"""What a link needs to see in a value before it can match: patterns, after which transformations.

A link has a needle only if no match is possible without it. Whatever is uncertain (negations, empty matches, macros)
has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bsguard.seclang.macros import constant, read_template
from bsguard.seclang.operators import allowed_bytes, phrases_of
from bsguard.seclang.patterns import compile_pattern, translate
from bsguard.seclang.script_injection import SIGNS as SCRIPT_SIGNS
from bsguard.seclang.sql_injection import SIGNS as SQL_SIGNS
from bsguard.seclang.sqli import SIGNAL

if TYPE_CHECKING:
    from bsguard.seclang.model import Link, Operator

#: Variables that are scanned, by the part of the exchange that they come from.
PARTS: Final = {
    "cookies": "REQUEST_COOKIES REQUEST_COOKIES_NAMES",
    "names": "ARGS_NAMES ARGS_GET_NAMES ARGS_POST_NAMES",
    "values": "ARGS ARGS_GET ARGS_POST XML REQUEST_BODY_PLAIN",
    "files": "FILES FILES_NAMES MULTIPART_FILENAME MULTIPART_NAME MULTIPART_PART_HEADERS",
    "line": "REQUEST_URI REQUEST_URI_RAW REQUEST_FILENAME REQUEST_BASENAME REQUEST_LINE QUERY_STRING",
    "body": "REQUEST_BODY",
    "response": "RESPONSE_BODY",
}
#: The same, by variable.
PART_OF: Final = {name: part for part, names in PARTS.items() for name in names.split()}
_LITERAL: Final = frozenset({"beginswith", "contains", "endswith", "streq", "strmatch"})
_PHRASES: Final = frozenset({"pm", "pmf", "pmfromfile"})
#: Operators that say themselves what they look for.
_SIGNS: Final = {"scriptinjection": SCRIPT_SIGNS, "sqlinjection": SQL_SIGNS}
#: Results of these say nothing about the bytes that went in, so that nothing can be looked for in joined values.
_DIGESTS: Final = frozenset({"length", "sha1", "md5", "hexencode"})


#: A regular expression, as :func:`~bsguard.seclang.patterns.translate` writes it, or a literal.
Sought = str | bytes
#: Whether values joined by newlines may hold one that the operator matches.
Test = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Needle:
    """What must occur in a value: any of *sought*, case aside, or what *test* finds there."""

    sought: tuple[Sought, ...]
    test: Test | None
    #: Transformations in order; with multiMatch, one entry for every stage.
    chains: tuple[tuple[str, ...], ...]


def needle_of(link: Link) -> Needle | None:
    """The needle of *link*, None if it may match whatever a value holds."""
    if link.operator is None or link.operator.negated or _DIGESTS & set(link.transformations):
        return None
    test = _test(link.operator)
    sought = _sought(link.operator) if test is None else ()
    if sought is None or any(isinstance(one, str) and _is_bound_to_ends(one) for one in sought):
        return None
    stages = range(len(link.transformations) + 1) if link.multi_match else [len(link.transformations)]
    return Needle(sought, test, tuple(link.transformations[:stage] for stage in stages))


def _sought(operator: Operator) -> tuple[Sought, ...] | None:
    if operator.name == "rx":
        if compile_pattern(operator.argument).search(b"") is not None:
            return None
        return (translate(operator.argument),)
    if operator.name in _SIGNS:
        return tuple(translate(sign) for sign in _SIGNS[operator.name])
    if operator.name in _PHRASES:
        return tuple(phrases_of(operator.name, _encoded(operator.argument), operator.folder))
    if operator.name == "detectsqli":
        return (translate(SIGNAL),)
    if operator.name == "detectxss":
        return (b"<", b"=")  # neither a tag nor an attribute without them
    if operator.name in _LITERAL:
        literal = constant(read_template(operator.argument))
        return (literal,) if literal else None
    return None


def _test(operator: Operator) -> Test | None:
    if operator.name == "validatebyterange":
        allowed = allowed_bytes(_encoded(operator.argument)) + b"\n"
        if allowed.count(b"\n") == 1:
            return None  # a newline would have to be told from those that join
        return lambda text: bool(text.translate(None, allowed))
    if operator.name == "validateutf8encoding":
        return lambda text: not text.isascii()
    if operator.name == "validateurlencoding":
        return lambda text: b"%" in text
    return None


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _is_bound_to_ends(text: str) -> bool:
    r"""Whether the pattern looks for the very end or beginning of a value (``\A``, ``\z``, look-around).

    Values are scanned joined by newlines; ``^`` and ``$`` match at each of them, these would not.
    """
    return re.search(r"(?<!\\)(?:\\\\)*(?:\\[AzZB]|\(\?[=!<])", text) is not None

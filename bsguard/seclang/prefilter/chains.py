"""Transformations over many values at once: which of them change nothing, and the values that come out joined.

Most values of most requests hold nothing that a transformation changes. A test of the joined values for the few bytes
that matter saves nearly all the work. Case is not compared, because scanning is caseless.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bsguard.seclang.transforms import TRANSFORMS
from bsguard.seclang.transforms_unwrap import may_be_wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

#: These change the case of letters, which scanning does not see; transformations after them may.
CHANGES_CASE: Final = frozenset({"cmdline", "lowercase", "uppercase"})
#: What must occur in a value for the transformation to change more than the case of letters. ``\n`` is left out where
#: it matters, since it joins values; :class:`Values` looks for it separately.
TRIGGERS: Final[Mapping[str, Callable[[bytes], object]]] = {
    name: re.compile(pattern, re.MULTILINE).search
    for name, pattern in {
        "cmdline": rb"[\"'\\^,;\t\r\f\v]|  | [/(]",
        "compresswhitespace": rb"[\t\r\f\v\x80-\xff]|  ",
        "cssdecode": rb"\\",
        "escapeseqdecode": rb"\\",
        "htmlentitydecode": rb"&",
        "jsdecode": rb"\\",
        "normalisepath": rb"//|\./|/\.|\.\.|^\.$",
        "normalisepathwin": rb"//|\./|/\.|\.\.|^\.$|\\",
        "normalizepath": rb"//|\./|/\.|\.\.|^\.$",
        "normalizepathwin": rb"//|\./|/\.|\.\.|^\.$|\\",
        "removenulls": rb"\0",
        "removewhitespace": rb"[ \t\r\f\v\x80-\xff]",
        "replacecomments": rb"/\*",
        "urldecode": rb"[%+]",
        "urldecodeuni": rb"[%+]",
        "utf8tounicode": rb"[\x80-\xff\0]",
    }.items()
} | {"unwrap": lambda text: may_be_wrapped(text) or None}
#: Transformations that a newline within a value concerns.
_SEES_NEWLINES: Final = frozenset({"cmdline", "compresswhitespace", "removewhitespace", "cssdecode", "jsdecode"})

#: Transformations of which ``f(a + SEPARATOR + b) == f(a) + SEPARATOR + f(b)``: many values can go through at once.
SEPARABLE: Final = frozenset(
    {
        "cmdline",
        "compresswhitespace",
        "htmlentitydecode",
        "lowercase",
        "removenulls",
        "removewhitespace",
        "uppercase",
        "urldecode",
        "urldecodeuni",
    }
)
SEPARATOR: Final = b"\x01"


class Values:
    """The values of one part of a request, each once, and what transformations make of them."""

    __slots__ = ("_next", "_unchanging", "has_newlines", "joined", "values")

    def __init__(self, values: Sequence[bytes]) -> None:
        self.values = values
        self.joined = b"\n".join(values)
        self.has_newlines = self.joined.count(b"\n") >= len(values)
        self._next: dict[str, Values] = {}
        self._unchanging: dict[str, bool] = {}

    def unchanged_by(self, name: str) -> bool:
        """Whether the transformation certainly leaves every value as it is, but for the case of letters."""
        known = self._unchanging.get(name)
        if known is None:
            known = self._unchanging[name] = self._test(name)
        return known

    def _test(self, name: str) -> bool:
        if name in ("lowercase", "uppercase"):
            return True
        trigger = TRIGGERS.get(name)
        if trigger is None or (self.has_newlines and name in _SEES_NEWLINES):
            return False
        return trigger(self.joined) is None

    def through(self, chain: tuple[str, ...]) -> Values:
        """The values after a chain, but for the case of letters; beginnings that chains share are done once."""
        reached = self
        for index, name in enumerate(chain):
            if reached.unchanged_by(name) and (
                name not in CHANGES_CASE or all(reached.unchanged_by(later) for later in chain[index + 1 :])
            ):
                continue
            following = reached._next.get(name)
            if following is None:
                following = reached._next[name] = Values(list(dict.fromkeys(_transformed(name, reached.values))))
            reached = following
        return reached


def _transformed(name: str, values: Sequence[bytes]) -> Iterable[bytes]:
    transform = TRANSFORMS[name]
    if name in SEPARABLE:
        joined = SEPARATOR.join(values)
        if joined.count(SEPARATOR) == len(values) - 1:
            separate = transform(joined).split(SEPARATOR)
            if len(separate) == len(values):  # a decoder may have made separators out of something else
                return separate
    return map(transform, values)

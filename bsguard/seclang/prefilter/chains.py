"""Transformations over many values at once: which of them change nothing, and the values that come out joined.

Most values of most requests hold nothing that a transformation changes. A test of the joined values for the few bytes
that matter saves nearly all the work. Case is not compared, because scanning is caseless.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from bsguard.seclang.transforms import TRANSFORMS
from bsguard.seclang.transforms_unwrap import may_be_wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_NOT_ASCII: Final = bytes(range(0x80, 0x100))
#: What a path holds that is not normal; one that is a dot and nothing else is looked for separately.
_DOTS: Final = (b"//", b"./", b"/.", b"..")
#: These change the case of letters, which scanning does not see; transformations after them may.
CHANGES_CASE: Final = frozenset({"cmdline", "lowercase", "uppercase"})
#: What must occur in a value for the transformation to change more than the case of letters: one of the bytes, or one
#: of the strings. Newlines are left out, since they join values; :class:`Values` looks for them separately.
TRIGGERS: Final[Mapping[str, tuple[bytes, tuple[bytes, ...]]]] = {
    "cmdline": (b"\"'\\^,;\t\r\f\v", (b"  ", b" /", b" (")),
    "compresswhitespace": (b"\t\r\f\v" + _NOT_ASCII, (b"  ",)),
    "cssdecode": (b"\\", ()),
    "escapeseqdecode": (b"\\", ()),
    "htmlentitydecode": (b"&", ()),
    "jsdecode": (b"\\", ()),
    "lowercase": (b"", ()),
    "normalisepath": (b"", _DOTS),
    "normalisepathwin": (b"\\", _DOTS),
    "normalizepath": (b"", _DOTS),
    "normalizepathwin": (b"\\", _DOTS),
    "removecommentschar": (b"#", (b"/*", b"*/", b"--")),
    "removenulls": (b"\0", ()),
    "removewhitespace": (b" \t\r\f\v" + _NOT_ASCII, ()),
    "replacecomments": (b"", (b"/*",)),
    "uppercase": (b"", ()),
    "urldecode": (b"%+", ()),
    "urldecodeuni": (b"%+", ()),
    "utf8tounicode": (b"\0" + _NOT_ASCII, ()),
}
#: Of those, the ones whose bytes stand in many values that do not change: a closer look.
_CLOSER: Final[Mapping[str, Callable[[bytes], object]]] = {
    "htmlentitydecode": re.compile(rb"&(?:#|[qQ][uU]|[aA][mM]|[lLgG][tT]|[nN][bB])").search,
}
#: Transformations of which that is no question of bytes: whether they may change one of the lines of a text.
TESTED: Final[Mapping[str, Callable[[bytes], bool]]] = {"unwrap": may_be_wrapped}
#: Transformations of which it is known when they change something.
FORESEEN: Final = frozenset(TRIGGERS.keys() | TESTED.keys())
#: The same by byte, and by the byte that the string begins with.
_BY_BYTE: Final = {
    byte: frozenset(name for name, (marks, _) in TRIGGERS.items() if byte in marks)
    for byte in {byte for marks, _ in TRIGGERS.values() for byte in marks}
}
_BY_STRING: Final = [
    (string, string[0], frozenset(name for name, (_, strings) in TRIGGERS.items() if string in strings))
    for string in dict.fromkeys(string for _, strings in TRIGGERS.values() for string in strings)
]
#: How many sets of bytes that matter are remembered, with what they trigger.
_MARKS_REMEMBERED: Final = 512
#: All other bytes say nothing.
_OTHERS: Final = bytes(sorted(set(range(256)) - _BY_BYTE.keys() - {first for _, first, _ in _BY_STRING}))
_OTHERS_ON_LINES: Final = _OTHERS.replace(b"\n", b"")
_NORMALISE: Final = frozenset(name for name in TRIGGERS if name.startswith("normali"))
_DOT: Final = ord(".")
_NONE: Final = frozenset[str]()
#: Transformations whose results go on apart from the values that they leave as they are.
_BRANCHES: Final = frozenset({"base64decode", "base64decodeext"})
#: On values without backslashes these do the same as others.
_SAME_WITHOUT_BACKSLASHES: Final = {"normalisepathwin": "normalizepath", "normalizepathwin": "normalizepath"}
#: In more values than this the place of something is not looked for: all of them are evaluated then.
_PLACES_MAX: Final = 64
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


def inert_bytes(chain: Iterable[str]) -> bytes | None:
    """The bytes of which values are made that no transformation changes; None if that is not a question of bytes."""
    active: set[int] = set()
    for name in chain:
        if name not in TRIGGERS or name in CHANGES_CASE:
            return None
        marks, strings = TRIGGERS[name]
        active.update(marks, (string[0] for string in strings))
        if name in _SEES_NEWLINES:
            active.update(b"\n")
    return bytes(sorted(set(range(256)) - active))


class Values:
    """The values of one part of a request, each once, and what transformations make of them."""

    __slots__ = ("_changing", "_next", "_starts", "has_newlines", "joined", "values")

    def __init__(self, values: Sequence[bytes]) -> None:
        self.values = values
        self.joined = b"\n".join(values)
        self.has_newlines = self.joined.count(b"\n") >= len(values)
        self._next: dict[str, Values] = {}
        self._changing: dict[str, bool] = {}
        self._starts: list[int] | None = None

    def parted(self, unchanging: Iterable[str] = ()) -> tuple[Values, Values]:
        """The values that hold a byte that matters to a transformation in ``TRIGGERS``, and those that do not.

        *unchanging* are transformations of which it is known that they change nothing more than case here.
        """
        if self.has_newlines:
            return self, Values(())
        marks = self.joined.translate(None, _OTHERS_ON_LINES).split(b"\n")
        plain = [value for value, held in zip(self.values, marks, strict=True) if not held]
        if not plain:
            return self, Values(())
        marked = Values([value for value, held in zip(self.values, marks, strict=True) if held])
        left_alone = Values(plain)
        marked._changing = dict.fromkeys(unchanging, False)
        left_alone._changing = dict.fromkeys(TRIGGERS, False)
        return marked, left_alone

    def pieces(self) -> set[bytes]:
        """The values in lower case, as which scanning sees them."""
        if self.has_newlines:
            return {value.lower() for value in self.values}
        return set(self.joined.lower().split(b"\n"))

    def where(self, locate: Callable[[bytes, int], int]) -> frozenset[bytes] | None:
        """The values in which something that may occur in them begins, None if these are many."""
        if self._starts is None:
            self._starts = list(accumulate(map(len, self.values), lambda start, size: start + size + 1, initial=0))
        text, starts, position = self.joined, self._starts, 0
        found: list[bytes] = []
        while position < len(text):
            at = locate(text, position)
            if at < 0:
                return frozenset(found)
            if len(found) == _PLACES_MAX:
                return None
            number = bisect_right(starts, at) - 1
            found.append(self.values[number])
            position = starts[number + 1]
        return frozenset(found)

    def changing(self, names: frozenset[str] = FORESEEN) -> frozenset[str]:
        """Which of *names*, all of them in ``FORESEEN``, may change more than the case of letters."""
        found = _NONE if names.isdisjoint(TRIGGERS) else self._triggered() & names
        tested = [name for name in TESTED if name in names and self.is_changed_by(name)]
        return found.union(tested) if tested else found

    def _triggered(self) -> frozenset[str]:
        """Which of those in ``TRIGGERS`` may, all of them looked for together."""
        text = self.joined
        marks = frozenset(text.translate(None, _OTHERS))
        found, strings = _marked(marks)
        if self.has_newlines:
            found |= _SEES_NEWLINES
        for string, names in strings:
            if string in text:
                found |= names
        for name, look in _CLOSER.items():
            if name in found and not look(text):
                found -= {name}
        if _DOT in marks and b"." in self.values:
            found |= _NORMALISE
        return found

    def is_changed_by(self, name: str) -> bool:
        """The same for one transformation: whether it may change more of a value than the case of letters."""
        known = self._changing.get(name)
        if known is None:
            known = self._changing[name] = self._test(name)
        return known

    def _test(self, name: str) -> bool:
        if name in TESTED:
            return TESTED[name](self.joined)
        trigger = TRIGGERS.get(name)
        if trigger is None or (self.has_newlines and name in _SEES_NEWLINES):
            return True
        text = self.joined
        if len(text.translate(None, trigger[0])) < len(text):
            return name not in _CLOSER or bool(_CLOSER[name](text))
        return any(string in text for string in trigger[1]) or (name in _NORMALISE and b"." in self.values)

    def along(self, chain: tuple[str, ...]) -> Iterator[tuple[Values, bool]]:
        """What the values become on their way through a chain, but for the case of letters, and whether it ends there.

        Base64 is decoded where a value happens to be some, so what is decoded goes on by itself, and so do all the
        values as they were. What values become for certain is among what they are said to become.
        """
        todo: list[tuple[Values, int]] = [(self, 0)]
        while todo:
            reached, index = todo.pop()
            while index < len(chain):
                name = chain[index]
                index += 1
                if not reached.is_changed_by(name) and (
                    name not in CHANGES_CASE or not any(map(reached.is_changed_by, chain[index:]))
                ):
                    continue
                if name in _BRANCHES:
                    todo.append((reached, index))
                reached = reached.after(name)
                if not reached.values:
                    break
                yield reached, False
            else:
                yield reached, True

    def after(self, name: str) -> Values:
        """The values after one transformation; of those in ``_BRANCHES``, only what is new."""
        same = _SAME_WITHOUT_BACKSLASHES.get(name)
        if same is not None and b"\\" not in self.joined:
            name = same
        following = self._next.get(name)
        if following is None:
            changed = _transformed(name, self.values)
            if name in _BRANCHES:
                changed = [new for new, old in zip(changed, self.values, strict=True) if new is not old]
            distinct = list(dict.fromkeys(changed))
            following = self._next[name] = self if distinct == self.values else Values(distinct)
        return following


@lru_cache(maxsize=_MARKS_REMEMBERED)
def _marked(marks: frozenset[int]) -> tuple[frozenset[str], tuple[tuple[bytes, frozenset[str]], ...]]:
    """What the bytes of a text trigger, and the strings that may be in it and trigger more."""
    found = frozenset[str]().union(*(_BY_BYTE[byte] for byte in marks & _BY_BYTE.keys()))
    return found, tuple((string, names) for string, first, names in _BY_STRING if first in marks and not names <= found)


def _transformed(name: str, values: Sequence[bytes]) -> Iterable[bytes]:
    transform = TRANSFORMS[name]
    if name in SEPARABLE:
        joined = SEPARATOR.join(values)
        if joined.count(SEPARATOR) == len(values) - 1:
            separate = transform(joined).split(SEPARATOR)
            if len(separate) == len(values):  # a decoder may have made separators out of something else
                return separate
    return map(transform, values)

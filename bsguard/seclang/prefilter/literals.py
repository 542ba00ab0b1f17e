"""What a text must hold before a regular expression can match it: sets of literals, one of each set at least.

Reads the dialect that :func:`~bsguard.seclang.patterns.translate` writes, letters folded to lower case. What it does
not understand promises nothing, so that a pattern may be looked for too often and never too seldom.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

#: Most strings that one exact set may have, and most that a union over branches may have.
_EXACT_MAX: Final = 64
_UNION_MAX: Final = 2000
#: A class of more bytes than this says little.
_CLASS_MAX: Final = 40
_EXACT_CLASS_MAX: Final = 8
#: What weighs less than this occurs in nearly every text, such as two letters.
_WEIGHT_MIN: Final = 5
#: How telling a character is: of letters and digits every text is full, and some punctuation is in most.
_OF_LETTER, _OF_COMMON, _OF_RARE = 2, 5, 9
_COMMON: Final = frozenset(b"!\"#%&'()+,-./:;=?@_\n") | frozenset(range(0x80, 0x100))
_BYTES: Final = 256
_EMPTY: Final = frozenset({b""})

_QUANTIFIER: Final = re.compile(r"(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})[?+]?")
_GROUP: Final = re.compile(r"\((?:\?(?:P<\w+>|[imsx-]*:|>))?")
_FLAGS: Final = re.compile(r"\(\?[imsx-]+\)")
_CONTROLS: Final = {"n": 10, "t": 9, "r": 13, "f": 12, "a": 7, "v": 11}
_DIGITS: Final = frozenset(b"0123456789")
_WORD: Final = frozenset(b"0123456789_abcdefghijklmnopqrstuvwxyz")
_ALL: Final = frozenset(range(_BYTES)) - frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_SETS: Final = {"d": _DIGITS, "D": _ALL - _DIGITS, "w": _WORD, "W": _ALL - _WORD}


@dataclass(frozen=True, slots=True)
class Promise:
    """What is known of every text that a piece matches: all that it can be, or what it holds."""

    #: Every text that the piece can match, None if there are too many.
    exact: frozenset[bytes] | None = None
    #: Of each of these sets, one string occurs.
    holds: tuple[frozenset[bytes], ...] = ()

    @property
    def sets(self) -> tuple[frozenset[bytes], ...]:
        """Everything that is held, the exact texts among it."""
        if self.exact is not None and b"" not in self.exact:
            return (*self.holds, self.exact)
        return self.holds


_NOTHING: Final = Promise()
_ZERO_WIDTH: Final = Promise(_EMPTY)


class _Unreadable(Exception):
    """The pattern holds what this reader does not know."""


def needed(text: str) -> tuple[frozenset[bytes], ...]:
    """Sets of literals of which a match of *text* holds one each, the most telling first; empty if nothing is known."""
    reader = _Reader(text)
    try:
        promise = reader.alternatives()
        if reader.at < len(text):
            raise _Unreadable
    except _Unreadable:
        return ()
    telling = {found for found in promise.sets if _weight(found) >= _WEIGHT_MIN}
    return tuple(sorted(telling, key=lambda found: (-_weight(found), len(found), sorted(found))))


def _weight(found: frozenset[bytes]) -> int:
    """How telling a set is: that of its least telling string."""
    return min(sum(map(_weight_of.__getitem__, one)) for one in found)


def _character_weight(byte: int) -> int:
    if byte == 0x20 or (byte < 0x80 and chr(byte).isalnum()):
        return _OF_LETTER
    return _OF_COMMON if byte in _COMMON else _OF_RARE


_weight_of: Final = tuple(map(_character_weight, range(_BYTES)))


class _Reader:
    """Goes through a pattern from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def alternatives(self) -> Promise:
        """Branches up to the end of the group."""
        branches = [self.sequence()]
        while self.text.startswith("|", self.at):
            self.at += 1
            branches.append(self.sequence())
        return _either(branches)

    def sequence(self) -> Promise:
        """Pieces up to ``|`` or ``)``."""
        run, is_exact = _EMPTY, True
        holds: list[frozenset[bytes]] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            piece = self.repeated()
            if piece.exact is not None and len(run) * len(piece.exact) <= _EXACT_MAX:
                run = frozenset(first + second for first in run for second in piece.exact)
                continue
            is_exact = False
            if b"" not in run:
                holds.append(run)
            holds += piece.holds
            run = _EMPTY if piece.exact is None else piece.exact
        if is_exact:
            return Promise(run)
        if b"" not in run:
            holds.append(run)
        return Promise(None, tuple(holds))

    def repeated(self) -> Promise:
        """One piece with its quantifiers."""
        piece = self.piece()
        while match := _QUANTIFIER.match(self.text, self.at):
            self.at = match.end()
            sign, low, comma, high = match.groups()
            least = int(low) if low else int(sign == "+")
            most = 1 if sign == "?" else None if sign or (comma and not high) else int(high or low)
            piece = _repeat(piece, least, most)
        return piece

    def piece(self) -> Promise:
        """One character, class or group."""
        text, character = self.text, self.text[self.at]
        if character == "(":
            return self.group()
        if character == "[":
            return _of_set(self.bracket())
        if character == "\\":
            return self.escape()
        self.at += 1
        if character in "^$":
            return _ZERO_WIDTH
        if character == ".":
            return _NOTHING
        if character in "*+?" or (character == "{" and _QUANTIFIER.match(text, self.at - 1)):
            raise _Unreadable
        return _of_set(_folded({ord(character)}))

    def group(self) -> Promise:
        """A group; flags stand for nothing, since case is folded and dots promise nothing."""
        if flags := _FLAGS.match(self.text, self.at):
            self.at = flags.end()
            if "x" in flags[0]:
                raise _Unreadable
            return _ZERO_WIDTH
        match = _GROUP.match(self.text, self.at)
        if match is None or (match[0] == "(" and self.text.startswith("(?", self.at)):
            raise _Unreadable  # look-around, a condition, a comment
        self.at = match.end()
        inner = self.alternatives()
        if not self.text.startswith(")", self.at):
            raise _Unreadable
        self.at += 1
        return inner

    def escape(self) -> Promise:
        """What a backslash stands for, outside a class."""
        if self.text[self.at + 1 : self.at + 2] in ("b", "B", "A", "z"):
            self.at += 2
            return _ZERO_WIDTH
        return _of_set(self.escaped())

    def escaped(self) -> frozenset[int]:
        """The bytes that an escape stands for."""
        letter = self.text[self.at + 1 : self.at + 2]
        if letter == "x":
            value = int(self.text[self.at + 2 : self.at + 4], 16)
            self.at += 4
            return _folded({value})
        self.at += 2
        if letter in _SETS:
            return _SETS[letter]
        if letter in _CONTROLS:
            return frozenset({_CONTROLS[letter]})
        if not letter or letter.isalnum():
            raise _Unreadable  # a back-reference, an octal number
        return _folded({ord(letter)})

    def bracket(self) -> frozenset[int]:
        """The bytes of a class."""
        self.at += 1
        negated = self.text.startswith("^", self.at)
        self.at += negated
        found: set[int] = set()
        while not self.text.startswith("]", self.at):
            low = self.element()
            if self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at):
                self.at += 1
                first, last = self.exact_element, self.element(raw=True)
                found |= _folded(set(range(first, min(last) + 1)))
            else:
                found |= low
        self.at += 1
        return _ALL - found if negated else frozenset(found)

    def element(self, *, raw: bool = False) -> frozenset[int]:
        """One element of a class; where it is one byte, that byte stays in ``exact_element``, unfolded."""
        if self.at >= len(self.text):
            raise _Unreadable
        start = self.at
        if self.text[start] == "\\":
            found = self.escaped()
            self.exact_element = self._unfolded(start, found)
        else:
            self.at += 1
            self.exact_element = ord(self.text[start])
            found = _folded({self.exact_element})
        return frozenset({self.exact_element}) if raw else found

    def _unfolded(self, start: int, found: frozenset[int]) -> int:
        letter = self.text[start + 1]
        if letter == "x":
            return int(self.text[start + 2 : start + 4], 16)
        return min(found) if letter in _CONTROLS else ord(letter)

    exact_element = 0


def _folded(found: set[int]) -> frozenset[int]:
    return frozenset(byte + 32 if 65 <= byte <= 90 else byte for byte in found)


def _of_set(found: frozenset[int]) -> Promise:
    singles = frozenset(bytes([byte]) for byte in found)
    if 0 < len(singles) <= _EXACT_CLASS_MAX:
        return Promise(singles)
    return Promise(None, (singles,)) if 0 < len(singles) <= _CLASS_MAX else _NOTHING


def _either(branches: list[Promise]) -> Promise:
    if len(branches) == 1:
        return branches[0]
    exact = [branch.exact for branch in branches if branch.exact is not None]
    if len(exact) == len(branches) and sum(map(len, exact)) <= _EXACT_MAX:
        return Promise(frozenset().union(*exact))
    sets = [_tellingest(branch.sets) for branch in branches]
    if not all(sets):
        return _NOTHING
    # What is held whichever branch matches: the best of each, and the next best where there is one.
    unions = [frozenset[bytes]().union(*chosen) for chosen in ([one[0] for one in sets], [one[-1] for one in sets])]
    return Promise(None, tuple(dict.fromkeys(union for union in unions if len(union) <= _UNION_MAX)))


def _tellingest(sets: tuple[frozenset[bytes], ...]) -> list[frozenset[bytes]]:
    """The two most telling sets."""
    return sorted(sets, key=lambda found: (-_weight(found), len(found)))[:2]


def _repeat(piece: Promise, least: int, most: int | None) -> Promise:
    if least == 0:
        return Promise(piece.exact | _EMPTY) if most == 1 and piece.exact is not None else _NOTHING
    if least == most and piece.exact is not None and len(piece.exact) ** min(least, 8) <= _EXACT_MAX and least <= 8:
        run = _EMPTY
        for _ in range(least):
            run = frozenset(first + second for first in run for second in piece.exact)
        return Promise(run)
    return Promise(None, piece.sets)

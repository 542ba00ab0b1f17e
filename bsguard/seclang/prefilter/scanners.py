"""Looks for many patterns in one text, in tiers: literals and google-re2, google-re2 alone, or not at all.

A scanner says which patterns may occur in a text. It may name one too many, never one too few: rules that it names
are evaluated exactly afterwards, by the same code in every tier.

The first tier walks the text once with an Aho-Corasick automaton of the literals that the patterns need, and asks RE2
only about patterns all of whose literals are there. Hyperscan would be faster still, and misses matches: releases
since 5.4.12 do not find ``@.+=\\s*?\\(\\s*?select`` when 54 bytes or more lie between. A missed match is a way around
the rules, so it is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, Protocol

from bsguard.seclang.patterns import finder, phrases_pattern, with_re
from bsguard.seclang.prefilter.literals import needed
from bsguard.seclang.prefilter.recall import Recall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bsguard.seclang.patterns import Pattern
    from bsguard.seclang.prefilter.needles import Sought

try:
    import re2
except ImportError:  # no wheel for this platform
    re2 = None
try:
    import ahocorasick_rs
except ImportError:
    ahocorasick_rs = None  # type: ignore[assignment]

Tier = Literal["literals", "re2", "re"]
#: Best first.
TIERS: Final[tuple[Tier, ...]] = ("literals", "re2", "re")
#: Sets of literals that are kept of a pattern; each further one costs more than it tells.
_PLANES: Final = 3
#: As many patterns as are asked about sooner than the literals of all of them are found.
_FEW_MAX: Final = 8
_FEW_REMEMBERED: Final = 512
#: Sets of literals of such a pattern are looked at if they are small.
_FEW_LITERALS_MAX: Final = 8
#: Whether a pattern occurs in a text.
Search = Callable[[bytes], bool]
#: A pattern (None if it is a literal), its bits, and sets of literals of each of which it needs one.
_Alone = tuple[Search | None, int, tuple[tuple[bytes, ...], ...]]


class Scanner(Protocol):
    """Looks for many patterns in one text."""

    def scan(self, text: bytes, wanted: int, *, newlines: bool = True) -> int:
        """The bits, of those *wanted*, of the rules whose patterns may occur in *text*.

        Without *newlines*, those in *text* only join its values, and no match needs one.
        """


def available() -> Tier:
    """The best tier whose libraries are installed."""
    if re2 is None:
        return "re"
    return "re2" if ahocorasick_rs is None else "literals"


class SingleScanner:
    """Every pattern on its own, and one for the phrases of each rule."""

    def __init__(self, sought: Sequence[tuple[Sought, int]]) -> None:
        self._patterns: list[tuple[Search, int]] = [
            (finder(_caseless(one)), bits) for one, bits in sought if isinstance(one, str)
        ]
        literals: dict[int, list[bytes]] = {}
        for one, bits in sought:
            if isinstance(one, bytes):
                literals.setdefault(bits, []).append(one)
        for bits, phrases in literals.items():
            pattern = phrases_pattern(phrases)
            if pattern is not None:
                self._patterns.append((finder(pattern), bits))

    def scan(self, text: bytes, wanted: int, *, newlines: bool = True) -> int:  # noqa: ARG002
        """The bits, of those *wanted*, of the rules whose patterns occur in *text*."""
        found = 0
        for search, bits in self._patterns:
            if bits & wanted & ~found and search(text):
                found |= bits
        return found & wanted


class LiteralScanner:
    """Literals first: a pattern is asked about only where one of each set of literals that it needs occurs.

    Patterns are bits of an integer, in as many planes as sets of literals are kept of a pattern. A literal sets the
    bits of the patterns for whose first, second and third set it stands, each in its plane. A pattern whose bit is on
    in all planes may occur.
    """

    def __init__(self, sought: Sequence[tuple[Sought, int]]) -> None:
        self._sought = [(None if isinstance(one, bytes) else finder(_caseless(one)), bits) for one, bits in sought]
        self._width = len(sought)
        self._plane = (1 << self._width) - 1
        self._preset = 0
        self._sets: list[tuple[frozenset[bytes], ...]] = []
        literals: dict[bytes, int] = {}
        for number, (one, _) in enumerate(sought):
            sets = (frozenset({one.lower()}),) if isinstance(one, bytes) else needed(one)[:_PLANES]
            self._sets.append(sets)
            for plane in range(_PLANES):
                bit = 1 << plane * self._width + number
                if plane >= len(sets):
                    self._preset |= bit
                    continue
                for literal in sets[plane]:
                    literals[literal] = literals.get(literal, 0) | bit
        long = sorted(literal for literal in literals if len(literal) > 1)
        self._automaton = ahocorasick_rs.BytesAhoCorasick(long) if long else None
        self._literals = [literals[literal] for literal in long]
        self._bytes = {literal[0]: bits for literal, bits in literals.items() if len(literal) == 1}
        self._other_bytes = bytes(byte for byte in range(256) if byte not in self._bytes)
        #: For the bits of few patterns, these patterns, remembered.
        self._few = Recall[tuple[_Alone, ...]](_FEW_REMEMBERED)

    def scan(self, text: bytes, wanted: int, *, newlines: bool = True) -> int:
        """The bits, of those *wanted*, of the rules whose patterns occur in *text*."""
        lower = text.lower()
        few = self._asked_alone(wanted)
        if few:
            return _asked(few, text, lower) & wanted
        held = self._preset
        singles = self._bytes
        for byte in set(lower.translate(None, self._other_bytes if newlines else self._other_bytes + b"\n")):
            held |= singles[byte]
        if self._automaton is not None:
            literals = self._literals
            for index in {match[0] for match in self._automaton.find_matches_as_indexes(lower, overlapping=True)}:
                held |= literals[index]
        width = self._width
        possible = held & held >> width & held >> 2 * width & self._plane
        found = 0
        while possible:
            lowest = possible & -possible
            possible ^= lowest
            search, bits = self._sought[lowest.bit_length() - 1]
            if bits & wanted & ~found and (search is None or search(text)):
                found |= bits
        return found & wanted

    def _asked_alone(self, wanted: int) -> tuple[_Alone, ...]:
        """The patterns that are *wanted*, if they are so few that each is asked about by itself."""
        known = self._few.get(wanted)
        if known is None:
            chosen = [(number, bits) for number, (_, bits) in enumerate(self._sought) if bits & wanted]
            are_few = len(chosen) <= _FEW_MAX and all(self._sought[number][0] for number, _ in chosen)
            known = tuple(self._alone(number, bits) for number, bits in chosen) if are_few else ()
            self._few.put(wanted, known)
        return known

    def _alone(self, number: int, bits: int) -> _Alone:
        sets = [tuple(sorted(one)) for one in self._sets[number] if len(one) <= _FEW_LITERALS_MAX]
        return self._sought[number][0], bits, tuple(sets)


def _asked(patterns: Sequence[_Alone], text: bytes, lower: bytes) -> int:
    found = 0
    for search, bits, sets in patterns:
        for literals in sets:
            for literal in literals:
                if literal in lower:
                    break
            else:
                break
        else:
            if search is None or search(text):
                found |= bits
    return found


def pattern_of(sought: Sequence[Sought]) -> Pattern | None:
    """One pattern for any of *sought*, case aside, if it is one pattern or literals."""
    if len(sought) == 1 and isinstance(sought[0], str):
        return _caseless(sought[0])
    literals = [one for one in sought if isinstance(one, bytes)]
    return phrases_pattern(literals) if len(literals) == len(sought) else None


@lru_cache(maxsize=4096)
def _caseless(text: str) -> Pattern:
    """A pattern, case aside: in RE2 where it can be, else in ``re``."""
    source = text.encode("latin-1")
    if re2 is not None:
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.dot_nl = True
        options.case_sensitive = False
        options.log_errors = False
        options.never_capture = True
        try:
            pattern: Pattern = re2.compile(b"(?m)" + source, options)
        except re2.error:  # look-around or a back-reference
            pass
        else:
            return pattern
    return with_re(b"(?i)" + source)

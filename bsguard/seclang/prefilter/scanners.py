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
    from collections.abc import Iterable, Sequence

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
_ASKED_REMEMBERED: Final = 512
#: As many phrases as are looked for in one pattern, where there are few patterns.
_FEW_PHRASES_MAX: Final = 100
#: Sets of literals of such a pattern are looked at if they are small.
_FEW_LITERALS_MAX: Final = 8
#: Whether a pattern occurs in a text.
Search = Callable[[bytes], bool]
#: A pattern, its bits, and sets of literals of each of which it needs one.
_Alone = tuple[Search, int, tuple[tuple[bytes, ...], ...]]


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
        self._patterns = [(finder(_caseless(one)), bits) for one, bits in sought if isinstance(one, str)]
        for bits, phrases in _phrases(sought).items():
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


def _phrases(sought: Iterable[tuple[Sought, int]]) -> dict[int, list[bytes]]:
    """The literals by the bits of their rules."""
    found: dict[int, list[bytes]] = {}
    for one, bits in sought:
        if isinstance(one, bytes):
            found.setdefault(bits, []).append(one.lower())
    return found


class LiteralScanner:
    """Literals first: a pattern is asked about only where one of each set of literals that it needs occurs.

    Patterns are bits of an integer, in as many planes as sets of literals are kept of a pattern. A literal sets the
    bits of the patterns for whose first, second and third set it stands, each in its plane. A pattern whose bit is on
    in all planes may occur. Above the planes a literal that is looked for itself sets the bits of its rules.
    """

    def __init__(self, sought: Sequence[tuple[Sought, int]]) -> None:
        patterns = [(one, bits) for one, bits in sought if isinstance(one, str)]
        self._patterns = [(finder(_caseless(one)), bits) for one, bits in patterns]
        self._sets = [needed(one)[:_PLANES] for one, _ in patterns]
        self._width = width = len(patterns)
        self._preset = 0
        self._phrases = _phrases(sought)
        literals: dict[bytes, int] = {}
        for bits, phrases in self._phrases.items():
            for phrase in phrases:
                literals[phrase] = literals.get(phrase, 0) | bits << _PLANES * width
        for number, sets in enumerate(self._sets):
            for plane in range(_PLANES):
                bit = 1 << plane * width + number
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
        #: For the bits that are wanted, the patterns with one of them, and if these are few, how each is asked about.
        self._asked = Recall[tuple[int, tuple[_Alone, ...]]](_ASKED_REMEMBERED)

    def scan(self, text: bytes, wanted: int, *, newlines: bool = True) -> int:
        """The bits, of those *wanted*, of the rules whose patterns occur in *text*."""
        lower = text.lower()
        asked, few = self._asked.get(wanted) or self._asks(wanted)
        if few:
            return _asked_alone(few, text, lower) & wanted
        held = self._preset
        singles = self._bytes
        for byte in set(lower.translate(None, self._other_bytes if newlines else self._other_bytes + b"\n")):
            held |= singles[byte]
        if self._automaton is not None:
            literals = self._literals
            for index in {match[0] for match in self._automaton.find_matches_as_indexes(lower, overlapping=True)}:
                held |= literals[index]
        width = self._width
        found = held >> _PLANES * width & wanted
        possible = held & held >> width & held >> 2 * width & asked
        while possible:
            lowest = possible & -possible
            possible ^= lowest
            search, bits = self._patterns[lowest.bit_length() - 1]
            if bits & wanted & ~found and search(text):
                found |= bits
        return found & wanted

    def _asks(self, wanted: int) -> tuple[int, tuple[_Alone, ...]]:
        """The patterns that are *wanted*; and if there is little to look for, each by itself, and phrases together."""
        chosen = [number for number, (_, bits) in enumerate(self._patterns) if bits & wanted]
        phrases = [(found, bits) for bits, found in self._phrases.items() if bits & wanted]
        alone: tuple[_Alone, ...] = ()
        if len(chosen) + len(phrases) <= _FEW_MAX and sum(len(found) for found, _ in phrases) <= _FEW_PHRASES_MAX:
            together = [(phrases_pattern(found), bits) for found, bits in phrases]
            alone = *map(self._alone, chosen), *[(finder(one), bits, ()) for one, bits in together if one is not None]
        asked = sum(1 << number for number in chosen), alone
        self._asked.put(wanted, asked)
        return asked

    def _alone(self, number: int) -> _Alone:
        sets = [tuple(sorted(one)) for one in self._sets[number] if len(one) <= _FEW_LITERALS_MAX]
        return *self._patterns[number], tuple(sets)


def _asked_alone(patterns: Sequence[_Alone], text: bytes, lower: bytes) -> int:
    found = 0
    for search, bits, sets in patterns:
        for literals in sets:
            for literal in literals:
                if literal in lower:
                    break
            else:
                break
        else:
            if search(text):
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

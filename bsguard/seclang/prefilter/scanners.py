"""Looks for many patterns in one text, in tiers: literals and google-re2, google-re2 alone, or not at all.

A scanner says which patterns may occur in a text. It may name one too many, never one too few: rules that it names
are evaluated exactly afterwards, by the same code in every tier.

The first tier walks the text once with an Aho-Corasick automaton of the literals that the patterns need, and asks RE2
only about patterns all of whose literals are there. Hyperscan would be faster still, and misses matches: releases
since 5.4.12 do not find ``@.+=\\s*?\\(\\s*?select`` when 54 bytes or more lie between. A missed match is a way around
the rules, so it is not used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

from bsguard.seclang.patterns import phrases_pattern, with_re
from bsguard.seclang.prefilter.literals import needed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
        self._patterns = [(_search(one), bits) for one, bits in sought if isinstance(one, str)]
        literals: dict[int, list[bytes]] = {}
        for one, bits in sought:
            if isinstance(one, bytes):
                literals.setdefault(bits, []).append(one)
        for bits, phrases in literals.items():
            pattern = phrases_pattern(phrases)
            if pattern is not None:
                self._patterns.append((pattern.search, bits))

    def scan(self, text: bytes, wanted: int, *, newlines: bool = True) -> int:  # noqa: ARG002
        """The bits, of those *wanted*, of the rules whose patterns occur in *text*."""
        found = 0
        for search, bits in self._patterns:
            if bits & wanted & ~found and search(text) is not None:
                found |= bits
        return found & wanted


class LiteralScanner:
    """Literals first: a pattern is asked about only where one of each set of literals that it needs occurs.

    Patterns are bits of an integer. For each literal there are three, one a plane: the patterns for whose first,
    second and third set it stands. A pattern whose bit is on in all planes may occur.
    """

    def __init__(self, sought: Sequence[tuple[Sought, int]]) -> None:
        self._sought = [(None if isinstance(one, bytes) else _search(one), bits) for one, bits in sought]
        self._preset = [0] * _PLANES
        literals: dict[bytes, list[int]] = {}
        for number, (one, _) in enumerate(sought):
            sets = (frozenset({one.lower()}),) if isinstance(one, bytes) else needed(one)[:_PLANES]
            for plane in range(_PLANES):
                if plane >= len(sets):
                    self._preset[plane] |= 1 << number
                    continue
                for literal in sets[plane]:
                    literals.setdefault(literal, [0] * _PLANES)[plane] |= 1 << number
        long = sorted(literal for literal in literals if len(literal) > 1)
        self._automaton = ahocorasick_rs.BytesAhoCorasick(long) if long else None
        self._planes = [tuple(literals[literal]) for literal in long]
        self._bytes = {literal[0]: tuple(planes) for literal, planes in literals.items() if len(literal) == 1}
        self._other_bytes = bytes(byte for byte in range(256) if byte not in self._bytes)

    def scan(self, text: bytes, wanted: int, *, newlines: bool = True) -> int:
        """The bits, of those *wanted*, of the rules whose patterns occur in *text*."""
        lower = text.lower()
        first, second, third = self._preset
        singles = self._bytes
        for byte in set(lower.translate(None, self._other_bytes if newlines else self._other_bytes + b"\n")):
            one, two, three = singles[byte]
            first |= one
            second |= two
            third |= three
        if self._automaton is not None:
            planes = self._planes
            for index in {match[0] for match in self._automaton.find_matches_as_indexes(lower, overlapping=True)}:
                one, two, three = planes[index]
                first |= one
                second |= two
                third |= three
        possible = first & second & third
        found = 0
        while possible:
            lowest = possible & -possible
            possible ^= lowest
            search, bits = self._sought[lowest.bit_length() - 1]
            if bits & wanted & ~found and (search is None or search(text) is not None):
                found |= bits
        return found & wanted


def _search(text: str) -> Callable[[bytes], object]:
    """A search for a pattern, case aside: in RE2 where it can be, else in ``re``."""
    source = text.encode("latin-1")
    if re2 is not None:
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.dot_nl = True
        options.case_sensitive = False
        options.log_errors = False
        try:
            search: Callable[[bytes], object] = re2.compile(b"(?m)" + source, options).search
        except re2.error:  # look-around or a back-reference
            pass
        else:
            return search
    return with_re(b"(?i)" + source).search

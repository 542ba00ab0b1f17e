"""Finds, for one request, the rules that can match at all. The others need not be run.

Values are joined by newlines and scanned together, once for each part of the request, and once more for each chain of
transformations that changes something. What is found is a superset; every rule in it is evaluated exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bsguard.seclang.prefilter.chains import CHANGES_CASE, Values
from bsguard.seclang.prefilter.needles import PARTS, needle_of
from bsguard.seclang.prefilter.scanners import LiteralScanner, SingleScanner, available

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bsguard.seclang.model import Rule
    from bsguard.seclang.prefilter.needles import Sought, Test
    from bsguard.seclang.prefilter.scanners import Scanner, Tier
    from bsguard.seclang.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a request: the chains of transformations that rules want of it, each with the rules' bits."""

    names: tuple[str, ...]
    #: Chain, the same as a set, and bits.
    chains: tuple[tuple[tuple[str, ...], frozenset[str], int], ...]
    #: Every transformation that occurs in them.
    transformations: frozenset[str]


@dataclass(slots=True)
class Seen:
    """What the scan of one part has found. Holds the lists it looked at, so that their identity stays theirs."""

    lists: list[list[tuple[bytes, bytes]] | None]
    found: int = 0
    #: Transformations that leave all its values exactly as they are.
    idle: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Prefilter:
    """The scanner, and which rules depend on what it finds where."""

    scanner: Scanner
    #: Bit of each rule that has a needle, by id.
    bits: dict[int, int]
    parts: dict[str, Part]
    #: Bits of rules that a test decides rather than a pattern.
    tests: tuple[tuple[Test, int], ...]

    def candidates(self, transaction: Transaction) -> int:
        """Bits of the rules that may match what the transaction holds now."""
        found = 0
        for name, part in self.parts.items():
            lists = [transaction.values.get(variable) for variable in part.names]
            seen = transaction.seen.get(name)
            if seen is None or any(old is not new for old, new in zip(seen.lists, lists, strict=True)):
                seen = transaction.seen[name] = self._look(part, lists)
            found |= seen.found
        return found

    def _look(self, part: Part, lists: list[list[tuple[bytes, bytes]] | None]) -> Seen:
        values = Values(list(dict.fromkeys([value for entries in lists if entries for _, value in entries])))
        if not values.values:
            return Seen(lists)
        unchanged = {name for name in part.transformations if values.unchanged_by(name)}
        wanted: dict[tuple[bytes, bool], int] = {}
        for chain, names, bits in part.chains:
            reached = values if names <= unchanged else values.through(chain)
            key = reached.joined, reached.has_newlines
            wanted[key] = wanted.get(key, 0) | bits
        found = 0
        for (text, newlines), bits in wanted.items():
            found |= self.scanner.scan(text, bits, newlines=newlines)
            for test, bit in self.tests:
                if bits & bit and test(text):
                    found |= bit
        idle = frozenset(
            name for name in part.transformations if name not in CHANGES_CASE and values.unchanged_by(name)
        )
        return Seen(lists, found, idle)


def build(rules: Sequence[Rule], tier: Tier | None = None) -> Prefilter | None:
    """A prefilter for *rules* in *tier* (the best there is, if None); None in the last, which has none."""
    tier = tier or available()
    if tier == "re":
        return None
    bits: dict[int, int] = {}
    sought: dict[Sought, int] = {}
    tests: list[tuple[Test, int]] = []
    chains: dict[str, dict[tuple[str, ...], int]] = {part: {} for part in PARTS}
    for rule in rules:
        needle = needle_of(rule)
        if needle is None:
            continue
        bit = bits[rule.id] = 1 << len(bits)
        for one in needle.sought:
            sought[one] = sought.get(one, 0) | bit
        for part in needle.parts:
            for chain in needle.chains:
                chains[part][chain] = chains[part].get(chain, 0) | bit
        if needle.test is not None:
            tests.append((needle.test, bit))
    scanner = (LiteralScanner if tier == "literals" else SingleScanner)(list(sought.items()))
    parts = {
        name: Part(
            tuple(PARTS[name].split()),
            tuple((chain, frozenset(chain), bit) for chain, bit in found.items()),
            frozenset(one for chain in found for one in chain),
        )
        for name, found in chains.items()
        if found
    }
    return Prefilter(scanner, bits, parts, tuple(tests))

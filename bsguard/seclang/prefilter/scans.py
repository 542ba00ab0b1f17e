"""Values joined by newlines and scanned together, once as they are and once as transformations leave them.

What is found is a superset of what occurs in the values one by one after the chain that each link wants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bsguard.seclang.prefilter.chains import CHANGES_CASE, FORESEEN, TRIGGERS, Values
from bsguard.seclang.prefilter.recall import Recall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bsguard.seclang.prefilter.needles import Test
    from bsguard.seclang.prefilter.scanners import Scanner


#: How many sets of transformations that change something are remembered, at most twice.
_WALKS_REMEMBERED: Final = 64
#: What is made of values of no more bytes is scanned together.
_POOLED_BYTES_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Walk:
    """The chains that are gone through where certain transformations change something."""

    #: The chains, without what changes nothing at their beginnings, and the bits of the links that want them.
    chains: tuple[tuple[tuple[str, ...], int], ...]
    #: The same without those that others begin with.
    longest: tuple[tuple[str, ...], ...]
    #: Of these the ones that may change values in which nothing that they hold tells.
    unforeseen: tuple[tuple[str, ...], ...]
    #: The transformations of which it is known that they change nothing.
    unchanging: frozenset[str]
    #: All the bits.
    bits: int

    @classmethod
    def of(cls, chains: Iterable[tuple[tuple[str, ...], int]], changing: frozenset[str]) -> Walk:
        """The walk where the transformations *changing*, and those without triggers, change something."""
        all_bits = 0
        found: dict[tuple[str, ...], int] = {}
        for chain, bits in chains:
            does = [name not in FORESEEN or name in changing for name in chain]
            if any(does):
                # Letters' case matters to what comes later, so a change of it stays where it stands first.
                start = next(at for at, name in enumerate(chain) if does[at] or name in CHANGES_CASE)
                found[chain[start:]] = found.get(chain[start:], 0) | bits
                all_bits |= bits
        longest = [one for one in found if not any(other[: len(one)] == one and other != one for other in found)]
        unforeseen = [one for one in longest if not TRIGGERS.keys() >= set(one)]
        unchanging = FORESEEN.intersection(name for chain in found for name in chain) - changing
        return cls(tuple(found.items()), tuple(sorted(longest)), tuple(sorted(unforeseen)), unchanging, all_bits)


@dataclass(frozen=True, slots=True)
class Scan:
    """What is looked for in some part of a request: chains of transformations, each with the bits of links."""

    scanner: Scanner
    #: Bits of links that a test decides rather than a pattern.
    tests: tuple[tuple[Test, int], ...]
    chains: tuple[tuple[tuple[str, ...], int], ...]
    #: All the bits.
    bits: int
    #: Transformations of the chains of which it is known when they change something.
    foreseen: frozenset[str]
    #: Those of no chain here: nobody looks whether they do.
    others: frozenset[str]
    #: Ways through the chains, by the transformations that change something.
    walks: Recall[Walk]

    @classmethod
    def of(cls, scanner: Scanner, tests: Sequence[tuple[Test, int]], chains: Mapping[tuple[str, ...], int]) -> Scan:
        """A scan for what *chains* say."""
        bits = 0
        for one in chains.values():
            bits |= one
        foreseen = FORESEEN.intersection(name for chain in chains for name in chain)
        return cls(
            scanner,
            tuple((test, bit & bits) for test, bit in tests if bit & bits),
            tuple(chains.items()),
            bits,
            foreseen,
            FORESEEN - foreseen,
            Recall(_WALKS_REMEMBERED),
        )

    def only(self, wanted: int) -> Scan:
        """The scan for some of the bits."""
        chains = {chain: bits & wanted for chain, bits in self.chains if bits & wanted}
        return Scan.of(self.scanner, self.tests, chains)

    def found(self, values: Values) -> tuple[int, frozenset[str]]:
        """The bits of the links that may match one of the values; and what may change more of these than their case."""
        if not values.values or not self.bits:
            return 0, frozenset()
        changing = values.changing(self.foreseen)
        walk = self._walk(changing)
        may_change = changing | self.others if changing else self.others
        if len(values.joined) > _POOLED_BYTES_MAX:
            return self._each(values, walk), may_change
        found = self._look(values, self.bits)
        if walk.chains:
            found |= self._pooled(values, walk)
        return found, may_change

    def _pooled(self, values: Values, walk: Walk) -> int:
        """The bits of links that may match what chains make of the values, the values themselves left out.

        Everything is looked for in everything, because for little text a scan costs more than what it looks at.
        """
        marked, plain = values.parted(walk.unchanging)
        pool: set[bytes] = set()
        seen = {id(marked), id(plain)}
        for part, chains in ((marked, walk.longest), (plain, walk.unforeseen)):
            for chain in chains if part.values else ():
                for reached, _ in part.along(chain):
                    if id(reached) not in seen:
                        seen.add(id(reached))
                        pool |= reached.pieces()
        pool -= values.pieces()
        return self._look(Values(sorted(pool)), walk.bits) if pool else 0

    def _each(self, values: Values, walk: Walk) -> int:
        """The same for much text, and for the values too: for each chain by itself, after it."""
        wanted = {(values.joined, values.has_newlines): (values, self.bits & ~walk.bits)}
        for chain, bits in walk.chains:
            for reached, is_end in values.along(chain):
                if is_end:
                    key = reached.joined, reached.has_newlines
                    known = wanted.get(key)
                    wanted[key] = reached, bits if known is None else bits | known[1]
        found = 0
        for reached, bits in wanted.values():
            found |= self._look(reached, bits & ~found)
        return found

    def _walk(self, changing: frozenset[str]) -> Walk:
        known = self.walks.get(changing)
        if known is None:
            known = Walk.of(self.chains, changing)
            self.walks.put(changing, known)
        return known

    def _look(self, values: Values, bits: int) -> int:
        if not bits:
            return 0
        found = self.scanner.scan(values.joined, bits, newlines=values.has_newlines)
        for test, bit in self.tests:
            if bits & bit and test(values.joined):
                found |= bit
        return found & bits

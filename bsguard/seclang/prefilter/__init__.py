"""Finds, for one request, the rules that can match at all. The others need not be run.

Every link of a rule has a bit. The prefilter sets those of the links that may match; a rule is evaluated, exactly, when
the bits of all its links that have a gate are set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bsguard.seclang.prefilter.chains import FORESEEN, Values
from bsguard.seclang.prefilter.heads import Heads, matching
from bsguard.seclang.prefilter.recall import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bsguard.seclang.compiler import Runnable
    from bsguard.seclang.prefilter.heads import Bit
    from bsguard.seclang.prefilter.recall import Recall
    from bsguard.seclang.prefilter.scans import Scan
    from bsguard.seclang.prefilter.wholes import Whole
    from bsguard.seclang.request import Request
    from bsguard.seclang.transaction import Transaction

#: All bits: nothing is known, so everything may match.
EVERYTHING: Final = -1
#: Methods and protocols are short; what is longer is not worth remembering.
_SHORT_BYTES_MAX: Final = 64
#: Scalars that requests repeat, besides the request line, and the fields of a request that they are.
REMEMBERED: Final = {"REMOTE_ADDR": "client"}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a request, the variables of it that rules look at, and what is looked for in them."""

    name: str
    variables: tuple[str, ...]
    #: The variables all of whose entries are among those of *variables*.
    covers: frozenset[str]
    scan: Scan
    #: Bits of the head without any of which nothing that is found here matters, 0 if all of it does.
    awaited: int = 0
    #: What was found in values that requests repeat, None if those of this part seldom are.
    remembered: Recall[tuple[int, frozenset[str]]] | None = None

    def look(self, values: list[bytes]) -> Seen:
        """What the scan finds in the values, among which are no empty ones."""
        memory = self.remembered
        joined = b"\n".join(values) if memory is not None else b""
        if memory is None or joined.count(b"\n") >= len(values):  # with newlines, the joined text does not tell them
            each = _distinct(values)
            return Seen(*self.scan.found(each), each, self.covers)
        key = digest(joined)
        known = memory.get(key)
        if known is None:
            known = self.scan.found(_distinct(values))
            memory.put(key, known)
        return Seen(*known, _distinct(values) if known[0] else None, self.covers)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the scan of one part has found."""

    found: int = 0
    #: Transformations that may change more of its values than the case of letters.
    changing: frozenset[str] = frozenset()
    values: Values | None = None
    #: The variables whose values these are.
    covers: frozenset[str] = frozenset()

    def leaves(self, chain: frozenset[str]) -> bool:
        """Whether the chain leaves all the values as they are, but for the case of letters."""
        return chain <= FORESEEN and chain.isdisjoint(self.changing)


@dataclass(frozen=True, slots=True)
class Scanned:
    """What the prefilter knows of a link that a scan decides."""

    #: What the scan sets in the parts where the link may match.
    bit: int
    #: Where in a text a match may begin, at or after a position; None if that cannot be told.
    locate: Callable[[bytes, int], int] | None

    def narrow(self, entries: list[tuple[bytes, bytes]], seen: Seen) -> list[tuple[bytes, bytes]]:
        """The entries on which the link may match, if the part's values reach it as they are."""
        if self.locate is None or seen.values is None or len(entries) < _ENTRIES_MIN:
            return entries
        places = seen.values.where(self.locate)
        return entries if places is None else [entry for entry in entries if entry[1] in places]


#: Of fewer values than this it costs more to find those that are the same.
_REPEATED_MIN: Final = 32
#: Fewer entries are evaluated sooner than the places of matches are found.
_ENTRIES_MIN: Final = 8
_NOTHING_SEEN: Final = Seen()


@dataclass(frozen=True, slots=True)
class Phase:
    """The steps of one phase, as bits counted from its first step."""

    #: Where its bits begin in what the prefilter finds.
    offset: int
    #: Steps that wait for their bit.
    waiting: int
    #: Steps that run for every request.
    always: int
    #: For every step, further bits that must have been found.
    needs: tuple[int, ...]
    #: For every step, of its first links those that scans decide.
    scanned: tuple[tuple[Scanned | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Prefilter:
    """What sets the bits, and which of them each phase waits for."""

    heads: Heads
    #: Rules that are decided whole, by the head, and their bits.
    wholes: tuple[tuple[Whole, int], ...]
    phases: Mapping[int, Phase]
    #: What is scanned once, when the head has been read: its variables of one value.
    line: Part | None
    #: By bit, the links that the scan of the line may find, and the variables that decide.
    lines: Mapping[int, tuple[Runnable, tuple[str, ...]]]
    #: What came of method, target and protocol.
    remembered_lines: Recall[int]
    #: Parts that may grow from phase to phase.
    parts: tuple[Part, ...]
    #: Scalars of the head that requests repeat, and those that are evaluated for each request.
    remembered: tuple[str, ...]
    scalars: tuple[tuple[str, tuple[Bit, ...]], ...]
    #: The same for those that change when the body has been read.
    body_scalars: tuple[tuple[str, tuple[Bit, ...]], ...]
    #: Collections, and bits of links that match only if there is something in them.
    present: tuple[tuple[str, int], ...]
    #: Ids of rules that are evaluated without having been looked for, each with the reason.
    unfiltered: Mapping[int, str]

    def candidates(self, transaction: Transaction) -> int:
        """The bits of links that may match what the transaction holds now."""
        if transaction.found == EVERYTHING:
            transaction.found = self.of_repeated(transaction.request) | self.of_line(transaction)
        if transaction.is_changed:
            transaction.is_changed = False
            transaction.found_later = self.of_parts(transaction)
        found = transaction.found | transaction.found_later
        for name, links in self.body_scalars:
            found |= matching(links, transaction.first(name))
        return found

    def of_parts(self, transaction: Transaction) -> int:
        """The bits of links on what may grow from phase to phase: arguments, cookies, files, bodies."""
        found, of_head = 0, transaction.found
        for part in self.parts:
            if not part.awaited or part.awaited & of_head:
                found |= _of_part(transaction, part)
        for name, bits in self.present:
            if transaction.entries(name):
                found |= bits
        return found

    def of_repeated(self, request: Request) -> int:
        """The bits of links and rules on headers and on who sent them."""
        found = self.heads.of_headers(request.headers)
        for whole, bit in self.wholes:
            if whole.matters(request):
                found |= bit
        for name in self.remembered:
            found |= self.heads.of_scalar(name, getattr(request, REMEMBERED[name]))
        return found

    def of_line(self, transaction: Transaction) -> int:
        """The bits of links on the request line, remembered."""
        key = line_key(transaction.request)
        found = None if key is None else self.remembered_lines.get(key)
        if found is None:
            found = self._of_line(transaction)
            if key is not None:
                self.remembered_lines.put(key, found)
        return found

    def _of_line(self, transaction: Transaction) -> int:
        """The bits of links on the request line and what it is made of; what the scan finds is evaluated."""
        found = 0
        for name, links in self.scalars:
            found |= matching(links, transaction.first(name))
        if self.line is None:
            return found
        lines = [transaction.first(name) for name in self.line.variables]
        values = Values([value for value in dict.fromkeys(lines) if value])
        possible, _ = self.line.scan.found(values)
        while possible:
            bit = possible & -possible
            possible ^= bit
            link, names = self.lines[bit]
            if any(link.matches(transaction.first(name)) for name in names):
                found |= bit
        return found


def line_key(request: Request) -> tuple[bytes, bytes, bytes] | None:
    """What stands for a request line in a memory; None if it is not worth remembering."""
    if len(request.method) + len(request.protocol) > _SHORT_BYTES_MAX:
        return None
    return request.method, digest(request.target), request.protocol


def _of_part(transaction: Transaction, part: Part) -> int:
    # No link that is scanned for matches an empty value.
    values = [value for name in part.variables for _, value in transaction.entries(name) if value]
    seen = transaction.seen[part.name] = part.look(values) if values else _NOTHING_SEEN
    return seen.found


def _distinct(values: list[bytes]) -> Values:
    """Each value once, if there are so many that it saves work."""
    return Values(values if len(values) <= _REPEATED_MIN else list(dict.fromkeys(values)))

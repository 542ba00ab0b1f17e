"""Makes the prefilter of a plan: gives every gate its bit, and collects what sets it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bsguard.seclang.bodies import Limits
from bsguard.seclang.patterns import locator
from bsguard.seclang.prefilter import REMEMBERED, Part, Phase, Prefilter, Scanned
from bsguard.seclang.prefilter.gates import gate_of, unfiltered
from bsguard.seclang.prefilter.heads import HeaderLink, Heads
from bsguard.seclang.prefilter.needles import PARTS
from bsguard.seclang.prefilter.recall import Recall
from bsguard.seclang.prefilter.scanners import LiteralScanner, SingleScanner, pattern_of
from bsguard.seclang.prefilter.scans import Scan
from bsguard.seclang.prefilter.wholes import Whole, wholes_of
from bsguard.seclang.request import Request
from bsguard.seclang.transaction import Transaction
from bsguard.seclang.txnames import captures_stay_local

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bsguard.seclang.compiler import Plan, Runnable, Step
    from bsguard.seclang.prefilter.gates import Gate
    from bsguard.seclang.prefilter.heads import Bit
    from bsguard.seclang.prefilter.needles import Needle, Sought, Test
    from bsguard.seclang.prefilter.scanners import Tier
    from bsguard.seclang.txnames import Names

#: Variables whose entries are also those of another.
_HALVES: Final = {"ARGS": ("ARGS_GET", "ARGS_POST"), "ARGS_NAMES": ("ARGS_GET_NAMES", "ARGS_POST_NAMES")}
#: The part that does not change once the head has been read.
_LINE: Final = "line"
_LINES_REMEMBERED: Final = 2048
#: Parts whose values requests repeat, and how many are remembered, at most twice.
_REPEATED: Final = {"cookies": 2048, "names": 1024}
_BODY_SCALARS: Final = frozenset({"REQUEST_BODY_LENGTH"})


def build(plan: Plan, settled: Mapping[int, int], tier: Tier) -> Prefilter | None:
    """A prefilter for *plan* in *tier*; None in the last, which has none.

    *settled* steps of a phase, as bits, are left to the plan's courses.
    """
    if tier == "re":
        return None
    rules = [step.rule for steps in plan.phases.values() for step in steps]
    captures_local = captures_stay_local(rules)
    building = _Building(captures_local, wholes_of(rules, plan.names, captures_local=captures_local))
    return building.prefilter(plan, settled, tier)


@dataclass(slots=True)
class _Building:
    """What the gates seen so far add up to."""

    captures_local: bool
    #: Ids of rules that the head decides, and what other rules read of TX.
    of_head: Mapping[int, Names]
    #: Ids of rules that are evaluated without having been looked for, each with the reason.
    unfiltered: dict[int, str] = field(default_factory=dict)
    #: Number of the next bit that belongs to no step.
    extra: int = 0
    wholes: list[tuple[Whole, int]] = field(default_factory=list)
    sought: dict[Sought, int] = field(default_factory=dict)
    tests: list[tuple[Test, int]] = field(default_factory=list)
    #: By part: chains of transformations, each with bits.
    chains: dict[str, dict[tuple[str, ...], int]] = field(default_factory=dict)
    #: By part: variables that are looked at.
    variables: dict[str, set[str]] = field(default_factory=dict)
    headers: list[HeaderLink] = field(default_factory=list)
    names: list[Bit] = field(default_factory=list)
    scalars: dict[str, list[Bit]] = field(default_factory=dict)
    present: dict[str, int] = field(default_factory=dict)
    lines: dict[int, tuple[Runnable, tuple[str, ...]]] = field(default_factory=dict)
    #: Bits that the head alone sets, and the bits that belong together in a rule.
    heads: int = 0
    together: list[tuple[int, ...]] = field(default_factory=list)

    def prefilter(self, plan: Plan, settled: Mapping[int, int], tier: Tier) -> Prefilter:
        """Go through the plan."""
        offset = 0
        self.extra = sum(map(len, plan.phases.values()))
        phases = {}
        for number, steps in plan.phases.items():
            waiting = always = 0
            bits: list[tuple[int, ...]] = []
            scanned: list[tuple[Scanned | None, ...]] = []
            for position, step in enumerate(steps):
                bits.append(())
                scanned.append(())
                if settled[number] >> position & 1:
                    continue
                first = 1 << offset + position
                if step.rule.id in self.of_head:
                    self.wholes.append((Whole(step, plan.initial, self.of_head[step.rule.id]), first))
                    waiting |= 1 << position
                    continue
                bits[-1], scanned[-1] = self.step(step, first)
                if bits[-1]:
                    waiting |= 1 << position
                else:
                    always |= 1 << position
            needs = tuple(sum(found[1:]) for found in bits)
            phases[number] = Phase(offset, waiting, always, needs, tuple(scanned))
            offset += len(steps)
        return self.finished(phases, tier)

    def step(self, step: Step, first: int) -> tuple[tuple[int, ...], tuple[Scanned | None, ...]]:
        """The bits of a step's gates, *first* and others; and its links that scans decide.

        Goes up to the first link that changes something when it matches by itself.
        """
        bits: list[int] = []
        scanned: list[Scanned | None] = []
        reasons: list[str] = []
        for link, runnable in zip(step.rule.links, step.links, strict=True):
            gate = gate_of(link, runnable)
            bit = 0
            if gate is not None:
                bit = first if not bits else 1 << self.extra
                self.extra += bool(bits)
                bits.append(bit)
                self.add(runnable, gate, bit)
            scanned.append(None if gate is None or gate.needle is None else _scanned(gate.needle, bit))
            reasons.append(unfiltered(link, runnable))
            if link.set_variables or link.controls or (link.capture and not self.captures_local):
                break
        self.together.append(tuple(bits))
        if all(reasons):
            self.unfiltered[step.rule.id] = reasons[0]
        return tuple(bits), tuple(scanned)

    def add(self, link: Runnable, gate: Gate, bit: int) -> None:
        """Note what sets *bit*, which stands for *link*."""
        needle = gate.needle
        if gate.parts <= {_LINE} and not gate.present and _BODY_SCALARS.isdisjoint(gate.scalars):
            self.heads |= bit
        if needle is not None and (gate.parts or gate.headers):
            for one in needle.sought:
                self.sought[one] = self.sought.get(one, 0) | bit
            if needle.test is not None:
                self.tests.append((needle.test, bit))
        for part in gate.parts:
            self._add_part(part, link, needle, bit)
        if gate.headers is not None:
            self.headers.append(HeaderLink(gate.headers, bit, needle is not None))
            if needle is not None:
                self._add_chains("headers", needle, bit)
        if gate.names is not None:
            self.names.append((gate.names, bit))
        for name in gate.scalars:
            self.scalars.setdefault(name, []).append((link, bit))
        for name in gate.present:
            self.present[name] = self.present.get(name, 0) | bit

    def _add_part(self, part: str, link: Runnable, needle: Needle | None, bit: int) -> None:
        if needle is not None:
            self._add_chains(part, needle, bit)
        names = {target.name for target in link.targets} & set(PARTS[part].split())
        self.variables.setdefault(part, set()).update(names)
        if part == _LINE:
            self.lines[bit] = link, tuple(names)

    def _add_chains(self, part: str, needle: Needle, bit: int) -> None:
        found = self.chains.setdefault(part, {})
        for chain in needle.chains:
            found[chain] = found.get(chain, 0) | bit

    def _awaited(self, of_part: int) -> int:
        """Bits of the head, one of which every rule needs that needs one *of_part*; 0 if there are no such."""
        found = 0
        for bits in self.together:
            if any(bit & of_part for bit in bits):
                needed = sum(bit for bit in bits if bit & self.heads)
                if not needed:
                    return 0
                found |= needed
        return found

    def finished(self, phases: Mapping[int, Phase], tier: Tier) -> Prefilter:
        """The prefilter."""
        scanner = (LiteralScanner if tier == "literals" else SingleScanner)(list(self.sought.items()))
        scans = {part: Scan.of(scanner, self.tests, chains) for part, chains in self.chains.items()}
        headers = scans.pop("headers", None) or Scan.of(scanner, (), {})
        parts = {
            name: Part(name, *_covered(self.variables[name]), scan, self._awaited(scan.bits), _memory(name))
            for name, scan in scans.items()
        }
        links = self.names
        remembered = {name: found for name, found in self.scalars.items() if name in REMEMBERED}
        others = [(name, tuple(found)) for name, found in self.scalars.items() if name not in REMEMBERED]
        return Prefilter(
            heads=Heads(headers, self.headers, (lambda names: _of_names(links, names)) if links else None, remembered),
            wholes=tuple(self.wholes),
            phases=phases,
            line=parts.pop(_LINE, None),
            lines=self.lines,
            remembered_lines=Recall(_LINES_REMEMBERED),
            parts=tuple(parts.values()),
            remembered=tuple(remembered),
            scalars=tuple(one for one in others if one[0] not in _BODY_SCALARS),
            body_scalars=tuple(one for one in others if one[0] in _BODY_SCALARS),
            present=tuple(self.present.items()),
            unfiltered=self.unfiltered,
        )


def _scanned(needle: Needle, bit: int) -> Scanned:
    pattern = pattern_of(needle.sought)
    return Scanned(bit, None if pattern is None else locator(pattern))


def _memory(part: str) -> Recall[tuple[int, frozenset[str]]] | None:
    return Recall(_REPEATED[part]) if part in _REPEATED else None


def _covered(names: set[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """The variables of a part that hold all the entries of *names*, and the variables that these cover."""
    halves = {half for whole in names for half in _HALVES.get(whole, ())}
    return tuple(sorted(names - halves)), frozenset(names | halves)


def _of_names(links: Iterable[Bit], names: tuple[bytes, ...]) -> int:
    """The bits of links that match where headers have these names, whatever their values."""
    transaction = Transaction(Request(headers=tuple((name, b"") for name in names)), Limits(), {})
    found = 0
    for link, bit in links:
        values = [value for target in link.targets for _, value in target.select(transaction)]
        if any(map(link.matches, values)):
            found |= bit
    return found

"""What the rules decide for every request alike is decided once: set-up, defaults, paranoia gates.

Most rules of a CRS installation only copy settings into TX or ask TX which level is wanted. This module runs the rules
in order over a TX that is known, and takes out every rule whose outcome is the same whatever the request: its
``setvar`` goes into the TX that requests begin with, its ``skipAfter`` removes the rules jumped over. A rule stays as
it is once anything that a request decides may come before its effect.

A rule taken out here is not there for ``ctl:ruleRemoveById`` to remove: its effect was the same for all requests.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bsguard.seclang.bodies import Limits
from bsguard.seclang.compiler import PHASES, Plan, build_step
from bsguard.seclang.engine import Engine
from bsguard.seclang.macros import read_template
from bsguard.seclang.model import Link, Marker, Options, Program, Rule
from bsguard.seclang.operators import WITH_MACROS
from bsguard.seclang.request import Request
from bsguard.seclang.txnames import CAPTURES, Names, references, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Phases that run for every request; what later ones set, they must set when they run.
_ALWAYS_RUN: Final = (1, 2)


@dataclass(frozen=True, slots=True)
class Folded:
    """The program without what is already decided, and the TX that requests begin with."""

    program: Program
    initial: Mapping[bytes, bytes]


def fold(program: Program) -> Folded:
    """Take out of *program* what is the same for every request."""
    folder = _Folder(program)
    found = [rule for phase in PHASES for rule in folder.phase(phase)]
    kept = {rule.id: folder.with_constants(rule) for rule in found}
    items = tuple(
        kept.get(item.id, item) if isinstance(item, Rule) else item
        for item in program.items
        if isinstance(item, Marker) or item.id in kept
    )
    return Folded(dataclasses.replace(program, items=items), folder.known)


class _Folder:
    """TX as far as it is known, and what requests may do to it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.engine = Engine(Plan(), Options(), Request(), Limits())
        #: Names whose value depends on the request.
        self.unknown = Names(set(CAPTURES))
        #: Names that a kept rule has read or written; what is set later must not be seen by it.
        self.touched = Names(set(CAPTURES))

    @property
    def known(self) -> Mapping[bytes, bytes]:
        """TX as it is now."""
        return self.engine.transaction.stores["TX"]

    def phase(self, phase: int) -> Iterator[Rule]:
        """The rules of a phase that stay."""
        items = [item for item in self.program.items if isinstance(item, Marker) or item.phase == phase]
        # Ends of the jumps that requests may take: positions in items before which a rule may have been jumped over.
        ends: set[int] = set()
        index = counted = 0
        while index < len(items):
            item = items[index]
            ends = {end for end in ends if end > index}
            index += 1
            if isinstance(item, Marker):
                continue
            counted = max(0, counted - 1)  # rules that a ``skip`` before them counts must stay
            target = _target(item, index, items)
            outcome = None if counted else self.outcome(item, phase, target, ends)
            if outcome is False:
                continue
            if outcome is True:
                index = target or index
                continue
            if target is not None:
                ends.add(target)
                counted = max(counted, item.skip + 1 if item.skip else 0)
            yield self.keep(item)

    def outcome(self, rule: Rule, phase: int, target: int | None, ends: set[int]) -> bool | None:
        """False: the rule never matches. True: it always does and is carried out here. None: it stays."""
        if self._never(rule):
            return False
        if not all(self.is_decided(link) for link in rule.links):
            return None
        saved = dict(self.known)
        fires = self.engine.fires(build_step(rule, None, self.program))
        changed = {name for name in {*saved, *self.known} if saved.get(name) != self.known.get(name)}
        writes = {name for link in rule.links for name in self._written(link)}
        can_set = phase in _ALWAYS_RUN and not ends and not any(name in self.touched for name in writes)
        effects = rule.log or rule.disruptive != "pass" or any(link.controls for link in rule.links)
        jumps_past = target is not None and any(end < target for end in ends)
        if not fires and not changed:
            return False
        if (changed or writes) and not can_set:
            self.engine.transaction.stores["TX"] = saved
            return None
        if fires and (effects or jumps_past or rule.skip):
            self.engine.transaction.stores["TX"] = saved
            return None
        return fires

    def _never(self, rule: Rule) -> bool:
        """Whether a link of the chain says no whatever the request, and those before it change nothing."""
        for link in rule.links:
            asked = dataclasses.replace(link, set_variables=(), controls=(), capture=False)
            if asked.variables and self.is_decided(asked) and not self._says_yes(rule, asked):
                return True
            if link.set_variables or link.controls or link.capture:
                return False
        return False

    def _says_yes(self, rule: Rule, link: Link) -> bool:
        """What a link that is decided comes to."""
        quiet = dataclasses.replace(rule, links=(link,), log=False, message="", data="")
        return self.engine.fires(build_step(quiet, None, self.program))

    def _written(self, link: Link) -> Iterator[bytes]:
        for change in link.set_variables:
            yield self.engine.transaction.expand(read_template(change.key)).lower()

    def is_decided(self, link: Link) -> bool:
        """Whether everything that the link reads is known."""
        for variable in link.variables:
            if variable.name != "TX" or variable.key is None or variable.is_pattern or variable.excluded:
                return False
            if variable.key.lower().encode() in self.unknown:
                return False
        if link.capture or any(change.collection != "TX" for change in link.set_variables):
            return False
        return all(part.name == "TX" and part.key not in self.unknown for part in references(texts(link)))

    def keep(self, rule: Rule) -> Rule:
        """Note what a rule that stays reads and writes; the rule, simplified where it always matches."""
        simple = self._unconditional(rule)
        self.touched.add_read(simple)
        for link in simple.links:
            for change in link.set_variables:
                if change.collection == "TX":
                    self.unknown.add_setter(change.key)
                    self.touched.add_setter(change.key)
        return simple

    def _unconditional(self, rule: Rule) -> Rule:
        """A rule of one link that only asks what is known, and whose answer is yes, without its question."""
        link = rule.links[0]
        asks = dataclasses.replace(link, set_variables=(), controls=())
        if len(rule.links) > 1 or rule.log or not link.variables or not self.is_decided(asks):
            return rule
        if len(link.variables) > 1 or not self._says_yes(rule, asks):
            return rule
        return dataclasses.replace(rule, links=(dataclasses.replace(link, variables=(), operator=None),))

    def with_constants(self, rule: Rule) -> Rule:
        """The rule with those macros of its operators filled in that no request changes, once all rules are known."""
        return dataclasses.replace(rule, links=tuple(self._filled(link) for link in rule.links))

    def _filled(self, link: Link) -> Link:
        operator = link.operator
        if operator is None or operator.name not in WITH_MACROS or "%{" not in operator.argument:
            return link
        if any(part.name != "TX" or part.key in self.unknown for part in references((operator.argument,))):
            return link
        text = self.engine.transaction.expand(read_template(operator.argument))
        if b"%{" in text:  # would be read as a macro
            return link
        argument = text.decode("utf-8", "surrogateescape")
        return dataclasses.replace(link, operator=dataclasses.replace(operator, argument=argument))


def _target(rule: Rule, index: int, items: list[Rule | Marker]) -> int | None:
    """Position in *items* at which a match goes on; *index* is that of the item after the rule."""
    if rule.skip:
        rules = [place for place in range(index, len(items)) if isinstance(items[place], Rule)]
        return rules[rule.skip] if rule.skip < len(rules) else len(items)
    if not rule.skip_after:
        return None
    for place in range(index, len(items)):
        item = items[place]
        if (item.name if isinstance(item, Marker) else str(item.id)) == rule.skip_after:
            return place + 1
    return len(items)

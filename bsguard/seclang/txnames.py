"""Which entries of TX a rule reads and writes, as far as its text says.

Names that are made of values are known by how they begin. What is not certain is taken as read, or as written:
nothing is left out that a rule might touch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bsguard.seclang.macros import Reference, constant, read_template
from bsguard.seclang.operators import WITH_MACROS
from bsguard.seclang.patterns import compile_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bsguard.seclang.model import Link, Rule

#: What ``capture`` writes.
CAPTURES: Final = frozenset(b"%d" % number for number in range(10))
#: Operators whose matches hold nothing to capture.
_NOT_CAPTURING: Final = frozenset(
    {
        *("eq", "ge", "gt", "le", "lt", "nomatch", "unconditionalmatch"),
        *("validatebyterange", "validateurlencoding", "validateutf8encoding"),
    }
)
#: A pattern that says how a name begins and nothing else.
_BEGINNING: Final = re.compile(r"\^([\w-]+)")


@dataclass(slots=True)
class Names:
    """A set of names: some by name, some by how they begin, some by a test."""

    exact: set[bytes] = field(default_factory=set)
    beginnings: set[bytes] = field(default_factory=set)
    tests: list[Callable[[bytes], bool]] = field(default_factory=list)

    def __contains__(self, name: bytes) -> bool:
        return (
            name in self.exact
            or any(name.startswith(beginning) for beginning in self.beginnings)
            or any(test(name) for test in self.tests)
        )

    def add_written(self, rule: Rule) -> None:
        """Add what the rule's ``setvar`` and ``capture`` write."""
        for link in rule.links:
            if link.capture:
                self.exact |= CAPTURES
            for change in link.set_variables:
                if change.collection == "TX":
                    self.add_setter(change.key)

    def add_setter(self, key: str) -> None:
        """Add the names that a ``setvar`` with this key may write."""
        template = read_template(key)
        fixed = constant(template)
        if fixed is not None:
            self.exact.add(fixed.lower())
        else:
            first = template[0]
            self.beginnings.add(first.lower() if isinstance(first, bytes) else b"")

    def add_read(self, rule: Rule) -> None:
        """Add what the rule's variables and macros read."""
        for link in rule.links:
            for variable in link.variables:
                if variable.name == "TX" and not variable.excluded:
                    self.add_variable(variable.key, is_pattern=variable.is_pattern)
            for reference in references(texts(link)):
                self._add_reference(reference)
        for reference in references((rule.message, rule.data)):
            self._add_reference(reference)

    def add_variable(self, key: str | None, *, is_pattern: bool) -> None:
        """Add what ``TX:key`` reads."""
        if key is None:
            self.beginnings.add(b"")
        elif is_pattern:
            beginning = _BEGINNING.fullmatch(key)
            if beginning:
                self.beginnings.add(beginning[1].lower().encode())
            else:
                search = compile_pattern(f"(?i){key}").search
                self.tests.append(lambda name: search(name) is not None)
        else:
            self.exact.add(key.lower().encode())

    def _add_reference(self, reference: Reference) -> None:
        if reference.name == "TX":
            self.exact.add(reference.key)

    def may_meet(self, other: Names) -> bool:
        """Whether a name may be in both."""
        if any(name in other for name in self.exact) or any(name in self for name in other.exact):
            return True
        if (self.tests and (other.beginnings or other.tests)) or (other.tests and self.beginnings):
            return True
        return any(one.startswith(two) or two.startswith(one) for one in self.beginnings for two in other.beginnings)


def texts(link: Link) -> Iterator[str]:
    """The texts of a link in which macros stand."""
    if link.operator is not None and link.operator.name in WITH_MACROS:
        yield link.operator.argument
    for change in link.set_variables:
        yield change.key
        yield change.value


def references(found: Iterable[str]) -> Iterator[Reference]:
    """The macros in texts."""
    for text in found:
        for part in read_template(text):
            if isinstance(part, Reference):
                yield part


def captures_stay_local(rules: Iterable[Rule]) -> bool:
    """Whether no rule reads a capture that it has not made itself, just before."""
    return all(reads_its_own_captures(rule) for rule in rules)


def reads_its_own_captures(rule: Rule) -> bool:
    """Whether what the rule reads of captures has been captured by it."""
    made: set[bytes] = set()
    for link in rule.links:
        read: set[bytes] = set()
        for variable in link.variables:
            if variable.name == "TX":
                if variable.key is None or variable.is_pattern:
                    names = Names()
                    names.add_variable(variable.key, is_pattern=variable.is_pattern)
                    read |= {name for name in CAPTURES if name in names}
                else:
                    read.add(variable.key.lower().encode())
        operator = link.operator
        if operator is not None and operator.name in WITH_MACROS:
            read |= _names_of(operator.argument)
        if not (read & CAPTURES) <= made:
            return False
        if link.capture and operator is not None and operator.name not in _NOT_CAPTURING and not operator.negated:
            groups = _groups(operator.argument) if operator.name == "rx" else 0
            made |= {b"%d" % number for number in range(groups + 1)}
        setters = [text for change in link.set_variables for text in (change.key, change.value)]
        written = {name for text in setters for name in _names_of(text)}
        if not (written & CAPTURES) <= made:
            return False
    return ((_names_of(rule.message) | _names_of(rule.data)) & CAPTURES) <= made


def _names_of(text: str) -> set[bytes]:
    return {reference.key for reference in references((text,)) if reference.name == "TX"}


def _groups(pattern: str) -> int:
    groups: int = compile_pattern(pattern).groups
    return min(groups, len(CAPTURES) - 1)

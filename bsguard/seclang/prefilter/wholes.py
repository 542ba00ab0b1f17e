"""Whole rules that are functions of a request's head: a chain whose later links ask what its first has written to TX.

No link of such a rule tells beforehand what comes of it. But requests repeat their heads, so the rule is evaluated once
for each head it sees, apart from all others, and the answer is remembered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bsguard.seclang.bodies import Limits
from bsguard.seclang.compiler import Plan
from bsguard.seclang.engine import Engine
from bsguard.seclang.model import Options
from bsguard.seclang.prefilter.recall import Recall, digest
from bsguard.seclang.txnames import CAPTURES, Names, reads_its_own_captures, references, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bsguard.seclang.compiler import Step
    from bsguard.seclang.model import Link, Rule
    from bsguard.seclang.request import Request

_REMEMBERED: Final = 1024
_HEADERS: Final = frozenset({"REQUEST_HEADERS", "REQUEST_HEADERS_NAMES"})
#: Variables of one value, and the fields of a request that they are.
_SCALARS: Final = {"REQUEST_METHOD": "method", "REQUEST_PROTOCOL": "protocol", "REMOTE_ADDR": "client"}
_OWN: Final = frozenset({"TX", "MATCHED_VAR", "MATCHED_VAR_NAME", "MATCHED_VARS", "MATCHED_VARS_NAMES"})
#: More bytes of names and values than this are not worth remembering.
_BYTES_MAX: Final = 4096


class Whole:
    """One such rule."""

    def __init__(self, step: Step, initial: Mapping[bytes, bytes], live: Names) -> None:
        self._step = step
        self._initial = initial
        #: Names in TX that other rules read: what this one writes there must not be left out.
        self._live = live
        self._names, self._keys, self._scalars = _inputs(step.rule)
        self._known = Recall[bool](_REMEMBERED)

    def matters(self, request: Request) -> bool:
        """Whether the rule matches, or writes what others read, for requests with this head."""
        key = self._key(request)
        known = None if key is None else self._known.get(key)
        if known is None:
            known = self._evaluated(request)
            if key is not None:
                self._known.put(key, known)
        return known

    def _key(self, request: Request) -> tuple[object, ...] | None:
        """What the rule reads, None if that is too much to remember."""
        keys, headers = self._keys, request.headers
        values = tuple([(name, digest(value)) for name, value in headers if name.lower() in keys]) if keys else ()
        names = tuple([name for name, _ in headers]) if self._names else ()
        if sum(map(len, names)) > _BYTES_MAX:
            return None
        return names, values, *[getattr(request, name) for name in self._scalars]

    def _evaluated(self, request: Request) -> bool:
        engine = Engine(Plan(initial=self._initial), Options(), request, Limits())
        if engine.fires(self._step):
            return True
        written = engine.transaction.stores["TX"].items() - self._initial.items()
        return any(name in self._live for name, _ in written)


def _inputs(rule: Rule) -> tuple[bool, frozenset[bytes], tuple[str, ...]]:
    """Whether the rule reads the names of headers, which headers' values it reads, and which fields of the request."""
    names, keys, scalars = False, set(), set()
    for variable in (one for link in rule.links for one in link.variables):
        if variable.name == "REQUEST_HEADERS" and variable.key is not None and not variable.is_pattern:
            keys.add(variable.key.lower().encode("utf-8", "surrogateescape"))
        elif variable.name in _HEADERS:
            names = True
        elif variable.name in _SCALARS:
            scalars.add(_SCALARS[variable.name])
    return names, frozenset(keys), tuple(sorted(scalars))


def wholes_of(rules: Iterable[Rule], reported: frozenset[bytes], *, captures_local: bool) -> dict[int, Names]:
    """The ids of such rules among *rules*, which run in this order; to each, the names in TX that others read.

    *reported* are names that are asked for at the end.
    """
    rules = list(rules)
    found = {}
    before = Names()
    for rule in rules:
        if _is_of_the_head(rule, before):
            live = Names()
            for other in rules:
                if other is not rule:
                    live.add_read(other)
            if captures_local:
                live.exact -= CAPTURES
            live.exact |= reported
            found[rule.id] = live
        before.add_written(rule)
    return found


def _is_of_the_head(rule: Rule, before: Names) -> bool:
    if len(rule.links) == 1 or any(not _reads_the_head(link) for link in rule.links):
        return False
    if not any(variable.name == "TX" for link in rule.links[1:] for variable in link.variables):
        return False
    reads = Names()
    reads.add_read(rule)
    if reads_its_own_captures(rule):
        reads.exact -= CAPTURES
    return not reads.may_meet(before)


def _reads_the_head(link: Link) -> bool:
    if link.controls or any(change.collection != "TX" for change in link.set_variables):
        return False
    for variable in link.variables:
        if variable.name == "REQUEST_HEADERS":
            if not variable.counted and (variable.key is None or variable.is_pattern):
                return False  # all values would have to be remembered
        elif variable.name not in _HEADERS and variable.name not in _SCALARS and variable.name not in _OWN:
            return False
    return all(reference.name in _OWN for reference in references(texts(link)))

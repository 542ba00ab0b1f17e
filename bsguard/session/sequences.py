"""Rules about the order of calls: what must have succeeded before, and how much time lies between two."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from bsguard.core import codes, readers
from bsguard.core.config import Wanted
from bsguard.core.paths import PathPattern
from bsguard.core.verdict import Finding
from bsguard.session.rules import SEQUENCES
from bsguard.stores.port import Counter, Rate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bsguard.core.overrides import Override
    from bsguard.core.request import Request
    from bsguard.stores.port import Keys

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_KEYS: Final = frozenset({"name", "operation", "after", "within_seconds", "interval_seconds", "action"})
_OPERATION: Final = '"operation" and "after" as a method and a path pattern, such as "POST /v1/files/{id}"'

#: Operations that one rule may name.
PREDECESSORS_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Operation:
    """A method and a pattern of paths."""

    method: str
    path: PathPattern

    @classmethod
    def parse(cls, value: object) -> Operation:
        """Read ``POST /v1/files/{id}``."""
        if isinstance(value, str):
            method, _, pattern = value.partition(" ")
            try:
                return cls(readers.method(method), PathPattern.parse(pattern))
            except ValueError:
                pass
        raise Wanted(_OPERATION)

    def __str__(self) -> str:
        return f"{self.method} {self.path.text}"

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is one of it."""
        return method == self.method and self.path.matches(path)


@dataclass(frozen=True, slots=True)
class Sequence:
    """One rule, read and checked."""

    name: str
    operation: Operation
    #: One of them must have succeeded before; empty for a rule about time alone.
    after: tuple[Operation, ...]
    within_seconds: int
    #: Least time between two calls; 0 for any.
    interval_seconds: int
    #: ``block`` refuses what breaks the rule, ``log`` only reports it.
    action: Literal["block", "log"]

    @classmethod
    def parse(cls, item: object) -> Sequence:
        """Read one rule from a mapping; :class:`Wanted` says what is wrong."""
        if isinstance(item, Sequence):
            return item
        if not isinstance(item, Mapping):
            raise Wanted("a mapping")
        unknown = set(item) - _KEYS
        if unknown:
            raise Wanted(f"only the keys {', '.join(sorted(_KEYS))} (found {len(unknown)} other)")
        name = item.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Wanted('"name" in lower case, with digits and hyphens, of 40 characters at most')
        after = readers.many(Operation.parse, "a list of operations")(item.get("after", ()))
        interval: int = readers.whole(0, 86_400)(item.get("interval_seconds", 0))
        if not after and not interval:
            raise Wanted('"after", "interval_seconds", or both')
        if len(after) > PREDECESSORS_MAX:
            raise Wanted(f'"after" with {PREDECESSORS_MAX} operations at most')
        action: Any = readers.one_of("block", "log")(item.get("action", "block"))
        return cls(
            name,
            Operation.parse(item.get("operation")),
            after,
            readers.whole(1, 86_400)(item.get("within_seconds", 600)),
            interval,
            action,
        )

    def as_mapping(self) -> dict[str, object]:
        """The rule as settings and the overrides table write it."""
        return {
            "name": self.name,
            "operation": str(self.operation),
            "after": [str(operation) for operation in self.after],
            "within_seconds": self.within_seconds,
            "interval_seconds": self.interval_seconds,
            "action": self.action,
        }


class Asked:
    """What the store is asked about the order of one request."""

    __slots__ = ("_at", "_timed", "counters", "marks")

    def __init__(self) -> None:
        self.marks: list[bytes] = []
        self.counters: list[Counter] = []
        #: For each rule about predecessors, the positions of its marks.
        self._at: list[tuple[Sequence, tuple[int, ...]]] = []
        self._timed: list[Sequence] = []

    def add(self, rule: Sequence, keys: Keys, session: str) -> None:
        """Ask about *rule*."""
        if rule.after:
            first = len(self.marks)
            self.marks += [_done(keys, session, operation) for operation in rule.after]
            self._at.append((rule, tuple(range(first, len(self.marks)))))
        if rule.interval_seconds:
            rate = Rate(rule.interval_seconds * 1_000_000, 1)
            self.counters.append(Counter(keys.counter("session interval", f"{session}\0{rule.name}"), rate, soft=True))
            self._timed.append(rule)

    def broken(self, held: tuple[bool, ...], over: tuple[int, ...], loads_us: tuple[int, ...]) -> list[Finding]:
        """The rules that the request breaks, by what the store answered about marks and counters."""
        found = [
            Finding(
                SEQUENCES + rule.name,
                codes.OUT_OF_ORDER,
                f"{rule.operation} and not {' or '.join(map(str, rule.after))} in {rule.within_seconds} seconds before",
                "deny" if rule.action == "block" else "log",
            )
            for rule, positions in self._at
            if not any(held[position] for position in positions)
        ]
        for position, rule in enumerate(self._timed):
            if position in over:
                wait = max(1, -(-loads_us[position] // 1_000_000))
                reason = f"{rule.operation} less than {rule.interval_seconds} seconds after the last"
                action: Any = "deny" if rule.action == "block" else "log"
                headers = (("Retry-After", str(wait)),)
                found.append(Finding(SEQUENCES + rule.name, codes.TOO_SOON, reason, action, headers))
        return found


_NOTHING: Final = Asked()


class Sequences:
    """The rules of the settings, and those that an operator has confirmed."""

    def __init__(self, rules: tuple[Sequence, ...], keys: Keys) -> None:
        self._settled = rules
        self._keys = keys
        self._live: tuple[Override, ...] = ()
        self._use(rules)

    def update(self, overrides: tuple[Override, ...]) -> None:
        """Take over what the table holds; an entry that cannot be read is no rule."""
        if overrides is self._live:
            return
        names = {rule.name for rule in self._settled}
        confirmed = [rule for rule in map(parsed, overrides) if rule is not None and rule.name not in names]
        self._live = overrides
        self._use((*self._settled, *confirmed))

    def _use(self, rules: tuple[Sequence, ...]) -> None:
        self.rules = rules
        #: Every operation that must come before another, with the longest time that any rule looks back.
        self._before: dict[str, tuple[Operation, int]] = {}
        for rule in rules:
            for operation in rule.after:
                _, known = self._before.get(str(operation), (operation, 0))
                self._before[str(operation)] = (operation, max(known, rule.within_seconds))

    def ask(self, request: Request, session: str) -> Asked:
        """What to ask the store for *request*."""
        if not self.rules:
            return _NOTHING
        method, path = _method(request), request.path
        concerned = [rule for rule in self.rules if rule.operation.matches(method, path)]
        if not concerned:
            return _NOTHING
        asked = Asked()
        for rule in concerned:
            asked.add(rule, self._keys, session)
        return asked

    def done(self, request: Request, session: str) -> list[tuple[bytes, int]]:
        """The marks to set when *request* has succeeded."""
        if not self._before:
            return []
        method, path = _method(request), request.path
        return [
            (_done(self._keys, session, operation), seconds * 1_000_000)
            for operation, seconds in self._before.values()
            if operation.matches(method, path)
        ]


def parsed(override: Override) -> Sequence | None:
    """The rule of an entry in the overrides table; None if it cannot be read."""
    try:
        return Sequence.parse(override.value)
    except (Wanted, TypeError):
        return None


def named(rules: Iterable[Sequence], name: str) -> Sequence | None:
    """The rule of that name."""
    return next((rule for rule in rules if rule.name == name), None)


def _method(request: Request) -> str:
    """HEAD runs what GET runs (RFC 9110 §9.3.2)."""
    return "GET" if request.method == "HEAD" else request.method


def _done(keys: Keys, session: str, operation: Operation) -> bytes:
    return keys.mark("session done", f"{session}\0{operation}")

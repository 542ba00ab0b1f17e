"""A rule of ``BSGUARD_LIMITER_RULES``: which requests, counted by what, how many, and what then."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from bsguard.core import readers
from bsguard.core.config import Wanted
from bsguard.core.grammar import environ_key
from bsguard.core.paths import PathPattern  # noqa: TC001  a dataclass says it
from bsguard.limiter.rate import Quota, quotas

if TYPE_CHECKING:
    from bsguard.core.request import Request

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_KEYS: Final = frozenset(
    {"name", "path", "methods", "surface", "key", "rate", "concurrency", "lapse_seconds", "cost", "action"}
)

KeyKind = Literal["ip", "identity", "header", "global"]


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests a rule is about; what is left out fits all."""

    path: PathPattern | None = None
    methods: tuple[str, ...] = ()
    surface: str = ""

    def __call__(self, request: Request) -> bool:
        """Whether *request* is one of them."""
        # HEAD runs what GET runs (RFC 9110 §9.3.2), so it is no way around a limit on GET.
        method = "GET" if request.method == "HEAD" and "HEAD" not in self.methods else request.method
        if self.methods and method not in self.methods:
            return False
        if self.path is not None and not self.path.matches(request.path):
            return False
        if not self.surface:
            return True
        placed = request.placement.surface
        return placed is not None and placed.name == self.surface


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, read and checked."""

    name: str
    match: Match
    #: ``ip``, ``identity``, ``header`` or ``global``.
    key: KeyKind
    #: Environ key of the header to count by; empty unless ``key`` is ``header``.
    header: str
    quotas: tuple[Quota, ...]
    #: How many at the same time; 0 for any number.
    concurrency: int
    #: After how long one place is given back, and then the next, of requests whose end was never seen.
    lapse_seconds: int
    cost: int
    #: ``block`` refuses what is over, ``log`` only reports it.
    action: Literal["block", "log"]

    @property
    def limits(self) -> tuple[str, ...]:
        """The names of its limits: its own, with a number where it has several rates."""
        if len(self.quotas) < 2:
            return (self.name,)
        return tuple(f"{self.name}-{number}" for number in range(1, len(self.quotas) + 1))

    @classmethod
    def parse(cls, item: object) -> Rule:
        """Read one rule from a mapping; :class:`Wanted` says what is wrong."""
        if isinstance(item, Rule):
            return item
        if not isinstance(item, Mapping):
            raise Wanted("a mapping")
        unknown = sorted(str(key) for key in set(item) - _KEYS)
        if unknown:
            raise Wanted(f"only the keys {', '.join(sorted(_KEYS))} (found {len(unknown)} other)")
        name = item.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Wanted('"name" in lower case, with digits and hyphens, of 40 characters at most')
        if ("rate" in item) == ("concurrency" in item):
            raise Wanted('either "rate" or "concurrency"')
        kind, header = _key(item.get("key", "ip"))
        found = quotas(item["rate"]) if "rate" in item else ()
        cost = _field(item, "cost", 1, readers.whole(1, 1_000_000))
        concurrency = _field(item, "concurrency", 0, readers.whole(1, 100_000))
        if any(cost > quota.amount for quota in found) or cost > (concurrency or cost):
            raise Wanted('a "cost" that fits into each rate, or nothing ever passes')
        if "lapse_seconds" in item and not concurrency:
            raise Wanted('"lapse_seconds" only beside "concurrency"')
        return cls(
            name=name,
            match=Match(
                path=readers.path_pattern(item["path"]) if "path" in item else None,
                methods=_field(item, "methods", (), readers.many(readers.method, "a list of methods")),
                surface=_field(item, "surface", "", readers.text),
            ),
            key=kind,
            header=header,
            quotas=found,
            concurrency=concurrency,
            lapse_seconds=_field(item, "lapse_seconds", 300, readers.whole(1, 86_400)),
            cost=cost,
            action=_field(item, "action", "block", readers.one_of("block", "log")),
        )


def unreachable(rules: tuple[Rule, ...]) -> list[tuple[str, str]]:
    """Pairs of names of rules: the first never takes effect, because the second always does before."""
    found: list[tuple[str, str]] = []
    for rule in rules:
        for other in rules:
            alike = (rule.match, rule.key, rule.header, rule.cost) == (other.match, other.key, other.header, other.cost)
            if rule is other or not alike or other.action != "block" or not rule.quotas or not other.quotas:
                continue
            twice = rule.quotas == other.quotas
            if twice and rules.index(rule) < rules.index(other):
                continue  # of two that are the same, the second is the one too many
            if all(any(_stricter(one, quota) for one in other.quotas) for quota in rule.quotas):
                found.append((rule.name, other.name))
                break
    return found


def _stricter(one: Quota, other: Quota) -> bool:
    """Whether *one* is full whenever *other* is."""
    return one.amount <= other.amount and one.rate.emission_us >= other.rate.emission_us


def _key(value: object) -> tuple[KeyKind, str]:
    if isinstance(value, str):
        kind, _, name = value.partition(":")
        if not name and kind in ("ip", "identity", "global"):
            return kind, ""  # type: ignore[return-value]
        if kind == "header" and name:
            return "header", environ_key(readers.stripped_header(name))
    raise Wanted('"key" as ip, identity, global or header:NAME')


def _field(item: Mapping[str, object], key: str, default: Any, read: Any) -> Any:
    if key not in item:
        return default
    try:
        return read(item[key])
    except Wanted as wanted:
        raise Wanted(f'in "{key}" {wanted}') from None

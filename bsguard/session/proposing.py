"""What traffic suggests as settings: rules about the order of calls, and thresholds for how many."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from bsguard.core.config import Wanted
from bsguard.session.sequences import PREDECESSORS_MAX, Sequence

if TYPE_CHECKING:
    from bsguard.session.population import Population

#: How often an operation must have been called before a rule about it is proposed.
OCCURRENCES_MIN: Final = 50
#: Share of the calls of an operation that a proposed rule must have let pass.
PRECEDENCE_MIN: Final = 0.99
#: Days of sessions from which thresholds are recommended.
THRESHOLD_DAYS_MIN: Final = 50

_UNNAMED: Final = re.compile(r"[^a-z0-9]+")
_PLACEHOLDER: Final = re.compile(r"\{\}")


class Proposal(NamedTuple):
    """A rule that traffic suggests."""

    rule: Sequence
    #: Share of the operation's calls that the rule would have let pass.
    precedence: float
    #: How many calls that is known from.
    occurrences: int


class Threshold(NamedTuple):
    """How many requests in ten minutes are usual on one route."""

    route: str
    #: Of so many days of sessions 50, 90 and 99 in a hundred had at most so many in any ten minutes.
    p50: int
    p90: int
    p99: int
    days: int
    #: What a limit should allow in ten minutes; 0 where too little is known.
    recommended: int


def proposals(population: Population) -> list[Proposal]:
    """Rules that nearly all calls have kept, those known best first."""
    found = []
    for operation, count in population.occurrences.items():
        label = population.labels.get(operation, "")
        if count < OCCURRENCES_MIN or "?" in label or not label:
            continue
        after, share = _single(population, operation, count)
        if not after:
            after, share = _several(population, operation, count)
        rule = _rule(population, label, after) if after else None
        if rule is not None:
            found.append(Proposal(rule, round(share, 4), int(count)))
    return sorted(found, key=lambda one: (-one.precedence, -one.occurrences))


def _single(population: Population, operation: int, count: float) -> tuple[list[int], float]:
    """The one operation that came before nearly all calls; of several, the one that is closest."""
    shares = {
        before: min(seen / count, 1.0)
        for (before, then), seen in population.earlier.items()
        if then == operation and before != operation and before in population.labels
    }
    good = [before for before, share in shares.items() if share >= PRECEDENCE_MIN]
    if not good:
        return [], 0.0
    best = max(good, key=lambda before: population.last.get((before, operation), 0.0))
    return [best], shares[best]


def _several(population: Population, operation: int, count: float) -> tuple[list[int], float]:
    """The few operations one of which came last before nearly all calls."""
    last = sorted(
        ((seen, before) for (before, then), seen in population.last.items() if then == operation and before),
        reverse=True,
    )
    chosen: list[int] = []
    total = 0.0
    for seen, before in last[: PREDECESSORS_MAX // 2]:
        if before not in population.labels:
            break
        chosen.append(before)
        total += seen
        if total / count >= PRECEDENCE_MIN:
            return chosen, min(total / count, 1.0)
    return [], 0.0


def _rule(population: Population, label: str, after: list[int]) -> Sequence | None:
    name = _UNNAMED.sub("-", label.lower()).strip("-")[:40].strip("-")
    try:
        return Sequence.parse(
            {
                "name": name,
                "operation": _pattern(label),
                "after": [_pattern(population.labels[before]) for before in after],
                "action": "log",
            }
        )
    except Wanted:  # a path that no pattern can name
        return None


def _pattern(label: str) -> str:
    """The label as a pattern: objects without a name get one."""
    return _PLACEHOLDER.sub("{id}", label.partition("?")[0])


def thresholds(population: Population) -> list[Threshold]:
    """How many requests of one session in ten minutes are usual, by route."""
    found = []
    for operation, bins in population.bursts.items():
        days = sum(bins)
        if not days or operation not in population.labels:
            continue
        p50, p90, p99 = (_quantile(bins, share) for share in (0.5, 0.9, 0.99))
        # As much again as nearly everybody: a limit is for what no honest client does.
        recommended = 2 * p99 if days >= THRESHOLD_DAYS_MIN else 0
        found.append(Threshold(population.labels[operation], p50, p90, p99, int(days), recommended))
    return sorted(found)


def _quantile(bins: list[float], share: float) -> int:
    """The upper end of the bin in which the quantile lies."""
    wanted, seen = share * sum(bins), 0.0
    for place, count in enumerate(bins):
        seen += count
        if seen >= wanted:
            return (1 << (place + 1)) - 1
    return (1 << len(bins)) - 1

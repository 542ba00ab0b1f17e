"""What is usual for everybody: what a session that is hardly known is compared with.

One record, bounded like the profiles. Each session adds to it at most once a day for each thing, so that no single one
makes its own habits everybody's. A worker keeps what it has learned for a while, and then adds it to the record.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bsguard.session.profile import RATES, RINGS, middle_and_variance, spread_out

if TYPE_CHECKING:
    from bsguard.session.profile import Profile

Key = TypeVar("Key", int, tuple[int, int])

ROUTES_MAX: Final = 64
TRANSITIONS_MAX: Final = 512
#: Sessions and days after which older ones begin to count less.
_DAYS_MAX: Final = 20_000.0
#: Calls of an operation before anything is said about its order.
_OCCURRENCES_MIN: Final = 30
#: What comes before an operation so often is looked for, and so many of them.
_PRECURSOR_SHARE_MIN: Final = 0.85
_PRECURSORS_MAX: Final = 3
#: Predecessors of operations that are counted.
PRECEDENCES_MAX: Final = 512
#: Most requests in ten minutes, and seconds between two calls, are counted by powers of two.
_BINS: Final = 20

#: What is assumed before anything is known: new networks, agents, routes, moves to or from new networks, missed routes,
#: objects that are not there, and new networks with new agents; and the
#: spread of the logarithms that rings hold.
_RATES: Final = (0.3, 0.1, 0.3, 0.3, 0.2, 0.5, 0.05)
_SPREADS: Final = (0.6,) * len(RINGS)
_PRIOR_DAYS: Final = 20.0


#: Names of what is one count for each key, and of what is counted in bins.
_COUNTED: Final = ("routes", "transitions", "occurrences", "earlier", "last")
_BINNED: Final = ("bursts", "gaps")


class Population:
    """Counts of all sessions. :meth:`merge` adds those of another worker."""

    def __init__(self) -> None:
        #: Days of sessions that were learned.
        self.days = 0.0
        self.rates = [0.0] * len(RATES)
        self.spreads = [0.0] * len(RINGS)
        self.spread_days = 0.0
        #: Days of sessions with each operation; 0 stands for the beginning, after a pause.
        self.routes: dict[int, float] = {}
        self.labels: dict[int, str] = {}
        #: Days of sessions with each pair of operations in a row; and who the two are.
        self.transitions: dict[int, float] = {}
        self.pairs: dict[int, tuple[int, int]] = {}
        #: For each operation, the days of sessions by the most requests in ten minutes.
        self.bursts: dict[int, list[float]] = {}
        #: How often an operation was called, not counting more than a few times in ten minutes of one session.
        self.occurrences: dict[int, float] = {}
        #: By predecessor and operation: how often it came some time before, and how often as the very last before.
        self.earlier: dict[tuple[int, int], float] = {}
        self.last: dict[tuple[int, int], float] = {}
        #: For each operation, the seconds since the last time.
        self.gaps: dict[int, list[float]] = {}
        #: For each operation that names numbered objects: a day, the highest number before it, and the highest now.
        self.tops: dict[int, tuple[int, int, int]] = {}
        #: What :meth:`precursors` found, as long as this object is in use.
        self._precursors: dict[int, tuple[int, ...]] = {}

    def rate(self, name: str) -> float:
        """How many a day are usual."""
        place = RATES.index(name)
        return (self.rates[place] + _RATES[place] * _PRIOR_DAYS) / (self.days + _PRIOR_DAYS)

    def spread(self, name: str) -> float:
        """The standard deviation, within one session, of the logarithm of what the ring *name* holds."""
        place = RINGS.index(name)
        known = self.spreads[place] + _SPREADS[place] ** 2 * _PRIOR_DAYS
        return math.sqrt(known / (self.spread_days + _PRIOR_DAYS))

    def precursors(self, operation: int) -> tuple[int, ...]:
        """The operations that come before *operation* most often."""
        found = self._precursors.get(operation)
        if found is None:
            count = self.occurrences.get(operation, 0.0)
            if count < _OCCURRENCES_MIN:
                return ()
            pairs = [(seen, before) for (before, then), seen in self.earlier.items() if then == operation != before]
            often = sorted(pairs, reverse=True)[:_PRECURSORS_MAX]
            found = tuple(before for seen, before in often if seen >= count * _PRECURSOR_SHARE_MIN)
            self._precursors[operation] = found
        return found

    def without(self, before: int, operation: int) -> float:
        """Share of the calls of *operation* that did not come after *before*."""
        count = self.occurrences.get(operation, 0.0)
        return 1 - min(self.earlier.get((before, operation), 0.0) / count, 1.0) if count else 1.0

    def knows(self, operation: int) -> bool:
        """Whether an operation was called often enough to say what comes before it; a release brings new ones."""
        return operation == 0 or self.occurrences.get(operation, 0.0) >= _OCCURRENCES_MIN

    def succession(self, before: int, operation: int) -> float:
        """Share of the calls of *operation* that come right after *before*; never nothing."""
        count = self.occurrences.get(operation, 0.0)
        return (self.last.get((before, operation), 0.0) + 0.2) / (count + 1.0)

    def top(self, operation: int, day: int) -> int:
        """The highest number that was there before *day*; -1 where nobody knows."""
        known, before, now = self.tops.get(operation, (day, -1, -1))
        return now if known < day else before

    def add_top(self, operation: int, day: int, number: int) -> None:
        """Somebody got the object with this number."""
        known, before, now = self.tops.get(operation, (day, -1, -1))
        if day > known:
            self.tops[operation] = (day, now, max(now, number))
        elif number > now and (operation in self.tops or len(self.tops) < ROUTES_MAX):
            self.tops[operation] = (known, before, number)

    def add_transition(self, before: int, operation: int, pair: int, label: str) -> None:
        """Somebody did this after that, for the first time today."""
        if operation not in self.routes and len(self.routes) >= ROUTES_MAX:
            return
        self.labels.setdefault(operation, label)
        self.routes[operation] = self.routes.get(operation, 0.0)
        if _count(self.transitions, pair, TRANSITIONS_MAX):
            self.pairs.setdefault(pair, (before, operation))

    def add_succession(self, operation: int, before: list[int], recent: int, gap: float) -> None:
        """An operation was called; *before* came others, *recent* as the last of them, itself *gap* seconds ago."""
        if not _count(self.occurrences, operation, ROUTES_MAX):
            return
        for one in before:
            _count(self.earlier, (one, operation), PRECEDENCES_MAX)
        _count(self.last, (recent, operation), PRECEDENCES_MAX)
        if gap < 2.0**_BINS:
            bins = self.gaps.setdefault(operation, [0.0] * _BINS)
            bins[min(max(int(gap), 0).bit_length(), _BINS - 1)] += 1

    def learn(self, profile: Profile, today: dict[str, float]) -> None:
        """A session's day is over."""
        self.days += 1
        for place, name in enumerate(RATES):
            usual = 5 + 10 * self.rate(name)
            self.rates[place] += min(today[f"new {name}"], usual)
        if profile.days >= 7:
            self.spread_days += 1
            for place, ring in enumerate(profile.rings):
                self.spreads[place] += middle_and_variance([spread_out(byte) for byte in ring])[1]
        _count(self.routes, 0, ROUTES_MAX)
        for operation, (_, most, _, _) in profile.routes.items():
            if most and _count(self.routes, operation, ROUTES_MAX):
                bins = self.bursts.setdefault(operation, [0.0] * _BINS)
                bins[min(most.bit_length(), _BINS) - 1] += 1

    def merge(self, other: Population) -> None:
        """Add what another has counted."""
        self.days += other.days
        self.spread_days += other.spread_days
        self.rates = [one + more for one, more in zip(self.rates, other.rates, strict=True)]
        self.spreads = [one + more for one, more in zip(self.spreads, other.spreads, strict=True)]
        for name in _COUNTED:
            counts: dict[Any, float] = getattr(self, name)
            for key, count in getattr(other, name).items():
                counts[key] = counts.get(key, 0.0) + count
        self.labels = other.labels | self.labels
        self.pairs = other.pairs | self.pairs
        for name in _BINNED:
            binned: dict[int, list[float]] = getattr(self, name)
            for operation, bins in getattr(other, name).items():
                mine = binned.get(operation, [0.0] * _BINS)
                binned[operation] = [one + more for one, more in zip(mine, bins, strict=True)]
        for operation, (day, before, top) in other.tops.items():
            self.add_top(operation, day - 1, before)
            self.add_top(operation, day, top)
        self._bound()

    def _bound(self) -> None:
        """Let what is rarest go, and what is old count less."""
        if self.days > _DAYS_MAX:
            self.days /= 2
            self.spread_days /= 2
            self.rates = [one / 2 for one in self.rates]
            self.spreads = [one / 2 for one in self.spreads]
            for name in _COUNTED:
                setattr(self, name, {key: count / 2 for key, count in getattr(self, name).items()})
            for name in _BINNED:
                halved = {key: [one / 2 for one in bins] for key, bins in getattr(self, name).items()}
                setattr(self, name, halved)
        self.routes = _commonest(self.routes, ROUTES_MAX)
        self.transitions = _commonest(self.transitions, TRANSITIONS_MAX)
        self.earlier = _commonest(self.earlier, PRECEDENCES_MAX)
        self.last = _commonest(self.last, PRECEDENCES_MAX)
        for name in ("labels", "occurrences", *_BINNED):
            setattr(self, name, {key: one for key, one in getattr(self, name).items() if key in self.routes})
        self.pairs = {key: pair for key, pair in self.pairs.items() if key in self.transitions}

    def pack(self) -> bytes:
        """The record."""
        return json.dumps(
            {
                "days": self.days,
                "rates": self.rates,
                "spreads": self.spreads,
                "spread_days": self.spread_days,
                "routes": [[key, count, self.labels.get(key, "")] for key, count in self.routes.items()],
                "transitions": [[key, count, *self.pairs.get(key, (0, 0))] for key, count in self.transitions.items()],
                "bursts": list(self.bursts.items()),
                "gaps": list(self.gaps.items()),
                "occurrences": list(self.occurrences.items()),
                "earlier": [[*pair, count] for pair, count in self.earlier.items()],
                "tops": [[key, *numbers] for key, numbers in self.tops.items()],
                "last": [[*pair, count] for pair, count in self.last.items()],
            },
            separators=(",", ":"),
        ).encode()

    @classmethod
    def unpack(cls, data: bytes) -> Population:
        """The counts of a record; none of what is no record."""
        made = cls()
        try:
            known: dict[str, Any] = json.loads(data or b"{}")
            made.days, made.spread_days = float(known.get("days", 0)), float(known.get("spread_days", 0))
            made.rates = [float(one) for one in known.get("rates", made.rates)]
            made.spreads = [float(one) for one in known.get("spreads", made.spreads)]
            for key, count, label in known.get("routes", ()):
                made.routes[int(key)] = float(count)
                if label:
                    made.labels[int(key)] = str(label)
            for key, count, before, operation in known.get("transitions", ()):
                made.transitions[int(key)] = float(count)
                made.pairs[int(key)] = (int(before), int(operation))
            for name in _BINNED:
                setattr(made, name, {int(key): _bins(bins) for key, bins in known.get(name, ())})
            made.occurrences = {int(key): float(count) for key, count in known.get("occurrences", ())}
            made.tops = {int(key): (int(day), int(one), int(two)) for key, day, one, two in known.get("tops", ())}
            for name in ("earlier", "last"):
                setattr(made, name, {(int(one), int(two)): float(count) for one, two, count in known.get(name, ())})
        except (ValueError, TypeError, AttributeError):
            return cls()
        return made if len(made.rates) == len(RATES) and len(made.spreads) == len(RINGS) else cls()


class Everybody:
    """What a worker knows of all sessions, and what of that it has learned since it was written."""

    def __init__(self, known: Population | None = None) -> None:
        self.known = known or Population()
        self.learned = Population()

    def add_transition(self, before: int, operation: int, pair: int, label: str) -> None:
        """See :meth:`Population.add_transition`."""
        self.known.add_transition(before, operation, pair, label)
        self.learned.add_transition(before, operation, pair, label)

    def add_succession(self, operation: int, before: list[int], recent: int, gap: float) -> None:
        """See :meth:`Population.add_succession`."""
        self.known.add_succession(operation, before, recent, gap)
        self.learned.add_succession(operation, before, recent, gap)

    def add_top(self, operation: int, day: int, number: int) -> None:
        """See :meth:`Population.add_top`."""
        self.known.add_top(operation, day, number)
        self.learned.add_top(operation, day, number)

    def learn(self, profile: Profile, today: dict[str, float]) -> None:
        """See :meth:`Population.learn`."""
        self.known.learn(profile, today)
        self.learned.learn(profile, today)


def _count(counts: dict[Key, float], key: Key, most: int) -> bool:
    """Count *key* if there is room for it; whether there is."""
    room = key in counts or len(counts) < most
    if room:
        counts[key] = counts.get(key, 0.0) + 1
    return room


def _bins(values: Any) -> list[float]:
    found = [float(one) for one in values]
    if len(found) != _BINS:
        raise ValueError("a record of another version")
    return found


def _commonest(counts: dict[Key, float], most: int) -> dict[Key, float]:
    if len(counts) <= most:
        return counts
    return dict(sorted(counts.items(), key=lambda one: -one[1])[:most])

"""What is remembered of one session: a profile of fixed size, as numbers and sketches; nothing that a client sent.

Sets are exact while they are small and sketches beyond. Everything that grows has its own bound, and what was not seen
for longest goes first. The record is one struct, :data:`PROFILE_BYTES` long whatever happens.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field, fields
from typing import Final

#: Format of the record; one of another format is begun anew.
_FORMAT: Final = 2

#: Days that baselines look back.
RING_DAYS: Final = 28
#: Networks, agents, routes, transitions and routes with objects that a profile tells apart.
NETWORKS_MAX: Final = 16
AGENTS_MAX: Final = 8
ROUTES_MAX: Final = 24
TRANSITIONS_MAX: Final = 48
ORDERS_MAX: Final = 18
COLLECTIONS_MAX: Final = 4
#: Bits of the sketch that counts the objects of one route on one day, and of the filter that knows those of all days.
SKETCH_BITS: Final = 256
FILTER_BITS: Final = 2048

#: What rings remember of each day.
RINGS: Final = ("requests", "peak", "objects", "steps", "disorder", "run", "missing")
#: What is counted as a rate for each day.
RATES: Final = ("networks", "agents", "routes", "flips", "missed", "missing", "strangers")

_SCALE: Final = 16.0
_EMPTY: Final = 255


def squeezed(value: float) -> int:
    """A count as one byte of logarithm: exact to about 3 per cent, up to seven millions."""
    return min(round(math.log1p(max(value, 0.0)) * _SCALE), _EMPTY - 1)


def spread_out(byte: int) -> float:
    """The logarithm (of one more than the count) that :func:`squeezed` kept."""
    return byte / _SCALE


def middle_and_variance(values: list[float]) -> tuple[float, float]:
    """The median, and the mean square of how far those above are from it: quiet weekends say nothing of busy days."""
    ranked = sorted(values)
    middle = ranked[len(ranked) // 2]
    above = [(value - middle) ** 2 for value in ranked if value >= middle]
    return middle, sum(above) / len(above)


@dataclass(slots=True)
class Collection:
    """One route whose path names an object, such as ``GET /v1/files/{}``."""

    route: int
    #: Number of the last object, and the highest so far; -1 where objects have none.
    last: int = -1
    top: int = -1
    #: By how much the last number was above the one before, and for how many in a row by as much.
    stride: int = 0
    run: int = 0
    #: The longest such run of this day.
    longest: int = 0
    #: How often on this day the next object was the next by number, or nearly.
    steps: int = 0
    #: Objects of this day that are not there, or not for this client.
    missing: int = 0
    #: Objects of this day that are older than others and were never asked for before.
    fresh: int = 0
    #: Which objects were asked for on this day, and on any.
    seen: int = 0
    known: int = 0
    #: Mean and variance of the logarithm of fresh objects a day, and of how many days.
    mean: float = 0.0
    variance: float = 0.0
    days: float = 0.0
    #: The most on any day, decaying, and by how much days lately were above the mean, in deviations.
    most: float = 0.0
    drift: float = 0.0

    @property
    def objects(self) -> float:
        """About how many different objects were asked for today: linear counting (Whang et al. 1990)."""
        return linear_count(self.seen, SKETCH_BITS)


def linear_count(bits: int, size: int) -> float:
    """How many different things have set *bits* of *size*."""
    empty = size - bits.bit_count()
    return size * math.log(size / max(empty, 0.5))


@dataclass(slots=True)
class Profile:
    """One session. Numbers of this day are plain counts; what is learned is in rings, rates and sets."""

    created: float = 0.0
    seen: float = 0.0
    total: int = 0
    #: Days that were learned, and days in a row that were not because they were unusual.
    days: int = 0
    frozen: int = 0

    # This day.
    day: int = 0
    requests: int = 0
    errors: int = 0
    flips: int = 0
    new_networks: int = 0
    new_agents: int = 0
    new_routes: int = 0
    strangers: int = 0
    clouds: int = 0
    missed: int = 0
    networks_seen: int = 0
    #: How surprising the order of calls is on average, lately beyond that, and at the worst of this day, in digits.
    surprise: float = 0.0
    disorder: float = 0.0
    disorder_most: float = 0.0
    hour: int = 0
    hour_requests: int = 0
    peak: int = 0
    #: Number of the current ten minutes, for the most requests of each route in any.
    tenth: int = 0

    # Pace.
    last: float = 0.0
    last_operation: int = 0
    #: When the present run of requests began, after a pause.
    began: float = 0.0
    gap_mean: float = 0.0
    gap_square: float = 0.0
    last_network: int = 0

    # Reported.
    reported: float = 0.0
    scores: list[float] = field(default_factory=lambda: [0.0] * 5)
    acted: float = 0.0

    # Learned.
    weight: float = 0.0
    rates: list[float] = field(default_factory=lambda: [0.0] * len(RATES))
    rings: list[bytes] = field(default_factory=lambda: [b""] * len(RINGS))
    #: With the day on which each was seen first.
    networks: dict[int, int] = field(default_factory=dict)
    agents: dict[int, int] = field(default_factory=dict)
    #: By operation: requests in the current ten minutes, the most in any of this day, the second of the last, and how
    #: often another came before.
    routes: dict[int, list[int]] = field(default_factory=dict)
    #: Pairs of operations that followed one another, and how often.
    transitions: dict[int, int] = field(default_factory=dict)
    #: By pair of an operation and one that mostly comes before: calls and calls without it, weighted by day in
    #: sixteenths, and both of this day.
    orders: dict[int, list[int]] = field(default_factory=dict)
    collections: dict[int, Collection] = field(default_factory=dict)

    def ring(self, name: str, days: int = RING_DAYS) -> list[float]:
        """Logarithms of what the ring *name* remembers, oldest first."""
        return [spread_out(byte) for byte in self.rings[RINGS.index(name)][-days:]]

    def pack(self) -> bytes:
        """The record."""
        plain = [getattr(self, name) for name in _PLAIN]
        padded = [ring.ljust(RING_DAYS, bytes([_EMPTY])) for ring in self.rings]
        routes: list[int] = []
        for operation, (count, most, last, followed) in self.routes.items():
            routes += (operation, min(count, 0xFFFF), min(most, 0xFFFF), last, min(followed, 0xFFFF))
        transitions = [pair << 8 | count for pair, count in self.transitions.items()]
        orders: list[int] = []
        for pair, (calls, without, calls_today, without_today) in self.orders.items():
            orders += (pair, min(calls, 0xFFFF), min(without, 0xFFFF), calls_today, without_today)
        collections: list[object] = []
        for one in self.collections.values():
            collections += (one.route, one.last, one.top, one.stride)
            counts = (one.run, one.longest, one.steps, one.missing, one.fresh)
            collections += (min(count, 0xFFFF) for count in counts)
            collections += (
                one.seen.to_bytes(SKETCH_BITS // 8, "little"),
                one.known.to_bytes(FILTER_BITS // 8, "little"),
            )
            collections += (one.mean, one.variance, one.days, one.most, one.drift)
        for _ in range(COLLECTIONS_MAX - len(self.collections)):
            collections += _NO_COLLECTION
        return _RECORD.pack(
            _FORMAT,
            *plain,
            *self.scores,
            *self.rates,
            *padded,
            *_padded([one << 8 | day for one, day in self.networks.items()], NETWORKS_MAX),
            *_padded([one << 8 | day for one, day in self.agents.items()], AGENTS_MAX),
            *_padded(routes, ROUTES_MAX * 5),
            *_padded(transitions, TRANSITIONS_MAX),
            *_padded(orders, ORDERS_MAX * 5),
            *collections,
        )

    @classmethod
    def unpack(cls, data: bytes) -> Profile:
        """The profile of a record; a new one of what is no record."""
        if len(data) != PROFILE_BYTES or data[0] != _FORMAT:
            return cls()
        values = list(_RECORD.unpack(data))[1:]
        taken = iter(values)
        made = cls(**{name: next(taken) for name in _PLAIN})
        made.scores = [next(taken) for _ in range(5)]
        made.rates = [next(taken) for _ in RATES]
        made.rings = [next(taken).rstrip(bytes([_EMPTY])) for _ in RINGS]
        for places, size in ((made.networks, NETWORKS_MAX), (made.agents, AGENTS_MAX)):
            places.update({value >> 8: value & 0xFF for value in (next(taken) for _ in range(size)) if value})
        for _ in range(ROUTES_MAX):
            operation, *counts = (next(taken) for _ in range(5))
            if operation:
                made.routes[operation] = counts
        for _ in range(TRANSITIONS_MAX):
            value = next(taken)
            if value:
                made.transitions[value >> 8] = value & 0xFF
        for _ in range(ORDERS_MAX):
            pair, *counts = (next(taken) for _ in range(5))
            if pair:
                made.orders[pair] = counts
        for _ in range(COLLECTIONS_MAX):
            numbers = [next(taken) for _ in range(9)]
            seen, known = (int.from_bytes(next(taken), "little") for _ in range(2))
            learned = [next(taken) for _ in range(5)]
            if numbers[0]:
                values = [*numbers, seen, known, *learned]
                made.collections[numbers[0]] = Collection(**dict(zip(_OF_COLLECTION, values, strict=True)))
        return made


def _padded(values: list[int], size: int) -> list[int]:
    return values + [0] * (size - len(values))


_KINDS: Final = {"float": "d", "int": "I"}
#: Names of the fields that are one number.
_PLAIN: Final = tuple(one.name for one in fields(Profile) if one.type in _KINDS)
_OF_COLLECTION: Final = tuple(one.name for one in fields(Collection))
_NO_COLLECTION: Final = (0, -1, -1, 0, 0, 0, 0, 0, 0, bytes(SKETCH_BITS // 8), bytes(FILTER_BITS // 8), *[0.0] * 5)
_RECORD: Final = struct.Struct(
    "<B"
    + "".join(
        "Q" if one.name in ("missed", "networks_seen") else _KINDS[str(one.type)]
        for one in fields(Profile)
        if one.type in _KINDS
    )
    + "5f"
    + f"{len(RATES)}f"
    + f"{RING_DAYS}s" * len(RINGS)
    + f"{NETWORKS_MAX}I{AGENTS_MAX}I"
    + "IHHIH" * ROUTES_MAX
    + f"{TRANSITIONS_MAX}I"
    + "IHHHH" * ORDERS_MAX
    + f"IqqqHHHHH{SKETCH_BITS // 8}s{FILTER_BITS // 8}s5f" * COLLECTIONS_MAX
)
#: Size of a profile.
PROFILE_BYTES: Final = _RECORD.size

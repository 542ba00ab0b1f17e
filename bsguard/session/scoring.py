"""How unusual a day of a session is, so far: for its own past, and where that is short, for everybody's.

Counts of rare things (new networks, routes that do not exist) are compared with a rate: the score is how many decimal
digits the probability of as many has. The rate of a session is not known but estimated, so the probability is that of
a gamma-Poisson (negative binomial), whose prior is everybody's rate. Counts that vary by factors (requests, objects)
are compared in logarithms, with the session's own mean and spread, the spread drawn towards everybody's, and with the
most on any day: only what exceeds both says anything.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from bsguard.session.learning import object_deviations, pair_of, spread_of, today_of, weighted
from bsguard.session.profile import middle_and_variance
from bsguard.session.rules import SIGNALS

if TYPE_CHECKING:
    from bsguard.session.population import Population
    from bsguard.session.profile import Collection, Profile
    from bsguard.session.rules import Signal

#: Days of its own after which a session is compared with its own past.
OWN_DAYS_MIN: Final = 2

#: How many days everybody's rate weighs beside a session's own.
_RATE_WEIGHT: Final = 2.0

#: Makes 100 the score of one false alarm in a thousand days of sessions, on the traffic of `./run bench session`.
_CALIBRATION: Final = 0.9
#: Days after which a session is as well known as it will be.
_MATURE_DAYS: Final = 4
#: Days after which a volume is steady: who has just come tries for a day or two, and then works.
_STEADY_DAYS: Final = 7
#: Digits, or deviations, that are worth a hundred points.
_LEAK_DIGITS: Final = 2.8
_PROBING_DIGITS: Final = 3.2
_MISSING_DIGITS: Final = 6.5
_OBJECT_DEVIATIONS: Final = 6.0
_ORDER_DIGITS: Final = 2.0
#: What chance makes of one operation on most days; only what is beyond adds up.
_CHANCE_DIGITS: Final = 0.5
#: How many calls everybody's order weighs beside a session's own.
_ORDER_WEIGHT: Final = 4.0
#: How long, as a logarithm, a walk by equal steps may be for anybody.
_RUN_USUAL: Final = math.log1p(20)
_RUN_SPREAD: Final = 0.45
#: Over how many days, this one among them, objects that are not there are added up.
_SCANNED_DAYS: Final = (1, 2, 4, 7)
#: How much weaker evidence for the same adds to the strongest.
_BESIDE: Final = 0.5
#: Objects that one request for a list names.
_STEPS_A_PAGE: Final = 40
_DEVIATIONS: Final = 4.2


class Score(NamedTuple):
    """What a day looks like."""

    #: In the order of the signals.
    points: tuple[float, ...]

    @property
    def total(self) -> float:
        """The largest counts in full; what others say beside it makes it worse."""
        largest = max(self.points)
        return _CALIBRATION * (largest + 0.2 * (sum(self.points) - largest))

    @property
    def signal(self) -> Signal:
        """The signal that says most."""
        return SIGNALS[self.points.index(max(self.points))]


def score(profile: Profile, population: Population) -> Score:
    """The day so far."""
    today = today_of(profile)
    # Of who has just come, nobody knows what is usual.
    known = min((profile.days + 1) / _MATURE_DAYS, 1.0)
    points = (
        _volume(profile, population, today),
        _enumeration(profile, population, today),
        _probing(profile, population, today),
        _leak(profile, population),
        _order(profile, population, today),
    )
    return Score(tuple([known * one for one in points]))


def _volume(profile: Profile, population: Population, today: dict[str, float]) -> float:
    """More requests than ever, in a day or in an hour."""
    pages = today["steps"] / _STEPS_A_PAGE  # whoever reads a list from end to end asks for its pages too
    most = max(_excess(profile, population, name, today[name] - pages, 20) for name in ("requests", "peak"))
    return most * min(len(profile.ring("requests")) / _STEADY_DAYS, 1.0)


def _enumeration(profile: Profile, population: Population, today: dict[str, float]) -> float:
    """Objects that are not there, as guesses are; or old ones that were never asked for, more than ever."""
    missing = 100 * _missing_lately(profile, population, today["missing"]) / _MISSING_DIGITS
    found = max((_objects(one, population) for one in profile.collections.values()), default=0.0)
    walked = _walked(profile, today["run"])
    largest = max(missing, found, walked)
    return largest + _BESIDE * (missing + found + walked - largest)


def _walked(profile: Profile, steps: float) -> float:
    """A walk by equal steps, longer than ever and than what a list of one's own objects has by chance."""
    ring = profile.ring("run")
    if len(ring) < OWN_DAYS_MIN:
        return 0.0
    beyond = math.log1p(steps) - max(*ring, _RUN_USUAL)
    return _points(beyond, beyond, _RUN_SPREAD, len(ring))


def _missing_lately(profile: Profile, population: Population, today: float) -> float:
    """Digits of the strangest of the last days, up to this one, beside the days before them (a scan statistic).

    Guesses miss: a few a day say nothing on any one of them, and much in a week.
    """
    ring = [math.expm1(one) for one in profile.ring("missing")]
    if not ring:
        return 0.0
    strangest = 0.0
    for days in _SCANNED_DAYS:
        if days > 1 and len(ring) < 2 * days:
            break
        split = len(ring) - days + 1
        before, lately = ring[:split], sum(ring[split:]) + today
        shape = sum(before) + population.rate("missing") * _RATE_WEIGHT
        uneven = _unevenness(before)
        if lately >= 1:
            digits = -_log10_tail(round(lately / uneven), shape / uneven, (len(before) + _RATE_WEIGHT) / days)
            strangest = max(strangest, digits - math.log10(days))
    return strangest


def _unevenness(counts: list[float]) -> float:
    """By how much counts vary more than chance alone would have it: variance over mean, drawn towards 1."""
    mean = sum(counts) / len(counts)
    if mean <= 0:
        return 1.0
    variance = sum((one - mean) ** 2 for one in counts) / len(counts)
    return max((variance / mean * len(counts) + _RATE_WEIGHT) / (len(counts) + _RATE_WEIGHT), 1.0)


def _objects(one: Collection, population: Population) -> float:
    """More old objects of one collection that are new to the session than ever, today or for days."""
    deviations = object_deviations(one, population.spread("objects"))
    if one.fresh < 4 or deviations < 1:
        return 0.0
    return 100 * (deviations + 0.7 * one.drift) / _OBJECT_DEVIATIONS


def _probing(profile: Profile, population: Population, today: dict[str, float]) -> float:
    """Routes that do not exist, or not for this client."""
    return 100 * _surprise(today["new missed"], profile, population, "missed") / _PROBING_DIGITS


def _leak(profile: Profile, population: Population) -> float:
    """New networks, agents and clouds, and use from several networks at the same time."""
    agents = _surprise(profile.new_agents, profile, population, "agents")
    if not profile.new_networks:
        return 100 * min(agents, 2.0) / _LEAK_DIGITS
    networks = _surprise(profile.new_networks + profile.clouds, profile, population, "networks")
    strangers = _surprise(profile.strangers, profile, population, "strangers")
    flips = _surprise(profile.flips, profile, population, "flips")
    # Whoever works in a café moves to and fro all day, from one new network; a key that is shared, from several.
    return 100 * (networks + 0.5 * agents + strangers + 0.5 * min(flips, networks)) / _LEAK_DIGITS


def _order(profile: Profile, population: Population, today: dict[str, float]) -> float:
    """Calls in an order that neither this session nor others have, or without what always comes before."""
    together = _excess(profile, population, "disorder", today["disorder"], 30)
    skips = any(order[3] for order in profile.orders.values())
    digits = sum(_skipped(profile, population, operation) for operation in profile.routes) if skips else 0.0
    return max(0.5 * together, 100 * digits / _ORDER_DIGITS)


def _skipped(profile: Profile, population: Population, operation: int) -> float:
    """How strange it is that *operation* was called without what comes before it: decimal digits."""
    strangest = 0.0
    for before in population.precursors(operation):
        order = profile.orders.get(pair_of(before, operation))
        if order is None or not order[3]:
            continue
        calls, without = weighted(order[2], order[3])
        if without < 0.5:
            continue
        share = population.without(before, operation)
        shape = order[1] / 16 + share * _ORDER_WEIGHT + 0.05
        # Too many for so many calls, and for a day: the first calls of a day follow nothing, on every day.
        by_call = -_log10_tail(round(without), shape, (order[0] / 16 + _ORDER_WEIGHT) / calls)
        by_day = -_log10_tail(round(without), shape, profile.weight + 1)
        strangest = max(strangest, min(by_call, by_day))
    return max(strangest - _CHANCE_DIGITS, 0.0)


def _excess(profile: Profile, population: Population, name: str, count: float, least: float) -> float:
    """Points for *count* beside the ring *name*; none below *least*, where chance reigns."""
    ring = profile.ring(name)
    if len(ring) < OWN_DAYS_MIN or count < least:
        return 0.0
    value = math.log1p(count)
    middle, variance = middle_and_variance(ring)
    return _points(
        value - middle, value - max(ring), spread_of(variance, len(ring), population.spread(name)), len(ring)
    )


def _points(above_middle: float, above_most: float, spread: float, days: float) -> float:
    """Points for what is above both the middle and the most so far."""
    if above_most <= 0:
        return 0.0
    deviations = above_middle / (spread * math.sqrt(1 + 1 / days))
    beyond = above_most / spread
    return 100 * math.sqrt(max(deviations, 0.0) * beyond * 1.5) / _DEVIATIONS


def _surprise(count: float, profile: Profile, population: Population, name: str) -> float:
    """Decimal digits of the probability of as many as *count* in a day."""
    if count < 1 or profile.days < 1:
        return 0.0
    place = _PLACES[name]
    shape = profile.rates[place] + population.rate(name) * _RATE_WEIGHT
    days = profile.weight + _RATE_WEIGHT
    return -_log10_tail(math.floor(count), shape, days)


_PLACES: Final = {"networks": 0, "agents": 1, "routes": 2, "flips": 3, "missed": 4, "missing": 5, "strangers": 6}
_TERMS_MAX: Final = 200


def _log10_tail(count: int, shape: float, days: float) -> float:
    """Logarithm of the probability of *count* or more, where the rate is gamma with *shape* and *days*."""
    chance = 1 / (days + 1)
    log_term = (
        math.lgamma(count + shape)
        - math.lgamma(shape)
        - math.lgamma(count + 1)
        + shape * math.log1p(-chance)
        + count * math.log(chance)
    )
    # The terms after it, each a known part of the one before.
    total, term = 1.0, 1.0
    for number in range(count, count + _TERMS_MAX):
        term *= (number + shape) / (number + 1) * chance
        total += term
        if term < 1e-6 * total:
            break
    return min(log_term + math.log(total), 0.0) / math.log(10)


def facts_of(profile: Profile, population: Population) -> tuple[str, ...]:
    """What an operator wants to know first: what was seen, and what is usual."""
    today = today_of(profile)
    said = []
    for name in ("requests", "objects", "steps", "disorder"):
        ring = sorted(profile.ring(name))
        if today[name] >= 1 and ring:
            said.append(f"{name} {today[name]:.0f} (usual {math.expm1(ring[len(ring) // 2]):.0f})")
    for name in ("networks", "agents", "routes", "missed", "missing"):
        if today[f"new {name}"] >= 1:
            rate = profile.rates[_PLACES[name]] / profile.weight if profile.weight else population.rate(name)
            said.append(f"new {name} {today[f'new {name}']:.0f} (usual {rate:.1f})")
    fresh = sum(one.fresh for one in profile.collections.values())
    if fresh:
        said.append(f"old objects asked for the first time {fresh}")
    if profile.flips:
        said.append(f"moves between networks {profile.flips}")
    return tuple(said)

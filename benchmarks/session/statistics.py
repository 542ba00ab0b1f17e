"""From scores to figures: a threshold at a rate of false alarms, recall above it, intervals by bootstrap over keys.

An alarm is a score *above* the threshold, so a detector that says the same of everything never alarms.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    Score = tuple[float, ...]

#: What a key has that nothing was ever said of.
SILENCE = float("-inf")


class Interval(NamedTuple):
    """The middle 95 % of the resamples."""

    low: float
    high: float


def threshold(scores: Sequence[float], rate: float) -> float:
    """The lowest of *scores* above which at most *rate* of them lie."""
    if not scores:
        raise ValueError("a threshold needs scores")
    ordered = sorted(scores, reverse=True)
    return ordered[min(_allowed(rate, len(ordered)), len(ordered) - 1)]


def _allowed(rate: float, count: int) -> int:
    """How many of *count* may lie above; what is a whole number in decimals is not lost to binary."""
    return math.floor(rate * count + 1e-9)


def share_above(scores: Sequence[float], limit: float) -> float:
    """The share of *scores* above *limit*: recall for attacks, false alarms for use."""
    return sum(score > limit for score in scores) / len(scores) if scores else math.nan


def merged(scores: Sequence[Score], rate: float) -> Callable[[Score], float]:
    """One number for several parts: the largest, each in units of its own threshold at *rate*.

    So a limit on each part is one limit on the whole, and the parts share the false alarms.
    """
    parts = len(scores[0])
    if any(len(score) != parts for score in scores):
        raise ValueError("scores of different lengths")
    if parts == 1:
        return lambda score: score[0]
    units = [max(threshold([score[part] for score in scores], rate), 1.0) for part in range(parts)]
    return lambda score: max(value / unit for value, unit in zip(score, units, strict=True))


def resampled_thresholds(
    days: Mapping[Any, Sequence[float]], rate: float, rng: random.Random, resamples: int
) -> list[float]:
    """The threshold on as many keys drawn with replacement, again and again: a key's days stand or fall together."""
    keys = list(days)
    ordered = sorted(((score, place) for place, key in enumerate(keys) for score in days[key]), reverse=True)
    lengths = [len(days[key]) for key in keys]
    found = []
    for _ in range(resamples):
        drawn = [0] * len(keys)
        for _ in keys:
            drawn[rng.randrange(len(keys))] += 1
        left = _allowed(rate, sum(count * length for count, length in zip(drawn, lengths, strict=True)))
        for score, place in ordered:
            left -= drawn[place]
            if left < 0:
                found.append(score)
                break
    return found


def recall_interval(peaks: Sequence[float], limits: Sequence[float], rng: random.Random) -> Interval:
    """The interval of the recall of attacks with these highest scores, over resampled attacks and thresholds."""
    return _middle([share_above(rng.choices(peaks, k=len(peaks)), limit) for limit in limits])


def alarm_interval(days: Mapping[Any, Sequence[float]], limit: float, rng: random.Random, resamples: int) -> Interval:
    """The interval of the share of key-days above *limit*, over resampled keys."""
    facts = [(sum(score > limit for score in scores), len(scores)) for scores in days.values()]
    shares = []
    for _ in range(resamples):
        drawn = rng.choices(facts, k=len(facts))
        shares.append(sum(alarms for alarms, _ in drawn) / sum(count for _, count in drawn))
    return _middle(shares)


def _middle(values: Sequence[float]) -> Interval:
    ordered = sorted(values)
    cut = int(len(ordered) * 0.025)
    return Interval(ordered[cut], ordered[len(ordered) - 1 - cut])

"""What played worlds come to for one scorer: its threshold on validation keys, its recall and alarms on test keys."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.session.statistics import (
    SILENCE,
    Interval,
    alarm_interval,
    merged,
    recall_interval,
    resampled_thresholds,
    share_above,
    threshold,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.session.drive import Played
    from benchmarks.session.scorers import Score
    from benchmarks.session.world import Split

RESAMPLES: Final = 1_000
#: How many of the highest honest key-days are told one by one.
HIGHEST: Final = 20


class Key(NamedTuple):
    """One customer of one world."""

    world: int
    customer: int


class Peak(NamedTuple):
    """The highest score of one attack, and where the attacker stood when the threshold was passed."""

    key: Key
    archetypes: tuple[str, ...]
    score: float
    detected: bool
    calls: int
    items: int


class Alarm(NamedTuple):
    """An honest key-day above the threshold."""

    split: Split
    key: Key
    archetype: str
    day: int
    score: float


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of attack fared."""

    name: str
    peaks: tuple[Peak, ...]
    recall: float
    interval: Interval

    @property
    def requests(self) -> float | None:
        """Median requests of the attacker until an alarm, of attacks that were found."""
        return _median([peak.calls for peak in self.peaks if peak.detected])

    @property
    def items(self) -> float | None:
        """Median different objects that were given away until then."""
        return _median([peak.items for peak in self.peaks if peak.detected])

    def missed(self) -> Counter[str]:
        """The archetypes of the victims of what was not found."""
        return Counter(name for peak in self.peaks if not peak.detected for name in peak.archetypes)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scorer's figures."""

    scorer: str
    threshold: float
    #: Key-days of each split, and the share of them above the threshold.
    key_days: dict[Split, int]
    rates: dict[Split, float]
    test_interval: Interval
    kinds: dict[str, Kind]
    alarms: tuple[Alarm, ...]
    #: The honest key-days with the highest scores, whether above the threshold or not.
    highest: tuple[Alarm, ...]
    #: Key-days by archetype, of the splits that alarms are listed for.
    days_by_archetype: dict[str, int]


def outcome(
    worlds: Sequence[Played], scorer: str, rate: float, *, limit: float | None = None, resamples: int = RESAMPLES
) -> Outcome:
    """The figures of *scorer* at *rate* false alarms a key-day; or above *limit*, whatever the rate then is."""
    rng = random.Random("bootstrap")
    vectors = _vectors(worlds, scorer)
    number = merged([score for score in vectors["validation"].values() if score] or [(SILENCE,)], rate)
    days: dict[Split, dict[tuple[Key, int], float]] = {
        split: {place: number(score) if score else SILENCE for place, score in vectors[split].items()}
        for split in vectors
    }
    _check_apart(days["validation"], days["test"])
    by_key = {split: _by_key(days[split]) for split in days}
    if limit is None:
        limit = threshold(list(days["validation"].values()), rate)
        limits = resampled_thresholds(by_key["validation"], rate, rng, resamples)
    else:
        limits = [limit] * resamples
    names = {Key(index, place): name for index, played in enumerate(worlds)
             for place, name in enumerate(played.archetypes)}  # fmt: skip
    kinds = {
        kind: Kind(
            kind,
            tuple(peaks),
            share_above([peak.score for peak in peaks], limit),
            recall_interval([peak.score for peak in peaks], limits, rng),
        )
        for kind, peaks in _peaks(worlds, scorer, number, limit).items()
    }
    honest = [
        Alarm(split, key, names[key], day, score)
        for split in ("validation", "test")
        for (key, day), score in days[split].items()
    ]
    honest.sort(key=lambda alarm: -alarm.score)
    alarms = [alarm for alarm in honest if alarm.score > limit]
    return Outcome(
        scorer,
        limit,
        {split: len(scores) for split, scores in days.items()},
        {split: share_above(list(scores.values()), limit) for split, scores in days.items()},
        alarm_interval(by_key["test"], limit, rng, resamples),
        kinds,
        tuple(sorted(alarms, key=lambda alarm: (alarm.archetype, -alarm.score))),
        tuple(honest[:HIGHEST]),
        dict(Counter(names[key] for split in ("validation", "test") for key, _ in days[split])),
    )


def _vectors(worlds: Sequence[Played], scorer: str) -> dict[Split, dict[tuple[Key, int], Score]]:
    """The score of every honest key-day; empty where the scorer said nothing."""
    found: dict[Split, dict[tuple[Key, int], Score]] = {"train": {}, "validation": {}, "test": {}}
    for index, played in enumerate(worlds):
        said = played.seen[scorer].days
        for customer, day in played.honest:
            split = played.splits[customer]
            found[split][Key(index, customer), day] = said.get((customer, day), ())
    return found


def _check_apart(validation: dict[tuple[Key, int], float], test: dict[tuple[Key, int], float]) -> None:
    both = {key for key, _ in validation} & {key for key, _ in test}
    if both:
        raise ValueError(f"{len(both)} keys would set the threshold and be scored by it")


def _by_key(days: dict[tuple[Key, int], float]) -> dict[Key, list[float]]:
    found: dict[Key, list[float]] = {}
    for (key, _), score in sorted(days.items()):
        found.setdefault(key, []).append(score)
    return found


def _peaks(
    worlds: Sequence[Played], scorer: str, number: Callable[[Score], float], limit: float
) -> dict[str, list[Peak]]:
    """Every attack that took place, by kind; that only test keys are attacked is checked here."""
    found: dict[str, list[Peak]] = {}
    for index, played in enumerate(worlds):
        for attack in played.attacks:
            if any(played.splits[victim] != "test" for victim in attack.victims):
                raise ValueError("an attack on a key that is no test key")
            rises = played.seen[scorer].attacks.get(attack.place, ())
            over = next((rise for rise in rises if number(rise.score) > limit), None)
            found.setdefault(attack.kind, []).append(
                Peak(
                    Key(index, attack.victims[0]),
                    tuple(played.archetypes[victim] for victim in attack.victims),
                    number(rises[-1].score) if rises else SILENCE,
                    over is not None,
                    over.calls if over is not None else attack.calls,
                    over.items if over is not None else attack.items,
                )
            )
    return dict(sorted(found.items()))


def _median(values: list[int]) -> float | None:
    return statistics.median(values) if values else None

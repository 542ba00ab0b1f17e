"""Two kinds at once on one key: a thief who enumerates, a prober who counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.session.traffic import Attack, Call, Day, Range, discover

if TYPE_CHECKING:
    import random


class Mixed(Attack):
    """Any two other kinds that take one key and one day at least; both begin in the same hours."""

    name = "mixed"
    ranges = {"kinds": Range(2, 2)}

    def settle(self, rng: random.Random) -> None:
        others = [kind for kind in discover("attacks", Attack).values() if kind.keys.high == 1 and kind is not Mixed]
        others = [kind for kind in others if kind.days.low == 1]
        self._parts = [kind(self.victims, rng) for kind in rng.sample(others, self.whole("kinds"))]
        for part in self._parts:
            part.begin = self.begin

    def day(self, day: Day, nth: int) -> list[Call]:
        return [call for part in self._parts for call in part.day(day, nth)]

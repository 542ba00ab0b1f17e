"""Eight times the key's own usual day, everything else as always: a resold key, a runaway loop, a copied client."""

from __future__ import annotations

from benchmarks.session.traffic import Attack, Call, Day, Range


class Eightfold(Attack):
    """Seven further days of the same customer in one, with fresh chance: same routes, order, places, hours."""

    name = "eightfold"
    bar = 0.6
    ranges = {"times": Range(8, 8)}

    def day(self, day: Day, nth: int) -> list[Call]:
        del nth
        calls: list[Call] = []
        for _ in range(self.whole("times") - 1):
            calls += self.victims[0].day(day)
        return calls

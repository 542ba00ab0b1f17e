"""Volume that grows by a third a day until it is many times the usual, so that what is usual grows along with it."""

from __future__ import annotations

from benchmarks.session.traffic import Attack, Call, Day, Range


class SlowPoisoning(Attack):
    """Each day alone looks like a good day."""

    name = "slow_poisoning"
    days = Range(6, 8)
    ranges = {"growth": Range(1.25, 1.45)}

    def day(self, day: Day, nth: int) -> list[Call]:
        more = self.chosen["growth"] ** (nth + 1) - 1
        calls: list[Call] = []
        for _ in range(int(more)):
            calls += self.victims[0].day(day)
        share = more - int(more)
        calls += [call for call in self.victims[0].day(day) if day.rng.random() < share]
        return calls

"""Low and slow over several keys: each reads a handful of others' objects, together they read the range."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.session.traffic import HOUR, Attack, Call, Day, Range

if TYPE_CHECKING:
    import random


class Distributed(Attack):
    """The numbers are dealt out in turn, so that no key has a run; found when any of the keys is."""

    name = "distributed"
    keys = Range(4, 7)
    days = Range(1, 2)
    ranges = {"a_key": Range(8, 30), "hours": Range(2.0, 8.0)}

    def settle(self, rng: random.Random) -> None:
        self._next = rng.randrange(1, max(2, self.customer.service.numbers - 2_000))

    def day(self, day: Day, nth: int) -> list[Call]:
        calls = []
        rng = day.rng
        begin = self.start(day, nth)
        for _ in range(self.whole("a_key")):
            for victim in self.victims:
                self._next += 1
                while not victim.customer.service.exists(self._next):
                    self._next = self._next % victim.customer.service.numbers + 1
                at = begin + rng.uniform(0, self.chosen["hours"]) * HOUR
                calls.append(victim.customer.call(at, "detail", self._next))
        return calls

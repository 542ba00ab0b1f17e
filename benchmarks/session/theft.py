"""What a thief does with somebody else's key: work at the owner's cost, and a look at what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.session import places
from benchmarks.session.places import Origin
from benchmarks.session.traffic import HOUR, Attack, Call, Day

if TYPE_CHECKING:
    import random


class Theft(Attack):
    """The parameters ``networks``, ``hours``, ``calls`` (a network) and ``agents`` are the kinds' own."""

    def settle(self, rng: random.Random) -> None:
        agents = rng.sample(places.ATTACK_AGENTS + places.SDKS[:2], self.whole("agents"))
        self._origins = [Origin(places.proxy(rng), rng.choice(agents)) for _ in range(self.whole("networks"))]

    def day(self, day: Day, nth: int) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        begin = self.start(day, nth)
        for origin in self._origins:
            made: list[Call] = []
            while len(made) < self.chosen["calls"]:
                at = begin + rng.uniform(0, self.chosen["hours"]) * HOUR
                kind = rng.random()
                if kind < 0.6:
                    made += customer.job(at, rng, origin=origin, pace=2.0)
                elif kind < 0.85:
                    made += customer.browse(at, rng, 4, origin=origin, pace=2.0)
                else:
                    made.append(customer.call(at, rng.choice(("usage", "catalogue")), origin=origin))
            calls += made
        return calls

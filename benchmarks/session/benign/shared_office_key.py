"""An office behind one address where everybody uses the same key, each with a tool of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.session import places
from benchmarks.session.places import Origin
from benchmarks.session.traffic import MINUTE, Archetype, Call, Day, Range, poisson

if TYPE_CHECKING:
    import random


class SharedOfficeKey(Archetype):
    """Many agents and many things at once from one address and key."""

    name = "shared_office_key"
    weight = 6
    ranges = {"people": Range(4, 20), "sessions": Range(0.3, 1.2), "calls": Range(5, 15)}

    def settle(self, rng: random.Random) -> None:
        self.customer.adopt(rng, rng.randint(200, 1_500))
        address = places.office(rng)
        agents = places.BROWSERS + places.TOOLS + places.SDKS
        self._people = [Origin(address, rng.choice(agents)) for _ in range(self.whole("people"))]

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        volume = customer.volume(day)
        for origin in self._people:
            for _ in range(poisson(rng, self.chosen["sessions"] * volume)):
                at = customer.hour(day, rng.gauss(13, 2.5))
                end = len(calls) + self.whole("calls")
                while len(calls) < end:
                    if rng.random() < 0.3:
                        calls += customer.job(at, rng, origin=origin)
                    else:
                        calls += customer.browse(at, rng, rng.randint(1, 5), origin=origin, pace=10.0)
                    at = calls[-1].at + rng.expovariate(1 / MINUTE)
        return calls

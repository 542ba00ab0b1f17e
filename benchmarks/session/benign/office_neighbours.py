"""Customers with keys of their own that share one address: a co-working space, a carrier-grade NAT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.session import places
from benchmarks.session.places import Origin
from benchmarks.session.traffic import MINUTE, Archetype, Call, Day, Range, poisson

if TYPE_CHECKING:
    import random


class OfficeNeighbour(Archetype):
    """Nothing about the key is odd; the address is busy."""

    name = "office_neighbours"
    weight = 6
    ranges = {"sessions": Range(1.0, 5.0), "details": Range(1, 6), "jobs": Range(0, 3)}

    def settle(self, rng: random.Random) -> None:
        super().settle(rng)
        self._origin = Origin(self.neighbour, rng.choice(places.BROWSERS + places.SDKS))

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        for _ in range(poisson(rng, self.chosen["sessions"] * customer.volume(day))):
            at = customer.hour(day, rng.gauss(13, 3))
            calls += customer.browse(at, rng, self.whole("details"), origin=self._origin, pace=12.0)
            for _ in range(self.whole("jobs")):
                at = calls[-1].at + rng.expovariate(1 / MINUTE)
                calls += customer.job(at, rng, origin=self._origin)
        return calls

"""Continuous integration: every job on a machine that was just started, so from an address never seen before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.session import places
from benchmarks.session.places import Origin
from benchmarks.session.traffic import HOUR, Archetype, Call, Day, Range, poisson

if TYPE_CHECKING:
    import random


class CiRunners(Archetype):
    """Pushes come in office hours, several jobs each, at once; all addresses are out of one cloud region's networks."""

    name = "ci_runners"
    weight = 6
    ranges = {
        "pushes": Range(1.0, 8.0),  # a weekday
        "machines": Range(1, 4),  # a push
        "calls": Range(4, 16),  # a machine
        "networks": Range(4, 16),  # of the region
    }

    def settle(self, rng: random.Random) -> None:
        super().settle(rng)
        self._region = places.Region.some(rng, self.whole("networks"))
        self._agent = rng.choice(places.SDKS)

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        for _ in range(poisson(rng, self.chosen["pushes"] * customer.volume(day))):
            pushed = customer.hour(day, 9.0) + rng.triangular(0, 10, 5) * HOUR
            for _ in range(self.whole("machines")):
                origin = Origin(self._region.fresh(rng), self._agent)
                at = pushed + rng.uniform(5, 90)
                made = [customer.call(at, "catalogue", origin=origin)]
                while len(made) < self.chosen["calls"]:
                    at = made[-1].at + rng.expovariate(0.5)
                    if rng.random() < 0.6:
                        made += customer.job(at, rng, origin=origin, pace=1.0)
                    else:
                        made += customer.browse(at, rng, 2, origin=origin, pace=0.5)
                calls += made
        return calls

"""A customer that comes while the world runs: no past at all, tries things for a day, then works at full size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.session import places
from benchmarks.session.places import Origin
from benchmarks.session.traffic import HOUR, Archetype, Call, Day, Range, poisson

if TYPE_CHECKING:
    import random


class NewCustomer(Archetype):
    """The second day may be many times the first."""

    name = "new_customer"
    weight = 5
    ranges = {"day": Range(7, 18), "trials": Range(1.0, 5.0), "jobs": Range(5.0, 40.0), "import_objects": Range(0, 150)}

    def settle(self, rng: random.Random) -> None:
        self.customer.adopt(rng, 20)
        self._desk = Origin(places.office(rng), rng.choice(places.TOOLS))

    @property
    def first_day(self) -> int:
        return self.whole("day")

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        if day.number == self.first_day:
            for _ in range(1 + poisson(rng, self.chosen["trials"])):
                at = customer.hour(day, 9) + rng.uniform(0, 8) * HOUR
                calls += customer.job(at, rng, origin=self._desk, pace=20.0)
            return calls
        if day.number == self.first_day + 1:  # the first import reads back all that it has written
            customer.adopt(rng, self.whole("import_objects"))
            at = customer.hour(day, 10)
            for number in customer.numbers:
                calls.append(customer.call(at, "detail", number))
                at += rng.uniform(0.1, 0.6)
        for _ in range(poisson(rng, self.chosen["jobs"] * customer.volume(day))):
            calls += customer.job(customer.hour(day, 7) + rng.uniform(0, 14) * HOUR, rng)
        return calls

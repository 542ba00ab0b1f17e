"""An export: every page of the list and every object on it, up to 10,000 numbers upwards, as fast as the API allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.session.traffic import DAY, HOUR, Archetype, Call, Day, Range

if TYPE_CHECKING:
    import random

#: What one page of the list holds.
_PAGE_OBJECTS = 100


class Pagination(Archetype):
    """Once a week, on a day of its own, and small updates between; the largest export goes over 10,000 objects."""

    name = "pagination"
    weight = 3
    ranges = {
        "objects": Range(300, 10_000, log=True),
        "weekday": Range(0, 6),
        "hour": Range(0.0, 23.0),
        "daily": Range(5, 40),
    }

    def settle(self, rng: random.Random) -> None:
        self.customer.adopt(rng, self.whole("objects"))

    def day(self, day: Day) -> list[Call]:
        rng, customer = day.rng, self.customer
        at = customer.hour(day, self.chosen["hour"])
        if day.number % 7 != self.whole("weekday"):
            calls: list[Call] = []
            for _ in range(1 + round(self.chosen["daily"] * customer.volume(day) / 5)):
                calls += customer.browse(at + rng.uniform(0, 8) * HOUR, rng, 4)
            return calls
        calls = []
        # An export ends within a day, so that the next one finds the customer's other days as they are.
        pace = min(0.5, 0.5 * DAY / len(customer.numbers))
        for position, number in enumerate(customer.numbers):
            if position % _PAGE_OBJECTS == 0:
                calls.append(customer.call(at, "index", query=f"page={position // _PAGE_OBJECTS + 1}"))
                at += rng.uniform(0.5, 1.5) * pace
            if customer.service.exists(number):  # the list does not name what is deleted
                calls.append(customer.call(at, "detail", number))
                at += rng.uniform(0.5, 1.5) * pace
        return calls

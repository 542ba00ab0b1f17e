"""Others' objects read slowly and only where they exist: no miss, no burst, no run (the pilot: 5 to 12 a window)."""

from __future__ import annotations

from benchmarks.session.traffic import HOUR, Attack, Call, Day, Range


class SlowEnumeration(Attack):
    """A few an hour over a working day or three, from the usual place, now and then with a page of the list before."""

    name = "slow_enumeration"
    bar = 0.5
    days = Range(1, 3)
    ranges = {"an_hour": Range(4.0, 12.0), "hours": Range(6.0, 10.0), "list_share": Range(0.0, 0.4)}

    def day(self, day: Day, nth: int) -> list[Call]:
        calls = []
        rng, customer = day.rng, self.customer
        at = self.start(day, nth)
        own = set(customer.numbers)
        for _ in range(round(self.chosen["an_hour"] * self.chosen["hours"])):
            at += rng.expovariate(self.chosen["an_hour"] / HOUR)
            number = rng.randint(1, customer.service.numbers)
            while number in own or not customer.service.exists(number):
                number = rng.randint(1, customer.service.numbers)
            if rng.random() < self.chosen["list_share"]:
                calls.append(customer.call(at - 1, "index"))
            calls.append(customer.call(at, "detail", number))
        return calls

"""Numbers at random over the whole range, fast, with the attacker's own good key from its usual place."""

from __future__ import annotations

from benchmarks.session.traffic import Attack, Call, Day, Range


class RandomIds(Attack):
    """No run to see, only that so many objects of others were never asked for by this key."""

    name = "random_ids"
    ranges = {"count": Range(150, 1_000, log=True), "seconds": Range(0.2, 2.0)}

    def day(self, day: Day, nth: int) -> list[Call]:
        calls = []
        rng, customer = day.rng, self.customer
        at = self.start(day, nth)
        for _ in range(self.whole("count")):
            calls.append(customer.call(at, "detail", rng.randint(1, customer.service.numbers)))
            at += self.chosen["seconds"] * rng.uniform(0.7, 1.3)
        return calls

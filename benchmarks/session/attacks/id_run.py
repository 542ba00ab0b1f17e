"""Counting upwards through numbered objects, fast, with the attacker's own good key from its usual place."""

from __future__ import annotations

from benchmarks.session.traffic import Attack, Call, Day, Range


class IdRun(Attack):
    """Numbers that are deleted answer 404, all others are given away (OWASP API1)."""

    name = "id_run"
    bar = 0.99
    ranges = {"length": Range(200, 2_000, log=True), "seconds": Range(0.1, 1.0), "step": Range(1, 2)}

    def day(self, day: Day, nth: int) -> list[Call]:
        calls = []
        rng, customer = day.rng, self.customer
        at = self.start(day, nth)
        number = rng.randrange(1, max(2, customer.service.numbers - self.whole("length") * self.whole("step")))
        for _ in range(self.whole("length")):
            calls.append(customer.call(at, "detail", number))
            number += self.whole("step")
            at += self.chosen["seconds"] * rng.uniform(0.7, 1.3)
        return calls

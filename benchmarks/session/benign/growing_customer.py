"""A customer whose business grows, some per cent every day, without end in sight."""

from __future__ import annotations

from benchmarks.session.traffic import HOUR, Archetype, Call, Day, Range, poisson


class GrowingCustomer(Archetype):
    """Growth is no attack, though it looks like a very slow one."""

    name = "growing_customer"
    weight = 5
    ranges = {"jobs": Range(3.0, 12.0), "growth": Range(1.02, 1.08), "details": Range(0, 5)}

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        jobs = self.chosen["jobs"] * customer.volume(day) * self.chosen["growth"] ** day.number
        for _ in range(poisson(rng, jobs)):
            at = customer.hour(day, 7) + rng.uniform(0, 15) * HOUR
            calls += customer.job(at, rng)
            if self.chosen["details"]:
                calls += customer.browse(calls[-1].at + 2, rng, self.whole("details"))
        return calls

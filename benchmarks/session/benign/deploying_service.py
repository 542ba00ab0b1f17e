"""A service whose release calls endpoints that it has never called before."""

from __future__ import annotations

from benchmarks.session.traffic import HOUR, Archetype, Call, Day, Range, opaque, poisson


class DeployingService(Archetype):
    """From the day of the release on, new routes are a part of every job, and there is somewhat more to do."""

    name = "deploying_service"
    weight = 5
    ranges = {"jobs": Range(5.0, 30.0), "release": Range(8, 19), "new_share": Range(0.1, 0.8), "more": Range(1.0, 1.5)}

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        released = day.number >= self.chosen["release"]
        jobs = self.chosen["jobs"] * customer.volume(day) * (self.chosen["more"] if released else 1.0)
        for _ in range(poisson(rng, jobs)):
            at = customer.hour(day, 7) + rng.uniform(0, 14) * HOUR
            calls += customer.job(at, rng)
            if released and rng.random() < self.chosen["new_share"]:
                after = calls[-1].at + rng.uniform(0.2, 2)
                calls.append(customer.call(after, "preview"))
                calls.append(customer.call(after + 1, "revise", customer.number(rng)))
                if rng.random() < 0.3:
                    calls.append(customer.call(after + 2, "watch", opaque(rng), lasts=rng.uniform(5, 60)))
        return calls

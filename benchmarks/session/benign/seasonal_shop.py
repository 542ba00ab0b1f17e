"""A retailer: the weekend is the busy time, and one campaign a month multiplies everything for a day or two."""

from __future__ import annotations

from benchmarks.session.traffic import Archetype, Call, Day, Range, poisson


class SeasonalShop(Archetype):
    """The peak is announced to customers, not to a detector."""

    name = "seasonal_shop"
    weight = 6
    ranges = {
        "jobs": Range(4.0, 20.0),
        "weekend_factor": Range(1.5, 3.5),
        "campaign": Range(7, 20),
        "campaign_days": Range(1, 2),
        "campaign_factor": Range(1.5, 3.0),
    }

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        customer.habits["weekend"] = self.chosen["weekend_factor"]
        jobs = self.chosen["jobs"] * customer.volume(day)
        if 0 <= day.number - self.chosen["campaign"] < self.chosen["campaign_days"]:
            jobs *= self.chosen["campaign_factor"]
        for _ in range(poisson(rng, jobs)):
            at = customer.hour(day, 8 + rng.betavariate(2.5, 1.8) * 15)
            calls += customer.job(at, rng) if rng.random() < 0.7 else customer.browse(at, rng, 3)
        return calls

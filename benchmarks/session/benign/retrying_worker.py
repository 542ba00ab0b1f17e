"""Workers that retry: an outage multiplies their calls, and the backlog comes at once when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.session.traffic import HOUR, Archetype, Call, Day, Range, poisson

if TYPE_CHECKING:
    import random


class RetryingWorker(Archetype):
    """What falls into an outage is tried again with growing pauses, then again when the service is back."""

    name = "retrying_worker"
    weight = 6
    ranges = {
        "jobs": Range(10.0, 40.0),
        "retries": Range(2, 8),
        "first_pause": Range(1.0, 10.0),
        "growth": Range(1.0, 2.0),
    }

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        for _ in range(poisson(rng, self.chosen["jobs"] * customer.volume(day))):
            at = customer.hour(day, 6) + rng.uniform(0, 16) * HOUR
            calls += self._job(at, rng, day)
        return calls

    def _job(self, at: float, rng: random.Random, day: Day) -> list[Call]:
        customer = self.customer
        down = next(((begin, end) for begin, end in day.outages if begin <= at < end), None)
        if down is None:
            return customer.job(at, rng)
        calls: list[Call] = []
        pause = self.chosen["first_pause"]
        for _ in range(self.whole("retries")):
            if at >= down[1]:
                break
            calls.append(customer.call(at, "quote"))
            at += pause * rng.uniform(0.8, 1.2)
            pause *= self.chosen["growth"]
        return calls + customer.job(max(at, down[1]) + rng.expovariate(1 / 120), rng)

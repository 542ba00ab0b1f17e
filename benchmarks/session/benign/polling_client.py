"""A client that asks for news at a fixed interval, day and night."""

from __future__ import annotations

from benchmarks.session.traffic import DAY, MINUTE, Archetype, Call, Day, Range


class PollingClient(Archetype):
    """As regular as a clock; when there is news, it reads it."""

    name = "polling_client"
    weight = 6
    ranges = {"minutes": Range(5.0, 20.0), "news_share": Range(0.0, 0.15), "jitter": Range(0.0, 5.0)}

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        at, step = day.start + rng.uniform(0, 60), self.chosen["minutes"] * MINUTE
        while at < day.start + DAY:
            calls.append(customer.call(at, "index", query="since=1"))
            if rng.random() < self.chosen["news_share"]:
                customer.adopt(rng, 1)
                calls.append(customer.call(at + rng.uniform(0.1, 1), "detail", customer.numbers[-1]))
            at += step + rng.uniform(0, self.chosen["jitter"])
        return calls

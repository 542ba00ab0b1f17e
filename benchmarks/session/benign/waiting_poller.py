"""A client that asks for a result that is not there yet, and gets 404 until it is."""

from __future__ import annotations

from benchmarks.session.traffic import HOUR, Archetype, Call, Day, Range, opaque, poisson


class WaitingPoller(Archetype):
    """Most of its answers are 404, and nothing is wrong with that."""

    name = "waiting_poller"
    weight = 3
    ranges = {"jobs": Range(3.0, 12.0), "waits": Range(2, 12), "interval": Range(5.0, 30.0)}

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        for _ in range(poisson(rng, self.chosen["jobs"] * customer.volume(day))):
            at = customer.hour(day, 8) + rng.uniform(0, 11) * HOUR
            calls += [customer.call(at, "quote"), customer.call(at + 1, "submit")]
            item = opaque(rng)
            waits = rng.randint(1, self.whole("waits"))
            customer.service.ready[item] = at + 1 + (waits - 0.5) * self.chosen["interval"]
            for turn in range(1, waits + 1):
                calls.append(customer.call(at + 1 + turn * self.chosen["interval"], "fetch", item))
            calls.append(customer.call(calls[-1].at + 1, "result", opaque(rng)))
        return calls

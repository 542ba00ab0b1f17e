"""An application that acts when it is called back: quiet, then a burst of calls within seconds of an event."""

from __future__ import annotations

from benchmarks.session.traffic import DAY, Archetype, Call, Day, Range, opaque, poisson


class WebhookDriven(Archetype):
    """It asks for what it was told about, without having submitted or listed it under this key just before."""

    name = "webhook_driven"
    weight = 6
    ranges = {"bursts": Range(2.0, 15.0), "events": Range(1, 30, log=True), "detail_share": Range(0.0, 0.7)}

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        for _ in range(poisson(rng, self.chosen["bursts"] * customer.volume(day))):
            at = day.start + rng.uniform(0, DAY)
            for _ in range(1 + poisson(rng, self.chosen["events"])):
                at += rng.expovariate(4.0)
                if rng.random() < self.chosen["detail_share"]:
                    customer.adopt(rng, 1)
                    calls.append(customer.call(at, "detail", customer.numbers[-1]))
                else:
                    calls.append(customer.call(at, "fetch", opaque(rng)))
                    calls.append(customer.call(at + 0.2, "result", opaque(rng)))
        return calls

"""Long polling and server-sent events: answers that stay open for minutes while other calls go on."""

from __future__ import annotations

from benchmarks.session.traffic import HOUR, Archetype, Call, Day, Range, opaque, poisson


class StreamingClient(Archetype):
    """Several streams open at a time; each is opened again when it ends."""

    name = "streaming_client"
    weight = 4
    ranges = {"jobs": Range(4.0, 20.0), "seconds": Range(30.0, 300.0), "again": Range(0.0, 3.0)}

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        for _ in range(poisson(rng, self.chosen["jobs"] * customer.volume(day))):
            at = customer.hour(day, 8) + rng.uniform(0, 12) * HOUR
            calls += [customer.call(at, "quote"), customer.call(at + rng.uniform(0.2, 2), "submit")]
            item = opaque(rng)
            at += 3
            for _ in range(1 + poisson(rng, self.chosen["again"])):
                lasts = self.chosen["seconds"] * rng.uniform(0.3, 1.0)
                calls.append(customer.call(at, "watch", item, lasts=lasts))
                at += lasts + rng.uniform(0.1, 1)
            calls.append(customer.call(at, "result", opaque(rng)))
        return calls

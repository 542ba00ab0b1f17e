"""A sync that mirrors changed objects every night: pages of the list, then every changed object, by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.session.traffic import Archetype, Call, Day, Range

if TYPE_CHECKING:
    import random


class NightlySync(Archetype):
    """At one hour to the minute; new objects of the day come in runs, sorted by number, which looks like counting."""

    name = "nightly_sync"
    weight = 8
    ranges = {
        "objects": Range(100, 2_000, log=True),
        "changed": Range(15, 250, log=True),  # a night
        "new_share": Range(0.1, 0.7),
        "hour": Range(0.0, 5.0),
        "pace": Range(0.1, 1.0),
    }

    def settle(self, rng: random.Random) -> None:
        self.customer.adopt(rng, self.whole("objects"))

    def day(self, day: Day) -> list[Call]:
        rng, customer = day.rng, self.customer
        changed = max(3, round(self.chosen["changed"] * customer.volume(day)))
        new = round(changed * self.chosen["new_share"])
        customer.adopt(rng, new)
        numbers = set(customer.numbers[-new:] if new else ()) | {customer.number(rng) for _ in range(changed - new)}
        at = customer.hour(day, self.chosen["hour"]) + rng.uniform(0, 60)
        calls = []
        for page in range(1, 2 + len(numbers) // 100):
            calls.append(customer.call(at, "index", query=f"changed=1&page={page}"))
            at += rng.uniform(0.5, 2) * self.chosen["pace"]
        for number in sorted(numbers):
            calls.append(customer.call(at, "detail", number))
            at += rng.uniform(0.5, 1.5) * self.chosen["pace"]
        return calls

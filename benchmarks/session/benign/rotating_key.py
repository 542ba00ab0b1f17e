"""A customer that replaces its key on schedule: the new one is used at once, the old one here and there for hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.session.traffic import DAY, HOUR, Archetype, Call, Day, Range, poisson

if TYPE_CHECKING:
    import random


class RotatingKey(Archetype):
    """A key without a past comes with the volume of an old one; late users of the old key get 401."""

    name = "rotating_key"
    weight = 5
    ranges = {"jobs": Range(4.0, 25.0), "every": Range(4, 10), "overlap": Range(0.5, 6.0), "late": Range(0, 6)}

    def settle(self, rng: random.Random) -> None:
        super().settle(rng)
        self._old = self.customer.token
        self._ends = 0.0
        self._changed_on = 0

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        changed = day.start + 10 * HOUR if day.number and day.number % self.whole("every") == 0 else None
        if changed is not None and self._changed_on != day.number:
            self._changed_on = day.number
            self._old, customer.token = customer.token, f"sk_{rng.getrandbits(96):024x}"
            self._ends = changed + self.chosen["overlap"] * HOUR
            keys = customer.service.keys
            keys[self._old] = (customer.account, keys[self._old][1], self._ends)
            keys[customer.token] = (customer.account, changed, 1_000 * DAY)
        for _ in range(poisson(rng, self.chosen["jobs"] * customer.volume(day))):
            made = customer.job(customer.hour(day, 6) + rng.uniform(0, 17) * HOUR, rng)
            if changed is not None and (made[0].at < changed or (rng.random() < 0.2 and made[-1].at < self._ends)):
                made = [call._replace(token=self._old) for call in made]
            calls += made
        if changed is not None:
            for _ in range(self.whole("late")):
                calls.append(customer.call(self._ends + rng.uniform(0, 2) * HOUR, "usage")._replace(token=self._old))
        return calls

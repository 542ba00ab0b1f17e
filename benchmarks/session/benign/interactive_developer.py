"""A developer at work: sessions in office hours, pauses, mistakes, from the office, from home, now and then a café."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.session import places
from benchmarks.session.places import Origin
from benchmarks.session.traffic import MINUTE, Archetype, Call, Day, Range, poisson

if TYPE_CHECKING:
    import random


class InteractiveDeveloper(Archetype):
    """Explores: asks for endpoints that are not there, sends bodies that do not pass."""

    name = "interactive_developer"
    weight = 14
    ranges = {
        "sessions": Range(1.0, 6.0),  # a weekday
        "calls": Range(5, 30),  # a session
        "home_share": Range(0.0, 0.6),
        "away_share": Range(0.0, 0.05),  # of sessions, each from a network never seen before
        "mistake_share": Range(0.01, 0.12),
        "details": Range(1, 8),
    }

    def settle(self, rng: random.Random) -> None:
        self.customer.adopt(rng, rng.randint(30, 400))
        agents = [rng.choice(places.TOOLS), rng.choice(places.BROWSERS), rng.choice(places.SDKS)]
        self._desks = [Origin(places.office(rng), agent) for agent in agents]
        at_home = places.home(rng)
        self._home = [Origin(at_home, agent) for agent in agents]

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        for _ in range(poisson(rng, self.chosen["sessions"] * customer.volume(day))):
            desks = self._home if rng.random() < self.chosen["home_share"] else self._desks
            if rng.random() < self.chosen["away_share"]:
                place = places.home(rng)
                desks = [desk._replace(address=place) for desk in desks]
            at = customer.hour(day, rng.gauss(13.5, 2.8))
            left = self.whole("calls")
            while left > 0:
                origin = rng.choice(desks)
                made = self._some(at, rng, origin)
                calls += made
                left -= len(made)
                at = made[-1].at + rng.expovariate(1 / (2 * MINUTE))
        return calls

    def _some(self, at: float, rng: random.Random, origin: Origin) -> list[Call]:
        customer = self.customer
        if rng.random() < self.chosen["mistake_share"] * 3:  # three chances to err in a group of calls
            if rng.random() < 0.5:
                return [customer.call(at, rng.choice(("quote", "submit")), origin=origin, body=b"{}")]
            wrong = customer.call(at, "index", origin=origin)
            return [wrong._replace(target=wrong.target + rng.choice(("s", "/all", "/me", "/latest", ".json")))]
        if rng.random() < 0.4:
            return customer.job(at, rng, origin=origin, pace=8.0)
        if rng.random() < 0.2:
            return [customer.call(at, "usage", origin=origin)]
        return customer.browse(at, rng, rng.randint(1, self.whole("details")), origin=origin, pace=15.0)

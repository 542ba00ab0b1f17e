"""A phone: its address changes with the cell, the network and sleep, many times a day, at home it is in the Wi-Fi."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.session import places
from benchmarks.session.places import Origin
from benchmarks.session.traffic import Archetype, Call, Day, Range, poisson

if TYPE_CHECKING:
    import random


class MobileClient(Archetype):
    """Short sessions over the whole day and week; a second carrier when roaming."""

    name = "mobile_client"
    weight = 8
    ranges = {
        "sessions": Range(3.0, 15.0),  # a day
        "details": Range(1, 6),
        "networks": Range(3, 10),  # of the carrier, IPv4
        "churn": Range(0.2, 0.9),  # how often a session begins on a fresh address
        "home_share": Range(0.2, 0.7),
        "roaming_share": Range(0.0, 0.08),
    }

    def settle(self, rng: random.Random) -> None:
        super().settle(rng)
        self._carrier = places.Carrier.some(rng, self.whole("networks"))
        self._roaming = places.Carrier.some(rng, 3)
        self._home = places.home(rng)
        self._agent = rng.choice(places.MOBILE_AGENTS)
        self._address = self._carrier.attach(rng)
        self.customer.habits["weekend"] = 1.0 + 0.5 * self.customer.habits["weekend"]

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        roams = rng.random() < self.chosen["roaming_share"]
        for _ in range(poisson(rng, self.chosen["sessions"] * customer.volume(day))):
            at = customer.hour(day, 7 + rng.betavariate(1.5, 1.2) * 16.5)
            if rng.random() < self.chosen["churn"]:
                self._address = (self._roaming if roams else self._carrier).attach(rng)
            at_home = not roams and rng.random() < self.chosen["home_share"]
            origin = Origin(self._home if at_home else self._address, self._agent)
            made = customer.browse(at, rng, rng.randint(1, self.whole("details")), origin=origin, pace=8.0)
            if not at_home and len(made) > 3 and rng.random() < 0.3:  # the cell changes within the session
                self._address = (self._roaming if roams else self._carrier).attach(rng)
                moved = Origin(self._address, self._agent)
                made = made[:2] + [call._replace(origin=moved) for call in made[2:]]
            calls += made
            if rng.random() < 0.25:
                calls += customer.job(made[-1].at + 5, rng, origin=made[-1].origin)
        return calls

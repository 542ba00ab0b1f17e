"""Calls that are all valid, in an order that no honest client has: work without a price, results without asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.session.traffic import Attack, Call, Day, Range, opaque

if TYPE_CHECKING:
    import random

    from benchmarks.session.api import Role

#: What is repeated, one pattern an attack.
PATTERNS: Final[tuple[tuple[Role, ...], ...]] = (
    ("submit", "result"),
    ("submit", "cancel"),
    ("result", "fetch", "submit", "quote"),
    ("parts", "revise"),
    ("fetch", "cancel", "submit"),
    ("usage", "submit", "usage", "cancel"),
)


class WrongOrder(Attack):
    """As few calls as an honest session has, from the usual place; every answer is a success."""

    name = "wrong_order"
    bar = 0.85
    ranges = {"rounds": Range(4, 15), "seconds": Range(1.0, 30.0, log=True), "pattern": Range(0, len(PATTERNS) - 1)}

    def settle(self, rng: random.Random) -> None:
        del rng
        self._pattern = PATTERNS[self.whole("pattern")]

    def day(self, day: Day, nth: int) -> list[Call]:
        calls = []
        rng, customer = day.rng, self.customer
        at = self.start(day, nth)
        numbers = [number for number in customer.numbers if customer.service.exists(number)]
        for _ in range(self.whole("rounds")):
            item = opaque(rng)
            number = rng.choice(numbers)
            for role in self._pattern:
                calls.append(customer.call(at, role, number if role in ("parts", "revise") else item))
                at += self.chosen["seconds"] * rng.uniform(0.5, 1.5)
        return calls

"""What generators are made of: calls, ranges, customers with their habits, and the bases of archetypes and attacks.

A generator is a class in a file of its own in ``benign`` or ``attacks``, found there by its folder. It knows the API by
roles and nothing of any detector. Its parameters are drawn from ranges that stand in its class.
"""

from __future__ import annotations

import math
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypeVar

from benchmarks.session import places
from benchmarks.session.places import Origin

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from benchmarks.session.api import Role, Service

DAY: Final = 86_400.0
HOUR: Final = 3_600.0
MINUTE: Final = 60.0


class Call(NamedTuple):
    """One request of a simulated client."""

    #: Seconds since the world began.
    at: float
    #: Place of the customer whose key it carries.
    customer: int
    method: str
    target: str
    token: str
    origin: Origin
    body: bytes = b""
    #: How long the answer takes to its last byte, in seconds.
    lasts: float = 0.0
    #: The object that a successful answer gives away; empty if none.
    item: str = ""
    #: The attack that it belongs to; -1 for use.
    attack: int = -1


class Range(NamedTuple):
    """Where a parameter is drawn from: whole numbers if both ends are."""

    low: float
    high: float
    #: Small values as likely as large ones, by their order of magnitude.
    log: bool = False

    def draw(self, rng: random.Random) -> float:
        """One value."""
        if self.log:
            value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
            return round(value) if isinstance(self.low, int) and isinstance(self.high, int) else value
        if isinstance(self.low, int) and isinstance(self.high, int):
            return rng.randint(self.low, self.high)
        return rng.uniform(self.low, self.high)


class Day(NamedTuple):
    """One day of the world, and the randomness of whoever acts in it."""

    number: int
    rng: random.Random
    outages: Sequence[tuple[float, float]] = ()

    @property
    def start(self) -> float:
        """Seconds since the world began."""
        return self.number * DAY

    @property
    def weekend(self) -> bool:
        """Saturday or Sunday: worlds begin on a Monday."""
        return self.number % 7 >= 5


def poisson(rng: random.Random, mean: float) -> int:
    """How many of many rare things happen; for a large mean the normal approximation."""
    if mean > 50:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count, product = count + 1, product * rng.random()
    return count


#: Every customer's habits: how its program uses the API, whatever the archetype.
HABITS: Final[Mapping[str, Range]] = {
    "catalogue_share": Range(0.0, 1.0),  # how often a job begins with a look at the catalogue
    "polls": Range(1.0, 5.0),  # how often a job is asked after, on average
    "parts_share": Range(0.0, 0.6),  # how often the parts of an object are read after it
    "stale_share": Range(0.0, 0.03),  # how often an object is asked for that is deleted
    "spread": Range(0.1, 0.5),  # standard deviation of the logarithm of a day's volume
    "weekend": Range(0.0, 0.7),  # a weekend day's volume, times a weekday's
    "zone_hours": Range(-8, 8),
}


class Customer:
    """One customer's side: its key, its habits, its objects, and where it calls from."""

    def __init__(self, place: int, service: Service, rng: random.Random) -> None:
        self.place = place
        self.service = service
        self.account = f"account-{place}"
        self.token = f"sk_{rng.getrandbits(96):024x}"
        self.habits = {name: span.draw(rng) for name, span in HABITS.items()}
        self.origin = Origin(places.server(rng), rng.choice(places.SDKS))
        #: Numbered objects of its own, in the order it got them.
        self.numbers: list[int] = []

    def adopt(self, rng: random.Random, count: int) -> None:
        """Get *count* new objects; the numbers between belong to others who got some at the same time."""
        service = self.service
        while count > 0:
            run = min(count, 1 + int(rng.expovariate(0.25)))
            self.numbers.extend(range(service.numbers + 1, service.numbers + run + 1))
            service.numbers += run + int(rng.expovariate(0.2))
            count -= run

    def volume(self, day: Day) -> float:
        """The factor of this day on the usual volume."""
        factor = math.exp(day.rng.gauss(0.0, self.habits["spread"]))
        return factor * (self.habits["weekend"] if day.weekend else 1.0)

    def hour(self, day: Day, hour: float) -> float:
        """When it is *hour* at the customer's place, on this day."""
        return day.start + (hour - self.habits["zone_hours"]) % 24 * HOUR

    def call(
        self,
        at: float,
        role: Role,
        item: str | int = "",
        *,
        origin: Origin | None = None,
        query: str = "",
        body: bytes | None = None,
        lasts: float = 0.0,
    ) -> Call:
        """One call with this customer's key."""
        api = self.service.api
        method = api.method(role)
        if body is None:
            body = b'{"input":"a red bicycle"}' if method in ("POST", "PATCH", "PUT") else b""
        target = api.target(role, item, query)
        return Call(at, self.place, method, target, self.token, origin or self.origin, body, lasts, str(item))

    def number(self, rng: random.Random) -> int:
        """One of its objects, the newest more often; now and then one that is deleted."""
        numbers = self.numbers
        for _ in range(20):
            number = numbers[-1 - int(len(numbers) * rng.random() ** 2)]
            if self.service.exists(number) or rng.random() < self.habits["stale_share"]:
                return number
        return numbers[-1]

    def job(self, at: float, rng: random.Random, *, origin: Origin | None = None, pace: float = 5.0) -> list[Call]:
        """The usual way to a result: look, ask the price, submit, ask until it is done, fetch the result."""
        calls = []
        if rng.random() < self.habits["catalogue_share"]:
            calls.append(self.call(at, "catalogue", origin=origin))
            at += rng.expovariate(1 / pace)
        calls.append(self.call(at, "quote", origin=origin))
        at += rng.expovariate(1 / pace)
        calls.append(self.call(at, "submit", origin=origin))
        item = opaque(rng)
        for _ in range(1 + poisson(rng, self.habits["polls"])):
            at += pace * rng.uniform(0.8, 1.2)
            calls.append(self.call(at, "fetch", item, origin=origin))
        if rng.random() < 0.9:
            at += rng.expovariate(2 / pace)
            calls.append(self.call(at, "result", opaque(rng), origin=origin))
        return calls

    def browse(
        self, at: float, rng: random.Random, details: int, *, origin: Origin | None = None, pace: float = 3.0
    ) -> list[Call]:
        """A page of the list, or a search, and some of the objects on it."""
        first: Role = "index" if rng.random() < 0.7 else "search"
        calls = [self.call(at, first, origin=origin, query=f"page={rng.randint(1, 9)}")]
        for _ in range(details):
            at += rng.expovariate(1 / pace)
            number = self.number(rng)
            calls.append(self.call(at, "detail", number, origin=origin))
            if rng.random() < self.habits["parts_share"]:
                at += rng.expovariate(2 / pace)
                calls.append(self.call(at, "parts", number, origin=origin))
        return calls


def opaque(rng: random.Random) -> str:
    """An id that nobody guesses."""
    return f"{rng.getrandbits(96):024x}"


class Generator:
    """Base of archetypes and attacks: parameters drawn once from the ranges of the class."""

    name: ClassVar[str]
    ranges: ClassVar[Mapping[str, Range]]

    def __init__(self, rng: random.Random) -> None:
        self.chosen = {name: span.draw(rng) for name, span in self.ranges.items()}

    def whole(self, name: str) -> int:
        """A drawn parameter that is a whole number."""
        return int(self.chosen[name])


class Archetype(Generator):
    """How one kind of customer uses the API. *neighbour* is the address of an office that several customers share."""

    #: Customers of a hundred, about.
    weight: ClassVar[int]

    def __init__(self, customer: Customer, rng: random.Random, neighbour: str) -> None:
        super().__init__(rng)
        self.customer = customer
        self.neighbour = neighbour
        self.settle(rng)

    def settle(self, rng: random.Random) -> None:
        """Choose what stays: addresses, agents, hours, objects."""
        self.customer.adopt(rng, 200)

    @property
    def first_day(self) -> int:
        """When the customer comes."""
        return 0

    def day(self, day: Day) -> list[Call]:
        """The calls of one day, in any order; may reach into the next."""
        raise NotImplementedError


class Attack(Generator):
    """One kind of abuse of good keys. The victims' own use goes on beside it.

    *victims* are the archetypes of the customers whose keys are used, as many as the class wants.
    """

    #: Recall that the detector is to reach; None where none is promised.
    bar: ClassVar[float | None] = None
    #: How many keys one attack uses.
    keys: ClassVar[Range] = Range(1, 1)
    #: Days that it takes.
    days: ClassVar[Range] = Range(1, 1)

    def __init__(self, victims: Sequence[Archetype], rng: random.Random) -> None:
        super().__init__(rng)
        self.victims = tuple(victims)
        self.lasts = int(self.days.draw(rng))
        self.begin = rng.uniform(0.0, 14.0)  # hour of the first day
        self.settle(rng)

    @property
    def customer(self) -> Customer:
        """The one customer, where there is one."""
        return self.victims[0].customer

    def settle(self, rng: random.Random) -> None:
        """Choose what stays: addresses, agents, targets."""

    def start(self, day: Day, nth: int) -> float:
        """When the attacker begins on its *nth* day."""
        return day.start + (self.begin if nth == 0 else day.rng.uniform(0.0, 14.0)) * HOUR

    def day(self, day: Day, nth: int) -> list[Call]:
        """The attacker's calls on the *nth* day of the attack, counted from 0."""
        raise NotImplementedError


G = TypeVar("G", bound=Generator)


def discover(folder: str, base: type[G]) -> dict[str, type[G]]:
    """The generators in *folder*, by name in alphabetical order."""
    package = import_module(f"benchmarks.session.{folder}")
    found: dict[str, type[G]] = {}
    for module in iter_modules(package.__path__):
        for thing in vars(import_module(f"{package.__name__}.{module.name}")).values():
            if _is_own(thing, base, f"{package.__name__}.{module.name}"):
                if thing.name in found:
                    raise ValueError(f"two generators are called {thing.name}")
                found[thing.name] = thing
    return dict(sorted(found.items()))


def _is_own(thing: Any, base: type[Generator], module: str) -> bool:
    return isinstance(thing, type) and issubclass(thing, base) and thing.__module__ == module

"""One world: customers by archetype, their split, and who is attacked when. Everything follows from the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from benchmarks.session import places
from benchmarks.session.api import Service
from benchmarks.session.traffic import DAY, HOUR, Archetype, Attack, Customer, Day, discover

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.session.api import Api
    from benchmarks.session.traffic import Call

Split = Literal["train", "validation", "test"]

#: Of a hundred keys of each archetype. Nothing is measured on the train keys; they are part of the population only.
SPLIT_PERCENT: Final[Mapping[Split, int]] = {"train": 15, "validation": 35, "test": 50}
#: Days before the first that is scored: a detector has to see a population before it can know one.
LEARNING_DAYS: Final = 7
#: Days before the first attack.
PEACE_DAYS: Final = 10
#: Days that a key was in use before it is attacked.
HISTORY_DAYS: Final = 3
#: Of a hundred test keys, how many are attacked, each once.
ATTACKED_PERCENT: Final = 65
#: Every so many keys there is an office that some customers share.
_KEYS_AN_OFFICE: Final = 150
_FOREVER: Final = 1_000 * DAY


@dataclass(slots=True)
class Planned:
    """One attack: when it may begin, and what became of it."""

    place: int
    attack: Attack
    day: int
    #: Days on which there was something to do for the attacker.
    done: int = 0
    began: float = -1.0
    ended: float = -1.0
    calls: int = 0
    items: set[str] = field(default_factory=set)

    @property
    def victims(self) -> tuple[int, ...]:
        """The customers whose keys are used."""
        return tuple(archetype.customer.place for archetype in self.attack.victims)


@dataclass(slots=True)
class World:
    """Customers and attackers, and the service between them."""

    seed: int
    days: int
    service: Service
    archetypes: list[Archetype]
    splits: list[Split]
    planned: list[Planned]
    #: Customer -> its attack.
    attacked: dict[int, Planned]

    @classmethod
    def make(cls, seed: int, keys: int, days: int, api: Api, now: Callable[[], float]) -> World:
        """A world of *keys* customers and *days* days."""
        rng = random.Random(f"world {seed}")
        service = Service(api, now, outages=_outages(rng, days))
        kinds = _population(rng, keys)
        offices = [places.office(rng) for _ in range(1 + keys // _KEYS_AN_OFFICE)]
        archetypes = []
        for place, kind in enumerate(kinds):
            own = random.Random(f"customer {seed} {place}")
            customer = Customer(place, service, own)
            archetypes.append(kind(customer, own, own.choice(offices)))
            since = archetypes[-1].first_day * DAY
            service.keys[customer.token] = (customer.account, since, _FOREVER)
        splits = _split(rng, archetypes)
        planned, attacked = _plan(rng, seed, days, archetypes, splits)
        return cls(seed, days, service, archetypes, splits, planned, attacked)

    def calls(self, number: int) -> list[Call]:
        """All calls that begin in what happens on day *number*; some reach into the next."""
        calls: list[Call] = []
        outages = self.service.outages
        for place, archetype in enumerate(self.archetypes):
            if number >= archetype.first_day:
                calls += archetype.day(Day(number, random.Random(f"day {self.seed} {place} {number}"), outages))
        for plan in self.planned:
            if number >= plan.day and plan.done < plan.attack.lasts:
                rng = random.Random(f"attack {self.seed} {plan.place} {number}")
                made = plan.attack.day(Day(number, rng, outages), plan.done)
                if not made:
                    continue  # nothing to copy on this day: the attacker waits for the next
                plan.done += 1
                times = [call.at for call in made]
                if plan.began < 0:
                    plan.began = min(times)
                plan.ended = max(self.day_end(number), *times)
                calls += [call._replace(attack=plan.place) for call in made]
        return calls

    @staticmethod
    def day_end(number: int) -> float:
        """When day *number* is over."""
        return (number + 1) * DAY


def _outages(rng: random.Random, days: int) -> tuple[tuple[float, float], ...]:
    """One or two outages of 10 to 90 minutes in the scored days, at any hour."""
    found = []
    for _ in range(rng.randint(1, 2)):
        begin = rng.uniform(LEARNING_DAYS, max(LEARNING_DAYS + 1, days - 1)) * DAY
        found.append((begin, begin + rng.uniform(1 / 6, 1.5) * HOUR))
    return tuple(sorted(found))


def _population(rng: random.Random, keys: int) -> list[type[Archetype]]:
    """As many of each archetype as its weight says, at least one, in random order."""
    kinds = discover("benign", Archetype)
    total = sum(kind.weight for kind in kinds.values())
    chosen = [kind for kind in kinds.values() for _ in range(max(1, keys * kind.weight // total))]
    chosen += rng.choices(list(kinds.values()), [kind.weight for kind in kinds.values()], k=max(0, keys - len(chosen)))
    rng.shuffle(chosen)
    return chosen


def _split(rng: random.Random, archetypes: list[Archetype]) -> list[Split]:
    """Whole keys to one split each, in the same shares in every archetype."""
    splits: list[Split] = ["train"] * len(archetypes)
    by_kind: dict[str, list[int]] = {}
    for place, archetype in enumerate(archetypes):
        by_kind.setdefault(archetype.name, []).append(place)
    for name in sorted(by_kind):
        members = by_kind[name]
        rng.shuffle(members)
        offset = rng.randrange(100)
        for position, place in enumerate(members):
            share = (offset + position * 100 // len(members)) % 100
            bound = 0
            for split, percent in SPLIT_PERCENT.items():
                bound += percent
                if share < bound:
                    splits[place] = split
                    break
    return splits


def _plan(
    rng: random.Random, seed: int, days: int, archetypes: list[Archetype], splits: list[Split]
) -> tuple[list[Planned], dict[int, Planned]]:
    """Deal the test keys out to the attack kinds, one attack a key."""
    kinds = list(discover("attacks", Attack).values())
    free = [place for place, split in enumerate(splits) if split == "test"]
    budget = len(free) * ATTACKED_PERCENT // 100
    rng.shuffle(free)
    planned: list[Planned] = []
    attacked: dict[int, Planned] = {}
    # In rounds, so that all kinds get as many; one that needs several keys is in every other round only.
    turn = 0
    while budget > 0:
        before = budget
        for kind in kinds:
            wanted = int(kind.keys.draw(rng))
            if (wanted > 1 and turn % 2) or wanted > budget:
                continue
            lasts_most = int(kind.days.high)
            day = rng.randint(PEACE_DAYS, max(PEACE_DAYS, days - lasts_most - 1))
            known = [place for place in free if archetypes[place].first_day + HISTORY_DAYS <= day][:wanted]
            if len(known) < wanted:
                continue
            place = len(planned)
            victims = [archetypes[victim] for victim in known]
            plan = Planned(place, kind(victims, random.Random(f"attacker {seed} {place}")), day)
            planned.append(plan)
            for victim in known:
                free.remove(victim)
                attacked[victim] = plan
            budget -= wanted
        turn += 1
        if budget == before and turn % 2 == 0:
            break
    return planned, attacked

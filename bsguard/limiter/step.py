"""What one request asks of the store: counters, marks and bans, gathered by several parts and taken in one call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from bsguard.stores.port import Change, Rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from bsguard.core.verdict import Finding
    from bsguard.stores.port import Ban, Counter, Taken

    #: Whether a finding would refuse a request: False if it would only be reported, None if it is switched off.
    Stance = Callable[[Finding], bool | None]

SECOND_US: Final = 1_000_000

#: What is longer, such as a credential of a whole header's size, is worked out each time: clients choose it, and it
#: must not fill the memory of a worker.
REMEMBERED_CHARS_MAX: Final = 2048

#: What is counted while a rule only reports has names of its own, so that nothing of it is ever enforced.
_REPORTED: Final = "monitor "


class Who(NamedTuple):
    """The client of a request, as far as limits go by it."""

    #: What the store calls it: the address, or the /64 of an IPv6 address.
    client: str
    #: The /48 of an IPv6 address; empty for any other.
    site: str
    #: The credential that it presents; empty without one.
    credential: str
    #: In a network that is neither limited by address nor banned.
    exempt: bool
    #: The address stands for everybody, so that what goes by it can only be reported.
    nobody: bool
    #: Whether its conduct is watched: its credentials, what it looks for, bans.
    watched: bool


class Limit(NamedTuple):
    """A counter that may refuse: what it is called, how fast it drains, and what is found when it is full."""

    name: str
    rate: Rate
    finding: Finding
    #: Its item of ``RateLimit-Policy``; empty when clients are not told of it.
    policy: str = ""
    #: Whether it counts what is in flight, so that there may be room again at any moment.
    at_once: bool = False

    def left(self, load_us: int) -> int:
        """Units that still fit."""
        return max(0, (self.rate.emission_us * self.rate.capacity - load_us) // self.rate.emission_us)


class Charge(NamedTuple):
    """One counter of a step, and the limit that it belongs to."""

    limit: Limit
    counter: Counter
    #: What is found when it is full: the limit's finding, or the same one that can only report.
    finding: Finding

    def wait_seconds(self, load_us: int) -> int:
        """Whole seconds until there is room again, one at the least."""
        if self.limit.at_once:
            return 1
        emission, capacity = self.limit.rate
        missing = load_us + emission * (self.counter.cost or 1) - emission * capacity
        return max(1, -(-missing // SECOND_US))


@dataclass(slots=True)
class Step:
    """Filled by the parts of the layer, then taken from the store at once."""

    charges: list[Charge] = field(default_factory=list)
    marks: list[bytes] = field(default_factory=list)
    bans: list[Ban] = field(default_factory=list)

    def mark(self, key: bytes) -> int:
        """Ask for a mark; its position."""
        self.marks.append(key)
        return len(self.marks) - 1

    def charge(self, limit: Limit, counter: Counter) -> int:
        """Add a counter; its position."""
        self.charges.append(Charge(limit, counter, limit.finding))
        return len(self.charges) - 1

    def refused(self, taken: Taken) -> bool:
        """Whether one of the counters refused, so that none was charged."""
        return any(not self.charges[position].counter.soft for position in taken.over)

    def given_back(self, taken: Taken, positions: tuple[int, ...]) -> list[Change]:
        """What undoes those of the charges at *positions* that were made when the step was *taken*."""
        return [Change(counter.key, counter.rate, -counter.cost) for counter in self._charged(taken, positions)]

    def places_back(self, taken: Taken, positions: tuple[int, ...], lasted_us: int) -> list[Change]:
        """The same for places of a request that *lasted_us*.

        Meanwhile a part of its charge has drained away: its share, one of as many as there are places. If all of the
        charge went back, places that are taken all the time would become more and more.
        """
        changes: list[Change] = []
        for counter in self._charged(taken, positions):
            emission, capacity = counter.rate
            left_us = max(0, emission - max(0, lasted_us) // capacity) * counter.cost
            changes.append(Change(counter.key, Rate(1, emission * capacity), -left_us))
        return changes

    def _charged(self, taken: Taken, positions: tuple[int, ...]) -> list[Counter]:
        """The counters of those charges at *positions* that were made."""
        if taken.banned_until_us or self.refused(taken):
            return []
        return [
            self.charges[position].counter
            for position in positions
            if taken.loads_us[position] >= 0 and position not in taken.over
        ]


def named(name: str, *, hard: bool) -> str:
    """The name under which something is counted."""
    return name if hard else _REPORTED + name

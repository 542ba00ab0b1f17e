"""What gives scores: the session layer through its events, the static limit that it is compared with.

A score is a tuple of numbers, mostly one; :mod:`benchmarks.session.statistics` makes one number of several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from bsguard.core.events import RequestFinished

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.session.traffic import Call
    from bsguard.core.events import Event

Score = tuple[float, ...]
#: (customer, day) -> the highest score, and the signals that made it.
Reasons = dict[tuple[int, int], tuple[float, tuple[str, ...]]]

#: What a static limit on misses counts.
MISSES: Final = frozenset({404, 405})


class Scorer(Protocol):
    """Hears of every answer, and says whose score it raised to what."""

    @property
    def name(self) -> str:
        """What stands in the tables."""
        ...

    def seen(self, call: Call, day: int, status: int) -> Iterable[tuple[int, Score]]:
        """The customers whose scores have come to be known since the last call, with these."""
        ...


class SessionScores:
    """The sink for a guard's events: takes the score of whatever event of the session layer carries one."""

    name = "session"

    def __init__(self) -> None:
        self._customers: dict[str, int] = {}
        self._heard: list[tuple[str, float, tuple[str, ...]]] = []
        self.reasons: Reasons = {}
        self._identity = ""
        #: How often each of the layer's events came.
        self.events: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        if type(event) is RequestFinished:
            self._identity = event.identity
        elif event.name.startswith("session."):
            self.events[event.name] = self.events.get(event.name, 0) + 1
            score = getattr(event, "score", None)
            if score is not None:
                heard = (getattr(event, "identity", ""), float(score), getattr(event, "signals", ()))
                self._heard.append(heard)

    def seen(self, call: Call, day: int, status: int) -> Iterable[tuple[int, Score]]:
        """The scores in the events since the last call, by the customer whose key the identity stands for."""
        if self._identity not in self._customers:
            self._customers[self._identity] = call.customer
        if not self._heard:
            return ()
        heard, self._heard = self._heard, []
        found: list[tuple[int, Score]] = []
        for identity, score, signals in heard:
            customer = self._customers.get(identity)
            if customer is not None:
                found.append((customer, (score,)))
                self.reasons[customer, day] = max(self.reasons.get((customer, day), (0.0, ())), (score, signals))
        return found


class Static:
    """What a limiter could do: requests of a key in a day, and its misses in a day."""

    name = "static"

    def __init__(self) -> None:
        self._day = -1
        self._counts: dict[int, list[float]] = {}

    def seen(self, call: Call, day: int, status: int) -> Iterable[tuple[int, Score]]:
        """The two counts of the key, which begin anew every day."""
        if day != self._day:
            self._day, self._counts = day, {}
        counts = self._counts.setdefault(call.customer, [0.0, 0.0])
        counts[0] += 1
        counts[1] += status in MISSES
        return ((call.customer, (counts[0], counts[1])),)

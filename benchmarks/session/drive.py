"""Lets a world happen: every call in the order of time through the guarded application, under a clock of its own."""

from __future__ import annotations

import gc
import io
import sys
import tempfile
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks.session.traffic import DAY
from benchmarks.session.world import LEARNING_DAYS, World
from bsguard import guard, testing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.session.api import Api
    from benchmarks.session.scorers import Score, Scorer
    from benchmarks.session.traffic import Call
    from benchmarks.session.world import Planned, Split

#: Monday, 1 June 2026, 00:00 UTC.
EPOCH: Final = 1_780_272_000.0


class Raised(NamedTuple):
    """A score that an attacked key came to, and what the attacker had by then."""

    score: Score
    calls: int
    items: int


@dataclass(slots=True)
class Seen:
    """What one scorer said in one world."""

    #: (customer, day) -> highest score of each part, for days of honest use.
    days: dict[tuple[int, int], Score] = field(default_factory=dict)
    #: Attack -> every rise of a part's highest score since it began.
    attacks: dict[int, list[Raised]] = field(default_factory=dict)


class Attacked(NamedTuple):
    """One attack that took place."""

    place: int
    kind: str
    victims: tuple[int, ...]
    #: All that the attacker sent and got.
    calls: int
    items: int


@dataclass(frozen=True, slots=True)
class Played:
    """What is left of a world that has happened."""

    seed: int
    api: str
    days: int
    #: Of each customer.
    archetypes: tuple[str, ...]
    splits: tuple[Split, ...]
    attacks: tuple[Attacked, ...]
    seen: Mapping[str, Seen]
    requests: int
    #: Days on which a customer made calls, all of them its own, after the time of learning.
    honest: frozenset[tuple[int, int]]
    statuses: Mapping[int, int]


def play(
    seed: int,
    keys: int,
    days: int,
    api: Api,
    scorers: Sequence[Scorer],
    *,
    sink: Any = None,
    config: Mapping[str, object],
) -> Played:
    """Make the world of *seed* and let it happen behind a guard with *config*, whose events go to *sink*."""
    clock = testing.FakeClock(EPOCH)
    world = World.make(seed, keys, days, api, lambda: clock.now() - EPOCH)
    with tempfile.TemporaryDirectory(prefix="bsguard-bench-") as folder:
        settings = {"STATE_DIR": folder, "SECRET_KEYS": ["k" * 40], "EVENTS_STORED": False, "EVENTS_LOGGED": False}
        app = guard(world.service, settings | dict(config), clock=clock, emit=sink)
        return _Play(world, app, clock, scorers).run()


class _Play:
    """One run; holds what is open while it lasts."""

    def __init__(self, world: World, app: Any, clock: testing.FakeClock, scorers: Sequence[Scorer]) -> None:
        self.world = world
        self.app = app
        self.clock = clock
        self.scorers = [(scorer, Seen()) for scorer in scorers]
        self.requests = 0
        self.honest: set[tuple[int, int]] = set()
        self.statuses: dict[int, int] = {}
        self._status = 0
        #: Now, in seconds since the world began; the clock counts from the epoch and has fewer digits for it.
        self._at = 0.0
        self._open: list[tuple[float, int, Call, int, Any]] = []
        self._template = testing.environ(HTTP_HOST="api.example") | {"wsgi.url_scheme": "https"}

    def run(self) -> Played:
        """All days."""
        later: list[Call] = []
        for number in range(self.world.days):
            end = self.world.day_end(number)
            calls = later + self.world.calls(number)
            calls.sort(key=_when)
            later = [call for call in calls if call.at >= end]
            # Millions of small objects that live for a day: the collector would walk through them again and again.
            gc.freeze()
            for call in calls[: len(calls) - len(later)]:
                if self._open and self._open[0][0] <= call.at:
                    self._close_until(call.at)
                self._send(call, number)
            gc.unfreeze()
            if sys.stderr.isatty():
                print(f"\r  world {self.world.seed}: day {number + 1} of {self.world.days}", end="", file=sys.stderr)
        self._close_until(float("inf"))
        seen = {scorer.name: seen for scorer, seen in self.scorers}
        world = self.world
        attacks = [
            Attacked(plan.place, plan.attack.name, plan.victims, plan.calls, len(plan.items))
            for plan in world.planned
            if plan.began >= 0
        ]
        return Played(
            world.seed,
            world.service.api.name,
            world.days,
            tuple(archetype.name for archetype in world.archetypes),
            tuple(world.splits),
            tuple(attacks),
            seen,
            self.requests,
            frozenset(self.honest),
            self.statuses,
        )

    def _send(self, call: Call, day: int) -> None:
        self._until(call.at)
        plan = self.world.attacked.get(call.customer)
        if call.attack >= 0 and plan is not None:
            plan.calls += 1
        elif day >= LEARNING_DAYS and (plan is None or plan.began < 0 or day < plan.began // DAY):
            self.honest.add((call.customer, day))
        self._status = 0
        chunks = self.app(self._environ(call), self._start)
        status = self._status
        self.requests += 1
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if call.attack >= 0 and plan is not None and call.item and status < 300:
            plan.items.add(call.item)
        if call.lasts:
            heappush(self._open, (call.at + call.lasts, self.requests, call, status, chunks))
        else:
            self._finish(call, day, status, chunks)

    def _close_until(self, at: float) -> None:
        while self._open and self._open[0][0] <= at:
            end, _, call, status, chunks = heappop(self._open)
            self._until(end)
            self._finish(call, int(end // DAY), status, chunks)

    def _finish(self, call: Call, day: int, status: int, chunks: Any) -> None:
        for _ in chunks:
            pass
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
        for scorer, seen in self.scorers:
            for customer, score in scorer.seen(call, day, status):
                self._note(seen, customer, day, score)

    def _note(self, seen: Seen, customer: int, day: int, score: Score) -> None:
        plan = self.world.attacked.get(customer)
        if plan is not None and 0 <= plan.began <= self._at:
            if self._at <= plan.ended:
                self._note_attack(seen, plan, score)
            return  # what comes after an attack is neither use nor abuse
        before = seen.days.get((customer, day))
        if before is None:
            seen.days[customer, day] = score
        elif any(new > old for new, old in zip(score, before, strict=True)):
            seen.days[customer, day] = tuple(map(max, score, before))

    @staticmethod
    def _note_attack(seen: Seen, plan: Planned, score: Score) -> None:
        rises = seen.attacks.setdefault(plan.place, [])
        before = rises[-1].score if rises else tuple(float("-inf") for _ in score)
        if any(new > old for new, old in zip(score, before, strict=True)):
            rises.append(Raised(tuple(map(max, score, before)), plan.calls, len(plan.items)))

    def _until(self, at: float) -> None:
        self._at = max(self._at, at)
        self.clock.advance(max(0.0, EPOCH + self._at - self.clock.now()))

    def _start(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        self._status = int(status[:3])
        return _written

    def _environ(self, call: Call) -> dict[str, Any]:
        environ = self._template.copy()
        path, _, query = call.target.partition("?")
        environ["REQUEST_METHOD"] = call.method
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        environ["RAW_URI"] = call.target
        environ["REMOTE_ADDR"] = call.origin.address
        environ["HTTP_USER_AGENT"] = call.origin.agent
        environ["HTTP_AUTHORIZATION"] = f"Bearer {call.token}"
        environ["wsgi.input"] = io.BytesIO(call.body)
        if call.body:
            environ["CONTENT_TYPE"] = "application/json"
            environ["CONTENT_LENGTH"] = str(len(call.body))
        return environ


def _when(call: Call) -> float:
    return call.at


def _written(data: bytes) -> None:
    raise NotImplementedError("the applications here answer with chunks")

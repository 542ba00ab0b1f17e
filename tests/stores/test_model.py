"""All stores and an exact model take the same random steps, and say the same at each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from bsguard.stores.port import Ban, Change, Counter, Rate, Taken
from bsguard.stores.table import LATE_US_MAX
from tests.stores.support import KEYS, KINDS, SECOND, START_US, crowd, open_kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bsguard.stores.port import Store
    from tests.stores.support import RedisServer

# Eight at most of one bucket, so that no store forgets any.
COUNTERS = [KEYS.counter("ip", str(number)) for number in range(3)] + list(crowd("counter", "same", 5))
MARKS = [KEYS.mark("known", str(number)) for number in range(2)] + list(crowd("mark", "same", 2))
BANS = [KEYS.ban(str(number)) for number in range(3)]

keys = st.sampled_from(COUNTERS)
positions = st.lists(st.integers(0, 1), max_size=2, unique=True).map(tuple)
rates = st.sampled_from([Rate.of(1, 1), Rate.of(3, 60), Rate.of(10, 1), Rate.of(1000, 86_400), Rate.of(7, 3)])
microseconds = st.sampled_from([0, 1, 500_000, SECOND, 60 * SECOND, 86_400 * SECOND])
costs = st.sampled_from([0, 1, 1, 1, 2, 5, 1000])
counters = st.builds(
    Counter,
    key=keys,
    rate=rates,
    cost=costs,
    soft=st.booleans(),
    unless=positions,
    mark=st.integers(-1, 1),
    mark_us=microseconds,
)


class Model:
    """A number for each key: how full a counter was and when, and until when a mark or ban holds."""

    def __init__(self) -> None:
        self.full: dict[bytes, tuple[int, int]] = {}
        self.until: dict[bytes, int] = {}

    def load(self, now: int, key: bytes, rate: Rate) -> int:
        load, at = self.full.get(key, (0, now))
        load, full = max(load - (now - at), 0), rate.emission_us * rate.capacity
        return load if load <= full else full if load <= full + LATE_US_MAX else 0

    def take(self, now: int, counters: Sequence[Counter], marks: Sequence[bytes], bans: Sequence[Ban]) -> Taken:
        held = tuple(self.until.get(mark, 0) > now for mark in marks)
        for ban in bans:
            if self.until.get(ban.key, 0) > now and not any(held[place] for place in ban.unless):
                return Taken(self.until[ban.key], (), (), held, now)
        counted = [not any(held[place] for place in counter.unless) for counter in counters]
        loads = [self.load(now, one.key, one.rate) if use else -1 for one, use in zip(counters, counted, strict=True)]
        over = tuple(
            place
            for place, one in enumerate(counters)
            if counted[place]
            and loads[place] + max(one.cost, 1) * one.rate.emission_us > one.rate.emission_us * one.rate.capacity
        )
        if all(counters[place].soft for place in over):
            for place, one in enumerate(counters):
                if counted[place] and place not in over and one.cost:
                    loads[place] += one.cost * one.rate.emission_us
                    self.full[one.key] = (loads[place], now)
                    if one.mark >= 0:
                        self.hold(now, marks[one.mark], now + one.mark_us)
        return Taken(0, over, tuple(loads), held, now)

    def settle(self, now: int, changes: Sequence[Change], marks: Sequence[tuple[bytes, int]]) -> list[int]:
        loads = []
        for key, rate, units in changes:
            load = self.load(now, key, rate) + units * rate.emission_us
            loads.append(min(max(load, 0), rate.emission_us * rate.capacity))
            self.full[key] = (loads[-1], now) if loads[-1] else (0, 0)
        for mark, lasting in marks:
            self.hold(now, mark, now + lasting)
        return loads

    def ban(self, now: int, key: bytes, until: int) -> None:
        if until <= now or until > self.until.get(key, 0):
            self.hold(now, key, until)

    def hold(self, now: int, key: bytes, until: int) -> None:
        """What has passed is gone, even if the clock is set back."""
        self.until[key] = until if until > now else 0


class Steps(RuleBasedStateMachine):
    stores: dict[str, Store]
    seen: list[str]

    @initialize()
    def begin(self) -> None:
        self.model = Model()
        self.now = START_US
        for store in self.stores.values():
            store.reset()

    @rule(step=st.sampled_from([1, 333_333, SECOND, 20 * SECOND, 3600 * SECOND]))
    def time_passes(self, step: int) -> None:
        self.now += step

    @precondition(lambda self: self.now > START_US)
    @rule(step=st.sampled_from([1, SECOND, 60 * SECOND]))
    def clock_is_set_back(self, step: int) -> None:
        self.now -= step

    @rule(
        counters=st.lists(counters, max_size=5, unique_by=lambda one: one.key),
        marks=st.lists(st.sampled_from(MARKS), min_size=2, max_size=4, unique=True),
        bans=st.lists(st.builds(Ban, st.sampled_from(BANS), positions), max_size=2),
    )
    def take(self, counters: list[Counter], marks: list[bytes], bans: list[Ban]) -> None:
        self._same("take", counters, marks, bans)

    @rule(
        changes=st.lists(st.builds(Change, keys, rates, st.integers(-5, 5)), max_size=3),
        marks=st.lists(st.tuples(st.sampled_from(MARKS), microseconds), max_size=2),
    )
    def settle(self, changes: list[Change], marks: list[tuple[bytes, int]]) -> None:
        self._same("settle", changes, marks)

    @rule(key=st.sampled_from(BANS), lasting=st.sampled_from([-1, 0, 1, SECOND, 3600 * SECOND]))
    def ban(self, key: bytes, lasting: int) -> None:
        self._same("ban", key, self.now + lasting)

    def _same(self, method: str, *arguments: Any) -> None:
        expected = getattr(self.model, method)(self.now, *arguments)
        self.seen.append(method)
        for name, store in self.stores.items():
            assert (name, getattr(store, method)(self.now, *arguments)) == (name, expected)


def test_all_stores_do_what_the_model_does(redis_server: RedisServer, folder: Path) -> None:
    places = dict.fromkeys(KINDS, str(folder)) | {"redis": redis_server.url}
    made = {kind: open_kind(kind, places[kind], **{"caller_time": True} if kind == "redis" else {}) for kind in KINDS}
    seen: list[str] = []

    class Here(Steps):
        stores = made

    Here.seen = seen
    checks = (HealthCheck.too_slow, HealthCheck.data_too_large)
    bounds = settings(max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(Here, settings=bounds)
    for store in made.values():
        store.close()
    assert {name: seen.count(name) > 100 for name in ("take", "settle", "ban")} == dict.fromkeys(
        ("take", "settle", "ban"), True
    )

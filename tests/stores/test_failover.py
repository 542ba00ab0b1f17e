"""The breaker, with stores that fail on command and a clock that moves on command."""

from __future__ import annotations

import os
import threading

import pytest

from bsguard.core.errors import StateUnusable
from bsguard.core.events import Event, StateDegraded, StateRecovered
from bsguard.stores.failover import ERRORS_MAX, PAUSE_SECONDS_FIRST, PAUSE_SECONDS_MAX, Failover
from bsguard.stores.memory import MemoryStore
from bsguard.stores.port import Ban, Change, Counter, Rate, Taken
from bsguard.testing import FakeClock
from tests.stores.support import KEYS, START_US

KEY = KEYS.counter("ip", "192.0.2.1")
BAN = KEYS.ban("192.0.2.1")
RATE = Rate.of(100, 60)


class Breaking(MemoryStore):
    """Counts calls; fails while it is down."""

    name = "redis"  # type: ignore[misc]
    reach = "machines"  # type: ignore[misc]

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.down = False

    def take(self, *arguments: object) -> Taken:
        self.calls += 1
        if self.down:
            raise StateUnusable("it is down")
        return super().take(*arguments)


class Bench:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.primary = Breaking()
        self.fallback = MemoryStore()
        self.seconds = 0.0
        self.store = Failover(
            self.primary,
            self.fallback,
            self.events.append,
            clock=FakeClock(),
            monotonic=lambda: self.seconds,
            share=lambda: 1.0,
        )

    def take(self) -> Taken:
        return self.store.take(START_US, [Counter(KEY, RATE)])

    def told(self) -> list[type[Event]]:
        return [type(event) for event in self.events]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def loads(bench: Bench) -> tuple[int, int]:
    stores = (bench.primary, bench.fallback)
    first, second = (MemoryStore.take(store, START_US, [Counter(KEY, RATE, 0)]).loads_us[0] for store in stores)
    return first // RATE.emission_us, second // RATE.emission_us


def test_while_all_is_well_the_fallback_is_left_alone(bench: Bench) -> None:
    for _ in range(5):
        bench.take()
    assert loads(bench) == (5, 0)
    assert bench.events == []
    assert (bench.store.name, bench.store.reach) == ("redis", "machines")


def test_each_call_that_fails_is_answered_by_the_fallback(bench: Bench) -> None:
    bench.primary.down = True
    assert bench.take().loads_us == (RATE.emission_us,)
    assert bench.take().loads_us == (2 * RATE.emission_us,)
    assert bench.events == []
    bench.primary.down = False
    bench.take()
    bench.primary.down = True
    bench.take()
    bench.take()
    assert bench.events == []  # three errors, but never three in a row


def test_after_three_errors_in_a_row_the_primary_is_left_alone(bench: Bench) -> None:
    bench.primary.down = True
    for _ in range(10):
        bench.take()
    assert bench.primary.calls == ERRORS_MAX == 3
    assert loads(bench) == (0, 10)
    assert bench.told() == [StateDegraded]
    (event,) = bench.events
    assert isinstance(event, StateDegraded)
    assert (event.part, event.reason) == ("store", "it is down")
    assert event.lost == "limits and bans hold in each worker by itself, in the store memory"
    assert (bench.store.name, bench.store.reach) == ("memory", "process")


def test_pauses_grow_and_end_at_their_maximum(bench: Bench) -> None:
    bench.primary.down = True
    for _ in range(3):
        bench.take()
    seen = []
    last = bench.seconds
    while len(seen) < 7:
        bench.seconds += 0.25
        before = bench.primary.calls
        bench.take()
        if bench.primary.calls > before:
            seen.append(bench.seconds - last)
            last = bench.seconds
    assert seen == [1, 2, 4, 8, 16, 30, 30]
    assert (PAUSE_SECONDS_FIRST, PAUSE_SECONDS_MAX) == (1, 30)
    assert bench.told() == [StateDegraded]


def test_the_first_try_that_succeeds_brings_it_back(bench: Bench) -> None:
    bench.primary.down = True
    for _ in range(3):
        bench.take()
    bench.primary.down = False
    bench.take()
    assert bench.primary.calls == 3
    bench.seconds += 1
    bench.take()
    bench.take()
    assert bench.primary.calls == 5
    assert bench.told() == [StateDegraded, StateRecovered]
    assert bench.store.name == "redis"
    bench.primary.down = True
    for _ in range(3):
        bench.take()
    assert bench.told() == [StateDegraded, StateRecovered, StateDegraded]
    bench.seconds += 1  # the pauses began anew
    bench.take()
    assert bench.primary.calls == 9


def test_pauses_differ_between_workers() -> None:
    store = Failover(Breaking(), MemoryStore(), lambda event: None, monotonic=lambda: 0.0)
    pauses = set()
    for _ in range(20):
        store._pause = 0.0
        store.drop(StateUnusable("down"))
        pauses.add(store._next_try)
    assert len(pauses) > 10
    assert all(0.5 <= pause <= 1.0 for pause in pauses)


def test_one_call_at_a_time_tries_again(bench: Bench) -> None:
    bench.store.drop(StateUnusable("down"))
    bench.seconds += 1
    entered, go_on = threading.Event(), threading.Event()

    class Slow(Breaking):
        def take(self, *arguments: object) -> Taken:
            self.calls += 1
            entered.set()
            assert go_on.wait(10)
            return MemoryStore.take(self, *arguments)

    slow = bench.store.primary = Slow()
    thread = threading.Thread(target=bench.take)
    thread.start()
    assert entered.wait(10)
    for _ in range(5):
        bench.take()
    assert slow.calls == 1
    assert loads(bench)[1] == 5
    go_on.set()
    thread.join(10)
    bench.take()
    assert slow.calls == 2
    assert bench.told() == [StateDegraded, StateRecovered]


def test_a_try_that_ends_by_a_bug_is_not_the_last(bench: Bench) -> None:
    class Buggy(Breaking):
        def take(self, *arguments: object) -> Taken:
            self.calls += 1
            raise ZeroDivisionError

    bench.store.drop(StateUnusable("down"))
    buggy = bench.store.primary = Buggy()
    bench.seconds += 1
    for calls in (1, 2):
        with pytest.raises(ZeroDivisionError):
            bench.take()
        assert buggy.calls == calls


def test_all_steps_fall_back(bench: Bench) -> None:
    class Dead(Breaking):
        def settle(self, *arguments: object) -> list[int]:
            raise StateUnusable("down")

        def ban(self, *arguments: object) -> None:
            raise StateUnusable("down")

    bench.store.primary = Dead()
    assert bench.store.settle(START_US, [Change(KEY, RATE, 2)]) == [2 * RATE.emission_us]
    bench.store.ban(START_US, BAN, START_US + 9)
    assert bench.fallback.take(START_US, [], [], [Ban(BAN)]).banned_until_us == START_US + 9


def test_when_both_are_down_the_caller_hears_of_it(bench: Bench) -> None:
    broken = bench.store.fallback = Breaking()
    bench.primary.down = broken.down = True
    for _ in range(5):
        with pytest.raises(StateUnusable):
            bench.take()


def test_one_behind_the_other(bench: Bench) -> None:
    """A server, then this machine, then this process: each drop is said."""
    middle = Breaking()
    last = MemoryStore()
    inner = Failover(middle, last, bench.events.append, clock=FakeClock(), monotonic=lambda: bench.seconds)
    bench.store.fallback = inner
    bench.primary.down = middle.down = True
    for _ in range(6):
        bench.take()
    assert last.take(START_US, [Counter(KEY, RATE, 0)]).loads_us == (6 * RATE.emission_us,)
    assert bench.told() == [StateDegraded, StateDegraded]
    assert bench.store.reach == "process"


def test_a_sink_that_fails_takes_no_answer_away(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Event) -> None:
        raise RuntimeError("full")

    bench.store._announce = broken
    bench.primary.down = True
    for _ in range(5):
        assert bench.take().over == ()
    assert "state.degraded could not be reported" in caplog.text


def test_reset_and_close_reach_both(bench: Bench) -> None:
    bench.take()
    bench.fallback.take(START_US, [Counter(KEY, RATE)])
    bench.store.reset()
    assert loads(bench) == (0, 0)
    bench.store.close()


def test_a_fork_in_the_middle_of_a_try_leaves_the_child_free_to_try() -> None:
    bench = Bench()
    bench.store.drop(StateUnusable("down"))
    bench.seconds += 1
    bench.store._trying = True
    bench.store._lock.acquire()
    child = os.fork()
    if child == 0:
        bench.take()
        os._exit(0 if bench.primary.calls == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

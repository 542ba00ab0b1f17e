"""The storage that `limits` gets: the same answers as its own in memory, in files that all processes share."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import limits
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits.storage import MemoryStorage, SlidingWindowCounterSupport
from limits.strategies import STRATEGIES

from bsguard.stores import limits_storage
from bsguard.testing import FakeClock
from tests.stores.limits_support import KINDS, opened, usable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bsguard.stores.limits_storage import SharedStorage

# Older releases' own storage in memory forgets no sliding window counter.
CLEARS_SLIDING = hasattr(SlidingWindowCounterSupport, "clear_sliding_window")
NAMES = ("fixed-window", "moving-window", "sliding-window-counter")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return usable(request.param)


@pytest.fixture
def storage(kind: str, tmp_path: Path) -> Iterator[SharedStorage]:
    made = opened(kind, tmp_path / "state")
    yield made
    made._file.close()


class Reference(MemoryStorage):
    """limits' own storage, without the thread that tidies up."""

    def _MemoryStorage__schedule_expiry(self) -> None:
        pass


# The same answers as MemoryStorage.

ITEMS = ("5 per second", "3 per 7 second", "1 per minute", "40 per minute", "2 per hour")
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(("hit", "hit", "hit", "test", "stats", "clear", "pass", "pass")),
        st.sampled_from(ITEMS),
        st.sampled_from(("one", "two")),
        st.integers(1, 6),
        st.sampled_from((0.001, 0.25, 0.9, 3.3, 30.0, 59.0, 4000.0)),
    ),
    max_size=80,
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_every_strategy_answers_as_in_memory(
    storage: SharedStorage, name: str, operations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    stopped = SimpleNamespace(time=clock.now)
    monkeypatch.setattr("limits.storage.memory.time", stopped)
    monkeypatch.setattr("limits.strategies.time", stopped)
    storage.reset()
    storage._clock = clock
    reference = Reference()
    ours, theirs = STRATEGIES[name](storage), STRATEGIES[name](reference)
    for step, (operation, text, key, cost, pause) in enumerate(operations):
        item = limits.parse(text)
        # Never quite a whole second later, nor where a share of the window before is a whole number but for rounding.
        clock.advance(pause * (operation == "pass") + 0.000_137)
        while name == "sliding-window-counter" and on_edge(reference, item, key):
            clock.advance(0.000_011)
        if operation == "hit":
            assert ours.hit(item, key, cost=cost) is theirs.hit(item, key, cost=cost), step
        elif operation == "test":
            assert ours.test(item, key, cost=cost) is theirs.test(item, key, cost=cost), step
        elif operation == "clear" and (name in NAMES[:2] or CLEARS_SLIDING):
            ours.clear(item, key)
            theirs.clear(item, key)
        ours_now, theirs_now = ours.get_window_stats(item, key), theirs.get_window_stats(item, key)
        assert ours_now.remaining == theirs_now.remaining, step
        end = theirs_now.reset_time
        if name == "moving-window" and ours_now.remaining == item.amount:
            end = clock.now() + item.get_expiry()  # as limits says; its memory tells of hits that have expired
        assert ours_now.reset_time == pytest.approx(end, abs=0.001), step


def on_edge(reference: Reference, item: limits.RateLimitItem, key: str) -> bool:
    previous, left, _, _ = reference.get_sliding_window(item.key_for(key), item.get_expiry())
    seen = previous * left / item.get_expiry()
    turn = item.get_expiry() / (previous or 1)

    return bool(previous) and (abs(seen - round(seen)) < 1e-5 or min(left % turn, turn - left % turn) < 0.002)


@pytest.mark.parametrize("name", NAMES)
def test_two_strategies_on_one_key_do_not_meet(storage: SharedStorage, name: str) -> None:
    item = limits.parse("3 per hour")
    for other in NAMES:
        if other != name:
            assert STRATEGIES[other](storage).hit(item, "key", cost=3)

    assert [STRATEGIES[name](storage).hit(item, "key") for _ in range(4)] == [True, True, True, False]


def test_a_window_can_begin_anew_with_every_hit(storage: SharedStorage) -> None:
    storage._clock = clock = FakeClock()
    for _ in range(5):
        clock.advance(50)
        count = storage.incr("key", 60, elastic_expiry=True)

    assert count == 5
    assert storage.get_expiry("key") == clock.now() + 60


@pytest.mark.parametrize("name", NAMES)
def test_reset_forgets_all_and_clear_one(storage: SharedStorage, name: str) -> None:
    item, strategy = limits.parse("1 per hour"), STRATEGIES[name](storage)
    assert strategy.hit(item, "a")
    assert strategy.hit(item, "b")
    strategy.clear(item, "a")

    assert [strategy.hit(item, key) for key in "ab"] == [True, False]
    storage.reset()
    assert [strategy.hit(item, key) for key in "ab"] == [True, True]


# One folder, one count.


@pytest.mark.parametrize("name", NAMES)
def test_storages_of_one_folder_share_their_counts(kind: str, tmp_path: Path, name: str) -> None:
    item = limits.parse("100 per day")
    strategies = [STRATEGIES[name](opened(kind, tmp_path / "state")) for _ in range(3)]

    assert sum(strategy.hit(item, "key") for _ in range(50) for strategy in strategies) == 100


@pytest.mark.parametrize("name", NAMES)
def test_threads_are_counted_exactly(storage: SharedStorage, name: str) -> None:
    item, strategy = limits.parse("200 per day"), STRATEGIES[name](storage)
    with ThreadPoolExecutor(8) as pool:
        allowed = sum(pool.map(lambda _: strategy.hit(item, "key"), range(600)))

    assert allowed == 200


@pytest.mark.parametrize("name", NAMES)
def test_forked_processes_are_counted_exactly(storage: SharedStorage, name: str, tmp_path: Path) -> None:
    item, strategy = limits.parse("300 per day"), STRATEGIES[name](storage)
    before = sum(strategy.hit(item, "key") for _ in range(10))  # the parent has it open
    with other_thread(storage):
        children = [
            fork(lambda: sum(strategy.hit(item, "key") for _ in range(150)), tmp_path / str(n)) for n in range(4)
        ]
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    allowed = before + sum(int((tmp_path / str(number)).read_text()) for number in range(4))

    assert allowed == 300
    assert not strategy.hit(item, "key")


@contextmanager
def other_thread(storage: SharedStorage) -> Iterator[None]:
    """A thread that uses the storage all the time: LMDB and SQLite both wait in a child for what it was doing."""
    stop = threading.Event()

    def hammer() -> None:
        while not stop.is_set():
            storage.get("other")

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def fork(work: Any, result: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        result.write_text(str(work()))
    finally:
        os._exit(0 if result.exists() else 1)


def test_counts_outlive_the_processes(kind: str, tmp_path: Path) -> None:
    child = fork(lambda: opened(kind, tmp_path / "state").incr("key", 3600, 7), tmp_path / "done")
    os.waitpid(child, 0)

    assert opened(kind, tmp_path / "state").get("key") == 7


# Bounded.


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_200_000_keys_leave_the_file_as_large_and_the_busy_key_exact(storage: SharedStorage, name: str) -> None:
    item, strategy = limits.parse("1000 per day"), STRATEGIES[name](storage)
    allowed = 0
    before = size(storage)
    for number in range(200_000):
        strategy.hit(item, f"198.51.{number >> 8}.{number}")
        if number % 100 == 0:
            allowed += strategy.hit(item, "busy")

    assert allowed == 1000
    if storage._file.path.suffix == ".lmdb":
        assert size(storage) == before == limits_storage.MAP_BYTES
    else:
        assert size(storage) < 64 * 1024 * 1024


def size(storage: SharedStorage) -> int:
    storage.check()

    return sum(path.stat().st_size for path in storage.folder.glob(storage._file.path.name + "*")) - (
        storage._file.path.with_name("limits.lmdb-lock").stat().st_size if storage._file.path.suffix == ".lmdb" else 0
    )


@pytest.mark.slow
def test_the_fullest_tables_fit_into_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lmdb")
    storage = opened("local", tmp_path / "state")
    storage._clock = clock = FakeClock()
    chance = random.Random(1)
    # Slices just too many for half a page waste the most: 12 keys of 128 slices fill each of the 512 buckets.
    for _ in range(130):
        clock.advance(0.01)
        for number in range(12 * 512):
            storage.acquire_entry(f"busy {number}", 1024, 86_400)
    for number in range(300_000):
        storage.incr(f"flood {number}", 86_400, chance.randrange(9))
    for number in range(62_000):
        storage.acquire_entry(f"flood {number}", 1024, 86_400)

    assert storage.check()
    assert storage.incr("one more", 86_400) == 1


def test_the_names_of_the_strategies_are_all_that_limits_has() -> None:
    assert Counter(NAMES) == Counter(name for name in STRATEGIES if "elastic" not in name)

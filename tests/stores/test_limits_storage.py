"""The storage that `limits` gets: the same answers as its own in memory, in files that all processes share."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import limits
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits.errors import ConfigurationError, StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import STRATEGIES

from bsguard.core.errors import StateUnusable
from bsguard.stores import limits_storage
from bsguard.stores.limits_storage import SharedStorage
from bsguard.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = ("local", "sqlite")
NAMES = ("fixed-window", "moving-window", "sliding-window-counter")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "local":
        pytest.importorskip("lmdb")

    return request.param


@pytest.fixture
def storage(kind: str, tmp_path: Path) -> Iterator[SharedStorage]:
    made = opened(kind, tmp_path / "state")
    yield made
    made._file.close()


def opened(kind: str, folder: Path, **options: Any) -> SharedStorage:
    made = storage_from_string(f"bsguard+{kind}://{folder}", **options)
    assert isinstance(made, SharedStorage)

    return made


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
        elif operation == "clear":
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
    for number in range(600_000):
        storage.incr(f"flood {number}", 86_400, chance.randrange(9))
    for number in range(100_000):
        storage.acquire_entry(f"flood {number}", 1024, 86_400)

    assert storage.check()
    assert storage.incr("one more", 86_400) == 1


# What is named, and what is refused.


def test_the_folder_is_named_once_and_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BSGUARD_STATE_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "a b"

    assert SharedStorage("bsguard+sqlite://").folder == tmp_path / ".bsguard"
    assert SharedStorage("bsguard+sqlite:///").folder == tmp_path / ".bsguard"
    assert SharedStorage(f"bsguard+sqlite://{tmp_path}/a%20b").folder == folder
    assert SharedStorage("bsguard+sqlite://", state_dir=folder).folder == folder
    monkeypatch.setenv("BSGUARD_STATE_DIR", str(folder))
    assert SharedStorage("bsguard+sqlite://").folder == folder
    assert SharedStorage(f"bsguard+sqlite://{tmp_path}/other").folder == tmp_path / "other"


WRONG = {
    "two strokes": ("bsguard+local://var/lib/app", {}),
    "a query": ("bsguard+local:///var/lib/app?state_dir=x", {}),
    "a fragment": ("bsguard+local:///var/lib/app#x", {}),
    "a relative option": ("bsguard+local://", {"state_dir": "state"}),
    "an unknown option": ("bsguard+local://", {"folder": "/var/lib/app"}),
    "two folders": ("bsguard+local:///var/lib/app", {"state_dir": "/var/lib/app"}),
    "an unknown scheme": ("bsguard+redis://127.0.0.1", {}),
}


@pytest.mark.parametrize(("uri", "options"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_meant_is_an_error_at_start(uri: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        storage_from_string(uri, **options)


def test_a_relative_variable_is_an_error_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BSGUARD_STATE_DIR", "state")
    with pytest.raises(ConfigurationError, match="absolute"):
        storage_from_string("bsguard+local://")


def test_without_lmdb_it_is_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_storage, "find_spec", lambda name: None)

    assert opened("local", tmp_path / "state").incr("key", 60) == 1
    assert (tmp_path / "state" / "limits.sqlite").exists()


# What happens when it cannot count.


def test_a_folder_that_cannot_be_used_is_said_at_once_and_is_a_storage_error(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("x")
    with caplog.at_level(logging.ERROR, "bsguard"):
        storage = opened(kind, tmp_path / "file")

    assert "RATELIMIT_STORAGE_URI" in caplog.text
    assert not storage.check()
    calls = {
        "incr": lambda: storage.incr("key", 60),
        "get": lambda: storage.get("key"),
        "get_expiry": lambda: storage.get_expiry("key"),
        "acquire_entry": lambda: storage.acquire_entry("key", 1, 60),
        "get_moving_window": lambda: storage.get_moving_window("key", 1, 60),
        "acquire_sliding_window_entry": lambda: storage.acquire_sliding_window_entry("key", 1, 60),
        "get_sliding_window": lambda: storage.get_sliding_window("key", 60),
        "clear_sliding_window": lambda: storage.clear_sliding_window("key", 60),
        "clear": lambda: storage.clear("key"),
        "reset": storage.reset,
    }
    for name, call in calls.items():
        with pytest.raises(StorageError) as caught:
            call()
        assert isinstance(caught.value.storage_error, StateUnusable), name
    with pytest.raises(StateUnusable):
        opened(kind, tmp_path / "file", wrap_exceptions=False).incr("key", 60)

    (tmp_path / "file").unlink()
    assert storage.incr("key", 60) == 1  # cured without a restart


def test_a_folder_that_is_deleted_is_made_again(storage: SharedStorage) -> None:
    storage.incr("key", 60)
    for path in storage.folder.iterdir():
        path.unlink()
    storage.folder.rmdir()
    storage._file.close()  # as LMDB does within a second of the deletion
    with pytest.raises(StorageError):
        storage.incr("key", 60)

    assert storage.incr("key", 60) == 1


@pytest.mark.parametrize("damage", [b"", b"nonsense" * 9000], ids=["cut", "nonsense"])
def test_a_damaged_file_is_replaced(tmp_path: Path, damage: bytes) -> None:
    pytest.importorskip("lmdb")
    storage = opened("local", tmp_path / "state")
    storage.incr("key", 60)
    storage._file.close()
    (tmp_path / "state/limits.lmdb").write_bytes(damage)

    assert storage.incr("key", 60) == 1
    assert (tmp_path / "state/limits.damaged").read_bytes() == damage


def test_a_file_from_before_the_machine_started_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lmdb")
    from bsguard.stores import lmdb_file

    (tmp_path / "boot").write_text("first")
    monkeypatch.setattr(lmdb_file, "_BOOT_ID", tmp_path / "boot")
    storage = opened("local", tmp_path / "state")
    assert storage.incr("key", 60) == 1
    storage._file.close()
    assert storage.incr("key", 60) == 2
    (tmp_path / "boot").write_text("second")
    storage._file.close()

    assert storage.incr("key", 60) == 1


def test_nobody_hangs_while_another_holds_the_database(tmp_path: Path) -> None:
    storage = opened("sqlite", tmp_path / "state")
    storage.incr("key", 60)
    held, done = threading.Event(), threading.Event()
    other = opened("sqlite", tmp_path / "state")

    def hold(*_: object) -> None:
        held.set()
        done.wait(30)

    holder = threading.Thread(target=other._file.step, args=(hold,))
    holder.start()
    held.wait(30)
    started = time.monotonic()
    try:
        with pytest.raises(StorageError):
            storage.incr("key", 60)
        waited = time.monotonic() - started
    finally:
        done.set()
        holder.join()

    assert waited < 20
    assert storage.incr("key", 60) == 2


def test_the_names_of_the_strategies_are_all_that_limits_has() -> None:
    assert Counter(NAMES) == Counter(name for name in STRATEGIES if "elastic" not in name)

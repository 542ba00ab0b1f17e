"""From an address to a store that works: places, fallbacks, and what is said."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import lmdb
import pytest

from bsguard.core.clock import SYSTEM_CLOCK
from bsguard.core.errors import StateUnusable
from bsguard.core.events import Event, StateDegraded
from bsguard.stores import opening
from bsguard.stores.embedded import SQLiteStore
from bsguard.stores.failover import Failover
from bsguard.stores.folder import open_folder
from bsguard.stores.local import FILE, MAP_BYTES, LocalStore
from bsguard.stores.memory import MemoryStore
from bsguard.stores.opening import check, open_store
from bsguard.stores.port import Counter, Rate, Store
from tests.stores.support import KEYS, RedisServer, free_port

KEY = KEYS.counter("ip", "192.0.2.1")
RATE = Rate.of(10, 60)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.state = open_folder(folder / "state")
        self.shared = folder / "shm"
        self.shared.mkdir()
        self.events: list[Event] = []

    def open(self, url: str, **options: Any) -> Store:
        options = {"folder": self.state} | options
        return open_store(url, clock=SYSTEM_CLOCK, announce=self.events.append, **options)

    def lost(self) -> list[str]:
        return [event.lost for event in self.events if isinstance(event, StateDegraded)]


@pytest.fixture
def bench(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(folder)
    monkeypatch.setattr(opening, "SHARED_MEMORY", made.shared)
    return made


def parts(store: Store) -> tuple[Store, Store]:
    assert isinstance(store, Failover)
    return store.primary, store.fallback


def works(store: Store) -> bool:
    return store.take(int(SYSTEM_CLOCK.now() * 1e6), [Counter(KEY, RATE)]).over == ()


def test_local_lies_in_memory_in_a_private_folder(bench: Bench) -> None:
    store = bench.open("local")
    primary, fallback = parts(store)
    assert isinstance(primary, LocalStore)
    assert isinstance(fallback, MemoryStore)
    (place,) = bench.shared.iterdir()
    assert place.name.startswith(f"bsguard-{os.geteuid()}-")
    assert (place.stat().st_mode & 0o777, primary.path.parent) == (0o700, place)
    assert works(store)
    assert bench.events == []
    assert parts(bench.open("local"))[0].path == primary.path  # type: ignore[attr-defined]


def test_each_state_directory_has_a_table_of_its_own(bench: Bench, folder: Path) -> None:
    bench.open("local")
    bench.open("local", folder=open_folder(folder / "other"))
    assert len(list(bench.shared.iterdir())) == 2


@pytest.mark.parametrize(("gone", "old", "swept"), [(True, True, True), (True, False, False), (False, True, False)])
def test_the_table_of_a_directory_that_is_long_gone_is_swept(
    bench: Bench, folder: Path, gone: bool, old: bool, swept: bool
) -> None:
    other = open_folder(folder / "other")
    place = place_of(bench.open("local", folder=other))
    link = bench.shared / f"bsguard-{os.geteuid()}-link"
    link.symlink_to(folder)
    if gone:
        shutil.rmtree(other)
    if old:
        moment = time.time() - 8 * 86_400
        os.utime(place / FILE, (moment, moment))
        os.utime(place, (moment, moment))
    assert works(bench.open("local"))
    assert place.exists() is not swept
    assert link.exists()


def place_of(store: Store) -> Path:
    primary = parts(store)[0]
    assert isinstance(primary, LocalStore)
    return primary.path.parent


def test_without_memory_for_files_it_lies_in_the_state_directory(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "SHARED_MEMORY", bench.shared / "none")
    store = bench.open("local")
    assert place_of(store) == bench.state
    assert works(store)


def test_with_too_little_room_it_lies_in_the_state_directory(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    tight = os.statvfs_result((4096, 4096, 8191, 8191, 8191, 1, 1, 1, 0, 255))
    monkeypatch.setattr(opening.os, "statvfs", lambda path: tight)
    assert place_of(bench.open("local")) == bench.state


def test_who_comes_when_the_room_is_taken_finds_the_table(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = place_of(bench.open("local"))
    tight = os.statvfs_result((4096, 4096, 0, 0, 0, 1, 1, 1, 0, 255))
    monkeypatch.setattr(opening.os, "statvfs", lambda path: tight)
    assert place_of(bench.open("local")) == first != bench.state


@pytest.mark.parametrize("trap", ["link", "file", "open", "foreign"])
def test_a_folder_in_memory_that_somebody_prepared_is_not_used(bench: Bench, trap: str) -> None:
    expected = place_of(bench.open("local"))
    for entry in expected.iterdir():
        entry.unlink()
    expected.rmdir()
    if trap == "link":
        (bench.shared / "elsewhere").mkdir(mode=0o700)
        expected.symlink_to(bench.shared / "elsewhere")
    elif trap == "file":
        expected.write_text("")
    elif trap == "open":
        expected.mkdir(mode=0o777)
        expected.chmod(0o777)
        (expected / "theirs").write_text("")
    elif os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    else:
        expected.mkdir(mode=0o700)
        os.chown(expected, 12345, 12345)
    store = bench.open("local")
    assert place_of(store) == bench.state
    assert works(store)


def test_the_store_is_closed_after_the_check(bench: Bench) -> None:
    def descriptors() -> set[str]:
        return {entry.name for entry in Path("/proc/self/fd").iterdir()}

    before = descriptors()
    for url in ("local", "sqlite"):
        bench.open(url)
        assert len(descriptors()) == len(before)


def test_sqlite(bench: Bench, folder: Path) -> None:
    store = bench.open("sqlite")
    assert isinstance(parts(store)[0], SQLiteStore)
    assert (bench.state / "counters.sqlite").exists()
    own = folder / "own"
    assert works(bench.open(f"sqlite:///{own}/mine.db"))
    assert (own.stat().st_mode & 0o777, (own / "mine.db").exists()) == (0o700, True)
    assert bench.events == []


def test_sqlite_in_a_folder_that_others_use_is_an_error(bench: Bench, folder: Path) -> None:
    shared = folder / "shared"
    shared.mkdir(mode=0o755)
    (shared / "theirs").write_text("")
    with pytest.raises(StateUnusable, match="open to others"):
        bench.open(f"sqlite:///{shared}/mine.db")
    with pytest.raises(StateUnusable, match="BSGUARD_STORE"):
        bench.open("sqlite:////proc/nothing/mine.db")


def test_our_files_are_known_to_the_state_directory(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would take them for somebody else's, and refuse to close a folder that stands open."""
    monkeypatch.setattr(opening, "SHARED_MEMORY", bench.shared / "none")
    for url in ("local", "sqlite"):
        store = bench.open(url)
        works(store)
    (bench.state / "table.damaged").touch()
    (bench.state / "counters.damaged").touch()
    names = {entry.name for entry in bench.state.iterdir()}
    assert {FILE, "counters.sqlite"} <= names
    bench.state.chmod(0o755)
    assert open_folder(bench.state) == bench.state


@pytest.mark.parametrize("url", ["local", "sqlite"])
def test_without_a_state_directory_each_worker_counts_by_itself(bench: Bench, url: str) -> None:
    """What is lost by that is said by whoever could not open the directory."""
    assert isinstance(bench.open(url, folder=None), MemoryStore)
    assert bench.events == []


def test_memory_says_nothing_when_it_was_asked_for(bench: Bench) -> None:
    assert isinstance(bench.open("memory"), MemoryStore)
    assert bench.events == []


def test_without_lmdb_it_is_sqlite_and_said() -> None:
    """In a process of its own, where the package is hidden."""
    lines = (
        "import importlib.util, pathlib, sys, tempfile",
        "plain = importlib.util.find_spec",
        "importlib.util.find_spec = lambda name, *more: None if name == 'lmdb' else plain(name, *more)",
        "sys.modules['lmdb'] = None",
        "from bsguard.stores.opening import open_store",
        "from bsguard.core.clock import SYSTEM_CLOCK",
        "with tempfile.TemporaryDirectory() as name:",
        "    store = open_store('local', folder=pathlib.Path(name), clock=SYSTEM_CLOCK, announce=print)",
        "    print(store.name, store.take(5, []).now_us)",
        "    store.close()",
    )
    shown = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True).stdout
    assert "sqlite 5" in shown
    assert shown.count("StateDegraded") == 1
    assert "pip install lmdb" in shown


def test_redis_with_this_machine_behind_it(bench: Bench, redis_server: RedisServer) -> None:
    store = bench.open(redis_server.url, prefix="opening:")
    assert works(store)
    assert (store.name, store.reach) == ("redis", "machines")
    inner = parts(store)[1]
    assert isinstance(parts(inner)[0], LocalStore)
    assert isinstance(parts(inner)[1], MemoryStore)
    assert bench.events == []
    assert not any(place.joinpath(FILE).exists() for place in bench.shared.iterdir())  # room is taken when needed
    store.close()


def test_a_server_that_is_down_at_the_start_is_said_and_replaced(bench: Bench) -> None:
    store = bench.open(f"redis://:hunter2@127.0.0.1:{free_port()}")
    assert works(store)
    assert store.reach == "machine"
    assert bench.lost() == ["limits and bans hold on each machine by itself, in the store local"]
    assert "hunter2" not in repr(bench.events)


def test_a_server_that_is_down_with_no_state_directory(bench: Bench) -> None:
    store = bench.open(f"redis://127.0.0.1:{free_port()}", folder=None)
    assert works(store)
    assert bench.lost() == ["limits and bans hold in each worker by itself, in the store memory"]


def test_a_server_that_hangs_at_the_start(bench: Bench, redis_server: RedisServer) -> None:
    redis_server.send(signal.SIGSTOP)
    try:
        assert works(bench.open(redis_server.url))
    finally:
        redis_server.send(signal.SIGCONT)
    assert len(bench.lost()) == 1


def test_a_server_that_refuses_is_an_error_at_the_start(bench: Bench) -> None:
    server = RedisServer("--requirepass", "hunter2")
    with pytest.raises(StateUnusable, match="wants a password"):
        bench.open(server.url)
    assert works(bench.open(server.url.replace("unix://", "unix://:hunter2@")))
    server.stop()


def test_an_address_that_cannot_be_read_is_an_error_that_shows_nothing(bench: Bench) -> None:
    with pytest.raises(StateUnusable, match="BSGUARD_STORE: wanted") as caught:
        bench.open("redis://:hunter2@cache:x")
    assert "hunter2" not in str(caught.value)


def test_a_store_that_forgets_is_found_by_the_check() -> None:
    class Forgetful(MemoryStore):
        def take(self, *arguments: Any) -> Any:
            return super().take(*arguments)._replace(loads_us=(0,))

    with pytest.raises(StateUnusable, match="does not keep"):
        check(Forgetful(), 5)
    check(MemoryStore(), 5)


def test_a_state_directory_that_is_full_or_read_only_leaves_memory(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "SHARED_MEMORY", bench.shared / "none")

    def full(path: str, *, map_size: int, **_: object) -> None:
        assert map_size == MAP_BYTES
        raise lmdb.DiskError("No space left on device")

    monkeypatch.setattr(lmdb, "open", full)
    store = bench.open("local")
    assert works(store)
    assert store.reach == "process"
    assert bench.lost() == ["limits and bans hold in each worker by itself, in the store memory"]
    assert "No space left" in repr(bench.events)

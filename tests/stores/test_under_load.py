"""A server that is killed, stopped and started again while threads use it, and many clients on one table."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from bsguard.core.clock import SYSTEM_CLOCK
from bsguard.core.events import Event, StateDegraded, StateRecovered
from bsguard.stores.failover import Failover
from bsguard.stores.local import MAP_BYTES, LocalStore
from bsguard.stores.memory import MemoryStore
from bsguard.stores.opening import open_store
from bsguard.stores.port import Counter, Rate
from bsguard.stores.redis import ANSWER_MS, CONNECT_MS
from tests.stores.support import KEYS, START_US, RedisServer, open_kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bsguard.stores.port import Store

THREADS = 8
#: A call waits for a connection and an answer; the machine of the tests may be busy besides.
LONGEST_SECONDS = (CONNECT_MS + ANSWER_MS) / 1000 + 2.0
HOT = KEYS.counter("ip", "the hot one")
DAY = Rate.of(1000, 86_400)


class Load:
    """Threads that take from a store until they are told to stop."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.calls = 0
        self.slowest = 0.0
        self.errors: list[BaseException] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(THREADS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self) -> None:
        counters = [Counter(HOT, Rate(1, 10**9))]
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                self.store.take(int(time.time() * 1e6), counters)
            except BaseException as error:
                self.errors.append(error)
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.calls += 1
            time.sleep(0.002)

    def wait(self, calls: int = 200) -> None:
        """Let so many more calls be answered."""
        goal, deadline = self.calls + calls, time.monotonic() + 20
        while self.calls < goal:
            assert time.monotonic() < deadline, "calls are no longer answered"
            time.sleep(0.01)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    made = RedisServer()
    yield made
    made.stop()


def until_recovered(events: list[Event], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not isinstance(events[-1], StateRecovered):
        assert time.monotonic() < deadline, "the server is back, and nobody uses it"
        time.sleep(0.05)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_server_that_goes_and_comes_back_under_load(
    server: RedisServer, folder: Path, how: signal.Signals, scheme: str
) -> None:
    events: list[Event] = []
    url = server.url if scheme == "unix" else f"redis://127.0.0.1:{server.port}"
    store = open_store(url, folder=folder, clock=SYSTEM_CLOCK, announce=events.append)
    assert isinstance(store, Failover)
    with Load(store) as load:
        load.wait()
        assert events == []
        server.send(how)
        load.wait(400)
        assert [type(event) for event in events] == [StateDegraded]
        assert store.reach == "machine"
        # Meanwhile the limit holds, to the unit, on this machine.
        allowed = sum(store.take(START_US, [Counter(KEYS.counter("ip", "x"), DAY)]).over == () for _ in range(1300))
        assert allowed == 1000
        if how == signal.SIGKILL:
            server.start()
        else:
            server.send(signal.SIGCONT)
        until_recovered(events)
        load.wait()
        assert store.reach == "machines"
    assert load.errors == []
    assert load.slowest < LONGEST_SECONDS
    assert [type(event) for event in events] == [StateDegraded, StateRecovered]
    store.close()


def test_a_local_table_that_cannot_be_used_leaves_memory_and_comes_back(folder: Path) -> None:
    """The folder is made somebody else's for a while: nothing is counted in it then."""
    events: list[Event] = []
    place = folder / "place"
    place.mkdir(mode=0o700)
    seconds = [0.0]
    store = Failover(LocalStore(place), MemoryStore(), events.append, monotonic=lambda: seconds[0])
    store.take(START_US, [Counter(HOT, DAY)])
    store.close()
    place.rename(folder / "kept")
    place.write_text("a file where the folder was")
    for _ in range(5):
        assert store.take(START_US, [Counter(HOT, DAY)]).over == ()
    assert store.reach == "process"
    place.unlink()
    (folder / "kept").rename(place)
    seconds[0] += 1
    assert store.take(START_US, [Counter(HOT, DAY)]).loads_us == (2 * DAY.emission_us,)
    assert [type(event) for event in events] == [StateDegraded, StateRecovered]
    store.close()


def flood(kind: str, folder: Path, clients: int) -> None:
    """Each client once, and some busy ones in between, whose limits hold to the unit."""
    store = open_kind(kind, str(folder))
    busy = [KEYS.counter("busy", str(number)) for number in range(5)]
    every = clients // 1200
    allowed = dict.fromkeys(busy, 0)
    for client in range(clients):
        store.take(START_US, [Counter(KEYS.counter("ip", str(client)), Rate.of(300, 60))])
        if client % every == 0:
            for key in busy:
                allowed[key] += store.take(START_US, [Counter(key, DAY)]).over == ()
    assert set(allowed.values()) == {1000}
    used = sum(entry.stat().st_size for entry in folder.iterdir())
    assert used < MAP_BYTES + 1024 * 1024
    store.close()


@pytest.mark.parametrize("kind", ["local", "sqlite"])
def test_many_clients_push_out_no_busy_one(kind: str, folder: Path) -> None:
    flood(kind, folder, 12_000)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["local", "sqlite"])
def test_four_hundred_thousand_clients(kind: str, folder: Path) -> None:
    flood(kind, folder, 400_000)

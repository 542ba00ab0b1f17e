"""What one step on a store costs, next to the same reads and writes without us.

``local`` against a raw LMDB transaction of the same gets and puts, and against the least GCRA that one would write by
hand on LMDB (one key a counter, without bound, bans, marks and soft limits); Redis against a bare EVALSHA of the same
script with its arguments prepared; SQLite for information. All in turn, round by round, in wall time, because most of a
server's cost is waiting. The ratio is the median of the rounds' ratios.

The tables are full before anything is timed, as they are in use: 400,000 clients pass first, and 200 clients take
turns afterwards. In a table that is almost empty all counters lie on one page, and a raw transaction costs a third.
"""

from __future__ import annotations

import gc
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lmdb

from bsguard.core.secrets import Secrets
from bsguard.core.store_url import store_url
from bsguard.stores.embedded import SQLiteStore
from bsguard.stores.local import MAP_BYTES, LocalStore
from bsguard.stores.port import PLACE_BYTES, TABLES, Counter, Keys, Rate
from bsguard.stores.redis import RedisStore
from bsguard.stores.table import BUCKET_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bsguard.stores.port import Store

COUNTERS = (1, 3, 7)
#: How much a step of seven counters may cost, times its peer.
BARS = {"local": 1.5, "redis": 1.25}
ROUNDS = 40
CALLS = 400
CLIENTS = 400_000
TURNS = 200
KEYS = Keys(Secrets(("the secret of the benchmark",)))
#: Drains as fast as it is filled, so that every step writes and none is refused.
NEVER_FULL = Rate(1, 1_000_000_000)


def run() -> list[dict[str, Any]]:
    """One row for each store, peer and number of counters; one for the flood of clients."""
    rows: list[dict[str, Any]] = []
    with ExitStack() as held:
        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="bsg", dir=_memory()))
        local = LocalStore(Path(folder))
        sqlite = SQLiteStore(Path(folder) / "counters.sqlite")
        environment = _raw(Path(folder) / "raw.lmdb")
        address = held.enter_context(redis_server(Path(folder)))
        redis = RedisStore(store_url(address), connect_ms=5000, answer_ms=5000) if address else None
        by_hand = _raw(Path(folder) / "hand.lmdb")
        _fill(environment, by_hand)
        rows.append(_flood(local))
        for number in COUNTERS:
            turns = [
                [Counter(KEYS.counter(f"rule {place}", f"192.0.2.{turn}"), NEVER_FULL) for place in range(number)]
                for turn in range(TURNS)
            ]
            contestants = {
                "local": _step(local, turns),
                "raw LMDB": _transaction(environment, turns),
                "bare GCRA on LMDB": _by_hand(by_hand, turns),
                "sqlite": _step(sqlite, turns),
            }
            if redis is not None:
                contestants |= {"redis": _step(redis, turns[:1]), "bare EVALSHA": _evalsha(redis, turns[0])}
            rows += _rows(number, _times(contestants))
        for store in (local, sqlite, redis):
            if store is not None:
                store.close()
        environment.close()
        by_hand.close()
    return rows


def _memory() -> str | None:
    return "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112


def _raw(path: Path) -> lmdb.Environment:
    return lmdb.open(str(path), subdir=False, map_size=2 * MAP_BYTES, sync=False, metasync=False, readahead=False)


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """The address of a server of our own; empty where none is installed."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        yield ""
        return
    socket = folder / "redis.sock"
    command = [found, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not socket.exists() and process.poll() is None:
            time.sleep(0.01)
        yield f"unix://{socket}"
    finally:
        process.kill()
        process.wait(10)


def _fill(buckets: lmdb.Environment, keys: lmdb.Environment) -> None:
    """What the flood leaves in a table of ours, and what it would leave in one without bound."""
    _, number = TABLES["counter"]
    with buckets.begin(write=True) as transaction:
        for bucket in range(number):
            transaction.put(b"c" + bucket.to_bytes(2, "big"), bytes(BUCKET_BYTES))
    with keys.begin(write=True) as transaction:
        for client in range(CLIENTS):
            transaction.put(KEYS.counter("ip", str(client)), bytes(8))


def _step(store: Store, turns: list[list[Counter]]) -> Callable[[], object]:
    following = cycle(turns)
    return lambda: store.take(time.time_ns() // 1000, next(following))


def _transaction(environment: lmdb.Environment, turns: list[list[Counter]]) -> Callable[[], object]:
    """The same gets and puts, and nothing else."""
    following = cycle([[(counter.key[:PLACE_BYTES], bytes(BUCKET_BYTES)) for counter in turn] for turn in turns])

    def call() -> None:
        pairs = next(following)
        with environment.begin(write=True) as transaction:
            get, put = transaction.get, transaction.put
            for place, _ in pairs:
                get(place, b"")
            for place, bucket in pairs:
                put(place, bucket)

    return call


def _by_hand(environment: lmdb.Environment, turns: list[list[Counter]]) -> Callable[[], object]:
    """Check all, then charge all or none."""
    following = cycle(turns)

    def call() -> bool:
        now = time.time_ns() // 1000
        with environment.begin(write=True) as transaction:
            charged = []
            for counter in next(following):
                emission, capacity = counter.rate
                stored = transaction.get(counter.key)
                load = max(int.from_bytes(stored, "little") - now, 0) if stored else 0
                if load + emission * counter.cost > emission * capacity:
                    return False
                charged.append((counter.key, now + load + emission * counter.cost))
            for key, deadline in charged:
                transaction.put(key, deadline.to_bytes(8, "little"))
        return True

    return call


def _evalsha(store: RedisStore, counters: list[Counter]) -> Callable[[], object]:
    """The same command, its arguments kept from a step of the store; the client's answer is not looked at."""
    sent: list[tuple[Any, ...]] = []
    client = store._opened()
    plain = client.execute_command
    client.execute_command = lambda *words: sent.append(words) or plain(*words)  # type: ignore[method-assign]
    store.take(0, counters)
    store.take(0, counters)
    client.execute_command = plain  # type: ignore[method-assign]
    command, digest, number, *arguments = sent[-1]
    if command != "EVALSHA":
        raise RuntimeError("the store does not send EVALSHA")
    return lambda: client.evalsha(digest, number, *arguments)


def _times(contestants: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Microseconds a call in each round."""
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for call in contestants.values():
        for _ in range(50):
            call()
    for _ in range(ROUNDS):
        for name, call in contestants.items():
            gc.collect()
            began = time.perf_counter()
            for _ in range(CALLS):
                call()
            samples[name].append((time.perf_counter() - began) / CALLS * 1e6)
    return samples


def _rows(number: int, samples: dict[str, list[float]]) -> Iterator[dict[str, Any]]:
    peers = {"local": "raw LMDB", "redis": "bare EVALSHA"}
    for name, times in samples.items():
        ratio = None
        if name in peers:
            pairs = zip(times, samples[peers[name]], strict=True)
            ratio = round(statistics.median(ours / theirs for ours, theirs in pairs), 2)
        yield {
            "counters": number,
            "store": name,
            "best_us": round(min(times), 1),
            "median_us": round(statistics.median(times), 1),
            "p99_us": None,
            "ratio": ratio,
            "bar": BARS.get(name) if number == max(COUNTERS) else None,
        }


def _flood(store: LocalStore) -> dict[str, Any]:
    """Each client once, and a busy one in between, whose limit must hold to the unit."""
    busy = Counter(KEYS.counter("busy", "192.0.2.1"), Rate.of(1000, 86_400))
    times = []
    allowed = 0
    start = time.time_ns() // 1000
    for client in range(CLIENTS):
        counter = Counter(KEYS.counter("ip", str(client)), Rate.of(300, 60))
        began = time.perf_counter_ns()
        store.take(start, [counter])
        times.append(time.perf_counter_ns() - began)
        if client % 200 == 0:
            allowed += store.take(start, [busy]).over == ()
    if allowed != 1000 or store.path.stat().st_size != MAP_BYTES:
        raise RuntimeError(f"{allowed} of 1000 were allowed, and the file has {store.path.stat().st_size} bytes")
    times.sort()
    return {
        "counters": 1,
        "store": f"local, {CLIENTS:,} clients",
        "best_us": round(times[0] / 1000, 1),
        "median_us": round(times[len(times) // 2] / 1000, 1),
        "p99_us": round(times[len(times) * 99 // 100] / 1000, 1),
        "ratio": None,
        "bar": None,
    }

"""What only a server does: keep scripts, let keys expire, refuse, stop answering."""

from __future__ import annotations

import re
import signal
import socketserver
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import redis

from bsguard.core.errors import StateUnusable
from bsguard.core.store_url import store_url
from bsguard.stores.port import Ban, Change, Counter, Rate, Write
from bsguard.stores.redis import ANSWER_MS, CONNECT_MS, PREFIX, RedisStore, StoreRefused
from tests.stores.support import KEYS, SECOND, RedisServer, free_port, open_kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RATE = Rate.of(10, 60)
KEY = KEYS.counter("ip", "192.0.2.1")
MARK = KEYS.mark("known", "192.0.2.1")
BAN = KEYS.ban("192.0.2.1")


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=str(redis_server.socket)) as made:
        made.flushall()
        yield made


@pytest.fixture
def store(redis_server: RedisServer, client: redis.Redis) -> Iterator[RedisStore]:
    made = RedisStore(store_url(redis_server.url), connect_ms=5000, answer_ms=5000)
    yield made
    made.close()


def test_the_time_is_the_servers(store: RedisStore, client: redis.Redis) -> None:
    seconds, micro = client.time()
    taken = store.take(1, [Counter(KEY, RATE)])
    assert 0 <= taken.now_us - (seconds * SECOND + micro) < 60 * SECOND


def test_every_key_is_prefixed_and_expires_when_it_is_empty(store: RedisStore, client: redis.Redis) -> None:
    taken = store.take(0, [Counter(KEY, RATE, mark=0, mark_us=5 * SECOND)], [MARK], [Ban(BAN)])
    store.ban(0, BAN, taken.now_us + 9 * SECOND)
    store.settle(0, [Change(KEYS.counter("ip", "2"), RATE, 2)], [(KEYS.mark("known", "2"), 3 * SECOND)])
    lasting = {key.removeprefix(PREFIX.encode()): client.pttl(key) for key in client.keys("*")}
    bounds = {KEY: 6, MARK: 5, BAN: 9, KEYS.counter("ip", "2"): 12, KEYS.mark("known", "2"): 3}
    assert lasting.keys() == bounds.keys()
    for key, seconds in bounds.items():
        assert seconds * 1000 - 2000 < lasting[key] <= seconds * 1000 + 2


def test_nothing_is_kept_of_what_is_given_back(store: RedisStore, client: redis.Redis) -> None:
    taken = store.take(0, [Counter(KEY, RATE, mark=0, mark_us=SECOND)], [MARK])
    store.ban(0, BAN, taken.now_us + SECOND)
    store.settle(0, [Change(KEY, RATE, -5)], [(MARK, 0)])
    store.ban(0, BAN, 0)
    assert client.keys("*") == []


def test_scripts_that_the_server_forgot_are_sent_again(store: RedisStore, client: redis.Redis) -> None:
    for count in range(1, 4):
        assert store.take(0, [Counter(KEY, RATE)]).loads_us[0] // RATE.emission_us in (count - 1, count)
        client.script_flush()
    store.settle(0, [Change(KEY, RATE, -5)])
    client.script_flush()
    store.ban(0, BAN, 2**50)


def test_one_call_a_step_once_the_scripts_are_there(store: RedisStore, client: redis.Redis) -> None:
    store.take(0, [Counter(KEY, RATE)])
    before = client.info("stats")["total_commands_processed"]
    counters = [Counter(KEYS.counter("ip", str(number)), RATE) for number in range(7)]
    store.take(0, counters, [MARK], [Ban(BAN)])
    calls = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    store.take(0, counters, [MARK], [Ban(BAN)])
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == calls + 1
    assert client.info("stats")["total_commands_processed"] > before


def test_prefixes_keep_apps_apart(redis_server: RedisServer, store: RedisStore) -> None:
    for prefix in ("other:", "*", "a[b]?\\"):
        other = open_kind("redis", redis_server.url, prefix=prefix)
        store.take(0, [Counter(KEY, RATE)])
        other.take(0, [Counter(KEY, RATE, 5)])
        other.reset()
        assert other.take(0, [Counter(KEY, RATE, 0)]).loads_us == (0,)
        assert store.take(0, [Counter(KEY, RATE, 0)]).loads_us[0] > 0
        other.close()


def test_reset_takes_many_keys_away(store: RedisStore, client: redis.Redis) -> None:
    store.settle(0, [Change(KEYS.counter("ip", str(number)), RATE, 1) for number in range(3000)])
    client.set("theirs", "1")
    assert client.dbsize() == 3001
    store.reset()
    assert client.keys("*") == [b"theirs"]


def test_over_a_loopback_port_and_in_another_database(redis_server: RedisServer, client: redis.Redis) -> None:
    store = open_kind("redis", f"redis://127.0.0.1:{redis_server.port}/3")
    store.take(0, [Counter(KEY, RATE)])
    assert client.info("keyspace").keys() == {"db3"}
    store.close()


def test_a_server_that_is_gone_is_said_with_its_address(folder: Path) -> None:
    port = free_port()
    for address, expected in ((f"redis://127.0.0.1:{port}", f"127.0.0.1:{port}"), (f"unix://{folder}/no", "/no")):
        with pytest.raises(StateUnusable, match=expected) as caught:
            open_kind("redis", address).take(0, [])
        assert not isinstance(caught.value, StoreRefused)


def test_a_server_that_hangs_costs_a_connection_and_an_answer_at_most(redis_server: RedisServer) -> None:
    fast = RedisStore(store_url(f"redis://127.0.0.1:{redis_server.port}"))
    fast.take(0, [Counter(KEY, RATE)])
    fresh = RedisStore(store_url(redis_server.url))
    redis_server.send(signal.SIGSTOP)
    try:
        for store in (fast, fast, fresh):
            began = time.monotonic()
            with pytest.raises(StateUnusable, match="Timeout"):
                store.take(0, [Counter(KEY, RATE)])
            # Far below the seconds that clients wait, or repeat, by default; a busy machine may be late itself.
            assert time.monotonic() - began < (CONNECT_MS + ANSWER_MS) / 1000 + 2.0
    finally:
        redis_server.send(signal.SIGCONT)
    deadline = time.monotonic() + 10
    while True:
        try:
            fast.take(0, [Counter(KEY, RATE)])
            break
        except StateUnusable:
            assert time.monotonic() < deadline
    fast.close()
    fresh.close()


ANSWERS = {
    "nothing": b"$-1\r\n",
    "a number": b":1\r\n",
    "a word": b"+OK\r\n",
    "a text of another length": b"$3\r\nabc\r\n",
    "too few numbers": b"$8\r\n" + bytes(8) + b"\r\n",
    "too many numbers": b"$240\r\n" + bytes(240) + b"\r\n",
    "no finite numbers": b"$16\r\n" + b"\xff" * 16 + b"\r\n",
    "a list of anything": b"*3\r\n:1\r\n$-1\r\n*0\r\n",
    "a list of garbage": b"*1\r\n$3\r\nabc\r\n",
    "lists in lists": b"*1\r\n" * 5000,
    "a number that is none": b":abc\r\n",
    "another protocol": b"HTTP/1.1 200 OK\r\n\r\n",
    "bytes": b"\xff\0\r\n",
}


@pytest.fixture(params=ANSWERS.values(), ids=ANSWERS)
def odd(request: pytest.FixtureRequest) -> Iterator[RedisStore]:
    """A store at a server that gives one answer to everything."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while self.request.recv(65_536):
                self.request.sendall(request.param)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made = RedisStore(store_url(f"redis://127.0.0.1:{server.server_address[1]}"))
        yield made
        made.close()
        server.shutdown()


def test_whatever_a_server_answers_the_store_is_unusable_at_worst(odd: RedisStore) -> None:
    assert len(ANSWERS) == 13
    with pytest.raises(StateUnusable):
        odd.take(0, [Counter(KEY, RATE)], [MARK], [Ban(BAN)])
    with pytest.raises(StateUnusable):
        odd.take(0, [Counter(KEY, RATE)])
    with suppress(StateUnusable):
        odd.settle(0, [Change(KEY, RATE, 1)], [(MARK, 1)])
    with suppress(StateUnusable):
        odd.records([KEY, MARK])
    with suppress(StateUnusable):
        odd.newest(3)
    with suppress(StateUnusable):
        odd.keep(0, [Write(KEY, 0, b"x")], 10)
    with suppress(StateUnusable):
        odd.ban(0, BAN, 1)
    with suppress(StateUnusable):
        odd.agree("secret")


def test_the_client_repeats_nothing(store: RedisStore) -> None:
    """Newer clients repeat three times by default, which would multiply the time-out and charge again."""
    store.take(0, [])
    connection = store._opened().connection_pool.make_connection()
    assert connection.retry._retries == 0
    assert connection.socket_timeout == 5.0
    assert connection.socket_connect_timeout == 5.0


def test_the_time_outs_are_as_documented() -> None:
    assert 50 <= CONNECT_MS <= 100
    assert 50 <= ANSWER_MS <= 100


def test_threads_share_a_store(store: RedisStore) -> None:
    from concurrent.futures import ThreadPoolExecutor

    day = Rate.of(100, 86_400)
    with ThreadPoolExecutor(16) as pool:
        allowed = sum(pool.map(lambda _: store.take(0, [Counter(KEY, day)]).over == (), range(400)))
    assert allowed == 100


@pytest.fixture(scope="module")
def guarded() -> Iterator[RedisServer]:
    server = RedisServer("--requirepass", "hunter2")
    yield server
    server.stop()


class TestRefusals:
    """What waiting does not cure is said with its remedy, and without the password."""

    def refusal(self, store: RedisStore) -> str:
        with pytest.raises(StoreRefused) as caught:
            store.take(0, [Counter(KEY, RATE), Counter(KEYS.counter("ip", "2"), RATE)], [MARK], [Ban(BAN)])
        shown = f"{caught.value} {caught.value!r} {store.url!r} {store.url} {store!r} {vars(store)}"
        assert "hunter2" not in shown
        assert caught.value.__cause__ is None
        return str(caught.value)

    @pytest.mark.parametrize(
        ("user", "expected"),
        [
            ("", "wants a password"),
            (":hunter2x@", "wants another name or password"),
            ("nobody:hunter2@", "wants another name or password"),
        ],
    )
    def test_credentials(self, guarded: RedisServer, user: str, expected: str) -> None:
        store = RedisStore(store_url(f"redis://{user}127.0.0.1:{guarded.port}"))
        assert re.search(expected, self.refusal(store))
        store.close()

    def test_the_right_password(self, guarded: RedisServer) -> None:
        store = open_kind("redis", f"redis://:hunter2@127.0.0.1:{guarded.port}")
        assert store.take(0, [Counter(KEY, RATE)]).over == ()
        assert "hunter2" not in repr(vars(store))
        store.close()

    def test_rights(self, guarded: RedisServer) -> None:
        key = KEYS.counter("rights", "192.0.2.1")
        with redis.Redis(port=guarded.port, password="hunter2") as admin:
            admin.execute_command("ACL", "SETUSER", "reader", "on", ">hunter2r", "~*", "+get", "+mget")
            admin.execute_command(
                "ACL", "SETUSER", "least", "on", ">hunter2l", f"~{PREFIX}*",
                "+eval", "+evalsha", "+time", "+mget", "+get", "+set", "+del",
            )  # fmt: skip
        reader = RedisStore(store_url(f"redis://reader:hunter2r@127.0.0.1:{guarded.port}"))
        assert "may not run EVALSHA" in self.refusal(reader)
        least = open_kind("redis", f"redis://least:hunter2l@127.0.0.1:{guarded.port}")
        assert least.take(0, [Counter(key, RATE)], [MARK], [Ban(BAN)]).over == ()
        assert least.settle(0, [Change(key, RATE, -1)], [(MARK, 5)]) == [0]
        least.ban(0, BAN, 1)
        reader.close()
        least.close()

    def test_a_replica(self) -> None:
        server = RedisServer("--replicaof", "127.0.0.1", str(free_port()))
        store = RedisStore(store_url(server.url))
        assert "replica" in self.refusal(store)
        store.close()
        server.stop()

    def test_a_cluster(self) -> None:
        server = RedisServer("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
        store = RedisStore(store_url(server.url))
        assert "Redis Cluster" in self.refusal(store)
        with redis.Redis(unix_socket_path=str(server.socket)) as admin:
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            deadline = time.monotonic() + 10
            while "cluster_state:ok" not in str(admin.execute_command("CLUSTER", "INFO")):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert "Redis Cluster" in self.refusal(store)
        store.close()
        server.stop()

    def test_a_database_that_is_not_there(self, redis_server: RedisServer) -> None:
        store = RedisStore(store_url(f"redis://127.0.0.1:{redis_server.port}/99"))
        assert "out of range" in self.refusal(store)
        store.close()

    def test_a_server_without_room_is_no_refusal(self) -> None:
        server = RedisServer("--maxmemory", "1mb", "--maxmemory-policy", "noeviction")
        with redis.Redis(unix_socket_path=str(server.socket)) as admin:
            admin.config_set("maxmemory", "1")
        store = RedisStore(store_url(server.url))
        with pytest.raises(StateUnusable, match="OutOfMemory") as caught:
            store.take(0, [Counter(KEY, RATE)])
        assert not isinstance(caught.value, StoreRefused)
        store.close()
        server.stop()


def test_without_the_package_the_message_says_how_to_get_it() -> None:
    """In a process of its own, where the package is hidden."""
    lines = (
        "import sys; sys.modules['redis'] = None",
        "from bsguard.stores.redis import RedisStore, StoreRefused",
        "from bsguard.core.store_url import StoreURL, store_url",
        "from bsguard.core.config import Wanted",
        "try: RedisStore(StoreURL('redis', host='h'))",
        "except StoreRefused as error: print(error)",
        "try: store_url('redis://h')",
        "except Wanted as wanted: print(wanted)",
    )
    shown = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert shown.stdout.count("bsguard[redis]") == 2

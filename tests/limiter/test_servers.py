"""Limits and bans under real gunicorn with four workers of four threads, on every store, while things break."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.limiter.load import Connection, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.server, pytest.mark.slow]

WORKERS = 4
#: What a worker has at the most to begin to serve, before it is killed.
BOOT_SECONDS = 0.7
LIMIT = 1000
#: The client's time-outs are a twentieth of a second each; this is far below every other one, and above the noise.
SLOWEST_SECONDS = 3.0
ROOT = next(path for path in Path(__file__).resolve().parents if (path / "tests").is_dir())


class Server:
    """A gunicorn of four workers on a loopback socket of its own, ended by its pid."""

    def __init__(self, folder: Path, *words: str, patient: bool = True, **settings: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.plan = folder / "plan.json"
        self.log = folder / "server.log"
        plan: dict[str, object] = {
            "MODE": "enforce",
            "LAYERS": ["limiter"],
            "STATE_DIR": str(folder / "state"),
            "TRUSTED_PROXIES": ["127.0.0.1/32"],
            "LIMITER_GLOBAL_RATE": f"{LIMIT}/day",
            **settings,
        }
        self.plan.write_text(json.dumps({f"BSGUARD_{key}": value for key, value in plan.items()}))
        with socket.create_server(("127.0.0.1", 0), backlog=256) as listener, self.log.open("wb") as log:
            self.address: tuple[str, int] = listener.getsockname()
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--threads", "4"),
                    *("--worker-class", "gthread", "--graceful-timeout", "1", "--timeout", "30", "--keep-alive", "20"),
                    *("--bind", f"fd://{listener.fileno()}", *words, "tests.limiter.served_app:create()"),
                ],
                cwd=ROOT,
                env={
                    **os.environ,
                    "SERVED_PLAN": str(self.plan),
                    "SERVED_PATIENT": "yes" if patient else "no",
                    "PYTHONPATH": str(ROOT),
                },
                pass_fds=[listener.fileno()],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.workers()

    def ask(self, client: str, path: str = "/", key: str = "") -> tuple[int, bytes]:
        """One request on a new connection, so that any worker may get it."""
        connection = Connection(self.address)
        try:
            return connection.ask(client, path, key)
        finally:
            connection.close()

    def statuses(self, times: int, client: str, path: str = "/", key: str = "") -> set[int]:
        """The statuses of requests on so many connections that are all open at once, so that all workers are met."""
        connections = [Connection(self.address) for _ in range(times)]
        found = {connection.ask(client, path, key)[0] for connection in connections}
        for connection in connections:
            connection.close()
        return found

    def workers(self) -> dict[int, str]:
        """The pids of all workers, and what each calls the store that it uses."""
        found: dict[int, str] = {}
        for round_ in range(200):
            connections = [Connection(self.address) for _ in range(12)]
            for number, connection in enumerate(connections):
                try:
                    pid, store = connection.ask(f"198.18.{round_}.{number}")[1].decode().split()
                except OSError:
                    continue
                found[int(pid)] = store
            for connection in connections:
                connection.close()
            alive = {pid: store for pid, store in found.items() if Path(f"/proc/{pid}").exists()}
            if len(alive) == WORKERS:
                return alive
            time.sleep(0.05)
        raise AssertionError(f"only {found} serve:\n{self.log.read_text()[-4000:]}")

    def uses(self, store: str, seconds: float = 60.0) -> bool:
        """Whether all workers come to use *store* within that time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if set(self.workers().values()) == {store}:
                return True
            time.sleep(0.2)
        return False

    def command(self, *words: str) -> str:
        """What ``python -m bsguard`` says to a command on the same settings."""
        done = subprocess.run(
            [sys.executable, "-m", "bsguard", "--config", str(self.plan), *words],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def stop(self) -> None:
        """End the server, and look into its log."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(15)
        said = self.log.read_text(errors="replace")
        assert "Traceback" not in said, said[-4000:]
        assert "layer.failed" not in said, said[-4000:]


class Redis:
    """A redis-server of its own, without persistence."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
        self._folder = folder
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program is not None
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen([program, *words], cwd=self._folder, stdout=subprocess.DEVNULL)
        for _ in range(200):
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(16).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError("redis-server does not answer")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(15)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    if shutil.which("redis-server") is None and shutil.which("valkey-server") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("neither redis-server nor valkey-server is installed")
        pytest.skip("neither redis-server nor valkey-server is installed")
    pytest.importorskip("redis")
    made = Redis(tmp_path)
    yield made
    made.process.send_signal(signal.SIGCONT)
    made.kill()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    pytest.importorskip("gunicorn", reason="gunicorn is not installed")
    servers: list[Server] = []

    def make(*words: str, **settings: Any) -> Server:
        servers.append(Server(tmp_path / f"server{len(servers)}", *words, **settings))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def store_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], dict[str, object]]:
    def settings(store: str) -> dict[str, object]:
        if store == "redis":
            return {"STORE": request.getfixturevalue("redis").url}
        return {"STORE": "local" if store == "local" else f"sqlite:///{tmp_path}/counts/counters.sqlite"}

    return settings


STORES = ("local", "sqlite", "redis")


@pytest.mark.parametrize("store", STORES)
def test_exactly_the_limit_passes(start: Callable[..., Server], store_settings: Any, store: str) -> None:
    server = start(**store_settings(store))
    assert set(server.workers().values()) == {store}

    found = load(server.address, 3 * LIMIT)
    assert (dict(found.statuses), found.broken) == ({200: LIMIT, 429: 2 * LIMIT}, 0)


@pytest.mark.long
@pytest.mark.parametrize("words", [(), ("--preload",)], ids=["forked", "preloaded"])
@pytest.mark.parametrize("store", STORES)
def test_exactly_the_limit_of_many_more_passes(
    start: Callable[..., Server], store_settings: Any, store: str, words: tuple[str, ...]
) -> None:
    server = start(*words, **store_settings(store))
    found = load(server.address, 12 * LIMIT, threads=16)

    assert (dict(found.statuses), found.broken) == ({200: LIMIT, 429: 11 * LIMIT}, 0)
    assert set(server.workers().values()) == {store}


@pytest.mark.parametrize("store", ["local", *(pytest.param(store, marks=pytest.mark.long) for store in STORES[1:])])
def test_a_ban_is_felt_by_all_workers_and_lifted_while_they_run(
    start: Callable[..., Server], store_settings: Any, store: str
) -> None:
    server = start(**store_settings(store))
    client = "192.0.2.66"
    guesses = [server.ask(client, "/private", f"Bearer {number}aaaaaaaa")[0] for number in range(8)]

    assert guesses == [401] * 5 + [429] * 3
    assert server.statuses(32, client) == {429}
    assert server.statuses(4, "192.0.2.67") == {200}
    (entry,) = [json.loads(line) for line in server.command("bans", "list", "--json").splitlines()]
    assert (entry["subject"], entry["author"]) == (f"client {client}", "bsguard")
    server.command("bans", "delete", client)
    time.sleep(2.0)  # what a worker may know of a ban for
    for _ in range(3):
        assert server.statuses(16, client) == {200}
        time.sleep(0.5)
    server.command("bans", "add", client, "--reason", "a test", "--for", "1h")
    time.sleep(2.0)
    assert server.statuses(32, client) == {403}


def kill_workers(server: Server, times: int) -> int:
    """Kill workers one after the other, each when it has come to serve; how many were killed."""
    killed: set[int] = set()
    born: dict[int, float] = {}
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    until = time.monotonic() + 300
    while len(killed) < times and time.monotonic() < until:
        pids = [int(pid) for pid in children.read_text().split() if int(pid) not in killed]
        now = time.monotonic()
        serving = [pid for pid in pids if now - born.setdefault(pid, now) > BOOT_SECONDS]
        if serving:
            os.kill(serving[0], signal.SIGKILL)
            killed.add(serving[0])
        time.sleep(0.05)
    return len(killed)


@pytest.mark.parametrize(
    ("store", "kills"),
    [
        ("local", 6),
        *(pytest.param(store, 100, marks=pytest.mark.long) for store in STORES),
    ],
)
def test_counts_and_bans_survive_workers_that_are_killed(
    start: Callable[..., Server], store_settings: Any, store: str, kills: int
) -> None:
    server = start(**store_settings(store))
    banned = "192.0.2.66"
    for number in range(8):
        server.ask(banned, "/private", f"Bearer {number}aaaaaaaa")
    done = threading.Event()
    rounds: list[Any] = []

    def keep_loading() -> None:
        while not done.is_set() or len(rounds) < 2:  # at the least one more, for what the first has lost to kills
            rounds.append(load(server.address, LIMIT, threads=8))

    loading = threading.Thread(target=keep_loading)
    loading.start()
    try:
        assert kill_workers(server, kills) == kills
    finally:
        done.set()
        loading.join()
    rounds.append(load(server.address, LIMIT))  # whatever is left

    statuses = sum((found.statuses for found in rounds), start=rounds[0].statuses.__class__())
    broken = sum(found.broken for found in rounds)
    assert set(statuses) <= {200, 429}
    # What a killed worker had charged and not yet answered is lost: never more than was in flight.
    assert LIMIT - broken <= statuses[200] <= LIMIT
    assert 0 < broken <= kills * 8, "in the middle of their work"
    assert server.statuses(16, "192.0.2.1") == {429}
    assert server.statuses(16, banned) == {429}
    assert "192.0.2.66" in server.command("bans", "list")
    assert load(server.address, LIMIT + 50, client="192.0.2.99").statuses == {200: LIMIT, 429: 50}
    assert set(server.workers().values()) == {store}


@pytest.mark.parametrize("how", ["paused", pytest.param("killed", marks=pytest.mark.long)])
def test_a_server_that_is_down_costs_no_request_and_no_limit(
    start: Callable[..., Server], redis: Redis, how: str
) -> None:
    server = start(patient=False, STORE=redis.url)
    assert server.uses("redis")
    before = load(server.address, LIMIT // 2, client="192.0.2.1")
    results: list[Any] = []
    loading = threading.Thread(target=lambda: results.append(load(server.address, 2 * LIMIT, client="192.0.2.2")))
    loading.start()
    time.sleep(0.3)
    if how == "paused":
        redis.process.send_signal(signal.SIGSTOP)
    else:
        redis.kill()
    loading.join()
    meanwhile = load(server.address, LIMIT + 500, client="192.0.2.3")
    fallen = set(server.workers().values())
    if how == "paused":
        redis.process.send_signal(signal.SIGCONT)
    else:
        redis.start()

    assert dict(before.statuses) == {200: LIMIT // 2}
    (during,) = results
    # Counted partly here and partly there: no more than both limits.
    assert set(during.statuses) <= {200, 429}
    assert LIMIT <= during.statuses[200] <= 2 * LIMIT
    assert dict(meanwhile.statuses) == {200: LIMIT, 429: 500}
    assert fallen == {"local"}
    assert during.broken == meanwhile.broken == 0
    assert max(during.slowest, meanwhile.slowest) < SLOWEST_SECONDS
    assert server.uses("redis"), "it comes back by itself"
    assert dict(load(server.address, LIMIT + 500, client="192.0.2.4").statuses) == {200: LIMIT, 429: 500}
    assert "state.degraded" in server.log.read_text()

"""A real Flask-Limiter in real workers: not one request more than the limit, and none less."""

from __future__ import annotations

import http.client
import importlib.util
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import limits
import pytest
from limits.storage import storage_from_string
from limits.strategies import STRATEGIES

import bsguard.stores.limits_storage  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a user of Flask-Limiter writes; the view counts where no limiter can be wrong about it.
APP = """
import os

import bsguard.stores.limits_storage
from flask import Flask
from flask_limiter import Limiter

app = Flask(__name__)
limiter = Limiter(
    lambda: "everybody",
    app=app,
    storage_uri=os.environ["STORAGE"],
    strategy=os.environ["STRATEGY"],
    default_limits=[os.environ["LIMIT"]],
    headers_enabled=True,
)


@app.get("/")
def view():
    return str(os.getpid())
"""

WORKERS, THREADS, CLIENTS = 4, 4, 16
START_SECONDS = 30.0


@contextmanager
def served(folder: Path, *options: str, **environment: str) -> Iterator[int]:
    """The port on which gunicorn serves :data:`APP`."""
    (folder / "app.py").write_text(APP)
    package = importlib.util.find_spec("bsguard")
    assert package is not None
    assert package.origin is not None
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener, (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--graceful-timeout", "2"),
                *("--workers", str(WORKERS), "--threads", str(THREADS), *options),
                *("--bind", f"fd://{listener.fileno()}", "app:app"),
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(package.origin).parent.parent), **environment},
            pass_fds=[listener.fileno()],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        port = listener.getsockname()[1]
    try:
        yield port
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def asked(port: int, times: int) -> Counter[tuple[int, str]]:
    """Status and worker of *times* answers, on connections that change now and then so that all workers get some."""
    seen: Counter[tuple[int, str]] = Counter()
    while times:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
        for _ in range(min(times, 20)):
            connection.request("GET", "/")
            answer = connection.getresponse()
            body = answer.read().decode()
            seen[answer.status, body if answer.status == 200 else ""] += 1
            times -= 1
        connection.close()

    return seen


@pytest.mark.server
@pytest.mark.parametrize(
    ("requests", "limit"), [(1_200, 400), pytest.param(12_000, 1_000, marks=pytest.mark.slow)], ids=["short", "long"]
)
@pytest.mark.parametrize(
    ("scheme", "strategy", "options"),
    [
        ("bsguard+local", "fixed-window", ()),
        ("bsguard+local", "moving-window", ("--preload",)),
        ("bsguard+local", "sliding-window-counter", ()),
        ("bsguard+sqlite", "fixed-window", ("--preload",)),
        ("bsguard+sqlite", "moving-window", ()),
    ],
)
def test_exactly_the_limit_is_allowed(
    tmp_path: Path, scheme: str, strategy: str, options: tuple[str, ...], requests: int, limit: int
) -> None:
    pytest.importorskip("gunicorn")
    environment = {"STORAGE": f"{scheme}://{tmp_path}/state", "STRATEGY": strategy, "LIMIT": f"{limit}/day"}
    with served(tmp_path, *options, **environment) as port, ThreadPoolExecutor(CLIENTS) as pool:
        seen = sum(pool.map(lambda _: asked(port, requests // CLIENTS), range(CLIENTS)), Counter())

    statuses = Counter({status: 0 for status, _ in seen})
    for (status, _), count in seen.items():
        statuses[status] += count
    assert statuses == {200: limit, 429: requests - limit}, (tmp_path / "log").read_text()[-2000:]
    assert len({worker for status, worker in seen if status == 200}) > 1, "one worker did it all"


CHILD = """
import os, sys
import bsguard.stores.limits_storage, limits
from limits.storage import storage_from_string
from limits.strategies import STRATEGIES

strategy = STRATEGIES[sys.argv[2]](storage_from_string(sys.argv[1]))
item = limits.parse(sys.argv[3])
with open(sys.argv[4], "ab", buffering=0) as allowed:
    while strategy.hit(item, "key"):
        allowed.write(b"x")
"""


@pytest.mark.parametrize("scheme", ["bsguard+local", "bsguard+sqlite"])
@pytest.mark.parametrize("strategy", ["fixed-window", "moving-window"])
@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_a_process_killed_in_mid_write_leaves_no_lock_and_no_half_count(
    tmp_path: Path, scheme: str, strategy: str, kills: int
) -> None:
    chance = random.Random(kills)
    uri, allowed = f"{scheme}://{tmp_path}/state", tmp_path / "allowed"
    limit = limits.parse("1000000/day")
    command = [sys.executable, "-c", CHILD, uri, strategy, "1000000/day", str(allowed)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    try:
        wait_for(lambda: allowed.exists() and allowed.stat().st_size > 100)
        for _ in range(kills):
            victim = chance.randrange(len(processes))
            processes[victim].send_signal(signal.SIGKILL)
            processes[victim].wait()
            before = allowed.stat().st_size
            processes[victim] = subprocess.Popen(command)
            # The other goes on at once; the new one joins.
            wait_for(lambda before=before: allowed.stat().st_size > before + 50)
            time.sleep(chance.uniform(0, 0.1))
    finally:
        for process in processes:
            process.kill()
            process.wait()
    storage = storage_from_string(uri)
    counted = limit.amount - STRATEGIES[strategy](storage).get_window_stats(limit, "key").remaining

    # Who is killed between its count and its note has counted one more.
    assert 0 <= counted - allowed.stat().st_size <= kills + len(processes)
    assert not (tmp_path / "state/limits.damaged").exists()


def wait_for(happened) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "nobody counts any more"
        time.sleep(0.002)

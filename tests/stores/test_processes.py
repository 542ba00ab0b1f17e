"""Several processes and threads on one store: exact counts, kills in mid-write, forks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from bsguard.stores.port import Ban, Counter
from tests.stores.support import SHARED, START_US, open_kind
from tests.stores.workers import DAY, HOT

if TYPE_CHECKING:
    from collections.abc import Callable

PROCESSES = 4
CALLS = 12_000
KILLS = 100
KILLS_SHORT = 5


@pytest.fixture(params=SHARED)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def start(task: str, kind: str, place: str, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.stores.workers", task, kind, place, str(number)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_exactly_the_limit_is_allowed(kind: str, place: str) -> None:
    workers = [start("count", kind, place, CALLS // PROCESSES) for _ in range(PROCESSES)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    told = [[int(word) for word in worker.communicate(timeout=120)[0].split()] for worker in workers]
    assert [sum(column) for column in zip(*told, strict=True)] == [CALLS, 1000]
    assert all(worker.returncode == 0 for worker in workers)


def kill_in_mid_write(kind: str, place: str, kills: int) -> None:
    """Each time: no waiting for a dead worker's lock, no ban lost that was said, the file in order."""
    bystander = open_kind(kind, place, caller_time=True) if kind == "redis" else open_kind(kind, place)
    said: list[int] = []
    for turn in range(kills):
        worker = start("write", kind, place, turn * 1_000_000)
        assert worker.stdout is not None
        said.append(int(worker.stdout.readline()))
        time.sleep(random.random() * 0.02)
        worker.send_signal(signal.SIGKILL)
        rest, _ = worker.communicate(timeout=30)
        said += [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        began = time.monotonic()
        bystander.take(START_US, [Counter(HOT, DAY)])
        assert time.monotonic() - began < 5, "a lock was left behind"
    keys = [b"b" + number.to_bytes(4, "big")[2:] + number.to_bytes(8, "big") for number in said]
    lost = [key for key in keys if not bystander.take(START_US, [], (), [Ban(key)]).banned_until_us]
    assert len(keys) >= kills
    assert lost == []
    bystander.close()


@pytest.mark.parametrize("kind", ["sqlite", "local"])
def test_a_worker_killed_in_mid_write_leaves_no_lock_and_loses_no_ban(kind: str, place: str) -> None:
    kill_in_mid_write(kind, place, KILLS_SHORT)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "local"])
def test_a_hundred_workers_killed_in_mid_write(kind: str, place: str) -> None:
    kill_in_mid_write(kind, place, KILLS)


def in_a_child(work: Callable[[], bool], within: float = 20) -> None:
    """Run *work* after a fork; it must come back with True."""
    child = os.fork()
    if child == 0:
        good = False
        try:
            good = work()
        finally:
            os._exit(0 if good else 1)
    deadline = time.monotonic() + within
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)


def test_a_store_that_is_open_survives_a_fork(kind: str, place: str) -> None:
    store = open_kind(kind, place)
    store.take(START_US, [Counter(HOT, DAY)])

    def child() -> bool:
        for _ in range(3):
            store.take(START_US, [Counter(HOT, DAY)])
        return True

    in_a_child(child)
    in_a_child(child)
    load = store.take(START_US, [Counter(HOT, DAY)]).loads_us[0]
    assert round(load / DAY.emission_us) == 8
    store.close()


def test_a_fork_while_other_threads_write(kind: str, place: str) -> None:
    store = open_kind(kind, place)
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            store.take(START_US, [Counter(HOT, DAY, 0)])

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            in_a_child(lambda: store.take(START_US, [Counter(HOT, DAY)]).over == ())
    finally:
        ended.set()
        for thread in threads:
            thread.join(20)
    assert round(store.take(START_US, [Counter(HOT, DAY, 0)]).loads_us[0] / DAY.emission_us) == 10
    store.close()

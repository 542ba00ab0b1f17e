"""Workers of a real gunicorn killed at random while many generations run: all end, once, and the books are right."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sample_app.simulated.faults import Fault
from sample_app.simulated.process import all_running
from tests.sample_app.faults import PACE, World, after_a_crash, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sample_app.simulated.process import Simulated

pytestmark = [pytest.mark.server]

WORKERS = 4
ROUTES = ("replicate", "fal", "openrouter")
# Mostly nothing goes wrong besides the kills.
FAULTS = (*[Fault.NONE] * 6, Fault.FAILS, Fault.TIMES_OUT_AFTER_WORK, Fault.WEBHOOK_NEVER, Fault.WEBHOOK_TWICE)


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, Simulated]]:
    with all_running(PACE) as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, database_url: str, providers: dict[str, Simulated]) -> Iterator[World]:
    # Under such a load things take long because of the load, not because nobody would tell.
    settings = {
        "CONTROL_PLANE_LEASE_SECONDS": "8",
        "CONTROL_PLANE_PROVIDER_SECONDS_MAX": "4",
        "CONTROL_PLANE_ATTEMPT_SECONDS": "90",
        "CONTROL_PLANE_RECONCILE_SECONDS": "60",
    }
    with serving(tmp_path, database_url, providers, WORKERS, **settings) as running:
        running.patience_seconds = 120.0
        yield running


@pytest.mark.slow
def test_forty_generations_and_a_few_kills(world: World, tmp_path: Path) -> None:
    everything_ends(world, tmp_path, generations=40, every_seconds=1.5)


@pytest.mark.long
def test_five_hundred_generations_and_many_kills(world: World, tmp_path: Path) -> None:
    everything_ends(world, tmp_path, generations=500, every_seconds=4.0)


def everything_ends(world: World, folder: Path, generations: int, every_seconds: float) -> None:
    chance = random.Random(8)
    asked = [(ROUTES[number % len(ROUTES)], chance.choice(FAULTS)) for number in range(generations)]
    done, killed = threading.Event(), []
    killer = threading.Thread(target=kill_now_and_then, args=(world, done, killed, every_seconds, chance))
    killer.start()
    try:
        with ThreadPoolExecutor(24) as pool:
            started = list(pool.map(lambda one: world.start("killed", *one), asked))
            for generation in started:
                world.wait(generation, 300)
    finally:
        done.set()
        killer.join()
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(world.check, started))

    for (route, fault), (status, paid) in zip(asked, seen, strict=True):
        expected = after_a_crash(fault, route)
        assert status in expected.finals, (route, fault, status)
        assert paid in expected.paid, (route, fault, paid)
    assert world.findings() == ()
    succeeded = Counter(status for status, _ in seen)["succeeded"]
    winners = list((folder / "artifacts").rglob("winner.json"))
    assert len(winners) == succeeded
    assert succeeded >= generations // 2
    assert len(killed) >= 2


def kill_now_and_then(
    world: World, done: threading.Event, killed: list[int], every_seconds: float, chance: random.Random
) -> None:
    master = world.server.pid
    while not done.wait(every_seconds):
        workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        if workers:
            # gunicorn's own children, by their ids.
            victim = int(chance.choice(workers))
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)

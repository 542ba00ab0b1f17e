"""A process of its own that works on a ledger: ``python -m tests.billing.worker FUNCTION JSON``."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bsguard.billing import BillingError, InsufficientCredits, Ledger
from bsguard.billing.coalescer import Coalescer
from bsguard.billing.testing import at_every_point
from tests.billing.mixed import open_engine, run_for


def bank(url: str, seed: int, seconds: float, threads: int, notes: str) -> dict[str, int]:
    """Mixed verbs in some threads; tells how often what was answered."""
    ledger = Ledger(open_engine(url), lock_timeout_ms=10_000)
    told: Counter[str] = Counter()
    lock = threading.Lock()

    def work(number: int) -> None:
        mine = run_for(ledger, seed * 100 + number, seconds, Path(f"{notes}.{number}"))
        with lock:
            told.update(mine)

    _together([lambda number=number: work(number) for number in range(threads)])  # type: ignore[misc]
    return dict(told)


def drain(url: str, seed: int, threads: int, tries: int, price: int, coalesce: bool) -> dict[str, int]:
    """Everybody asks for the same account's credits until they are gone, and then some."""
    ledger = Ledger(open_engine(url), lock_timeout_ms=20_000)
    reserve = Coalescer(ledger).reserve if coalesce else ledger.reserve
    counts: Counter[str] = Counter()
    lock = threading.Lock()

    def work(number: int) -> None:
        mine: Counter[str] = Counter()
        for one in range(tries):
            try:
                reserve("drained", price, f"{seed}-{number}-{one}")
                mine["granted"] += 1
            except InsufficientCredits:
                mine["refused"] += 1
            except BillingError as error:
                mine[type(error).__name__] += 1
        with lock:
            counts.update(mine)

    _together([lambda number=number: work(number) for number in range(threads)])  # type: ignore[misc]
    return dict(counts)


def _together(works: list[Any]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def killed_at_random(url: str, seed: int, kills: int, at_once: int, notes: str) -> dict[str, int]:
    """Workers that are killed with SIGKILL at a random moment, one after the other, *at_once* of them alive."""
    ledger = Ledger(open_engine(url))
    # Used before the fork, so that a child has something to inherit, and must not use it.
    ledger.balance("bank-0")
    chance = random.Random(seed)
    alive: list[int] = []
    killed = started = 0
    while killed < kills:
        while len(alive) < at_once:
            started += 1
            child = _fork(lambda number=started: run_for(ledger, seed + number, 60, Path(f"{notes}.{number}")))  # type: ignore[misc]
            alive.append(child)
        time.sleep(chance.uniform(0.005, 0.08))
        victim = alive.pop(chance.randrange(len(alive)))
        killed += _kill(victim)
    for child in alive:
        killed += _kill(child)
    return {"killed": killed, "started": started}


def killed_at_points(url: str, commands: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each command, a process that is killed when it passes a named place. Tells whether it got there."""
    ledger = Ledger(open_engine(url))
    results = []
    for command in commands:
        child = _fork(lambda command=command: _die(ledger, command))  # type: ignore[misc]
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        results.append({**command, "killed": killed, "exit": os.waitstatus_to_exitcode(status)})
    return results


def _die(ledger: Ledger, command: dict[str, Any]) -> None:
    passed: Counter[str] = Counter()

    def hook(name: str) -> None:
        passed[name] += 1
        if name == command["point"] and passed[name] == command.get("time", 1):
            os.kill(os.getpid(), signal.SIGKILL)

    with at_every_point(hook):
        getattr(ledger, command["verb"])(*command["args"], **command.get("options", {}))


def _fork(work: Any) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def _kill(child: int) -> int:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return int(os.WIFSIGNALED(status))


if __name__ == "__main__":
    functions = {one.__name__: one for one in (bank, drain, killed_at_random, killed_at_points)}
    print(json.dumps(functions[sys.argv[1]](**json.loads(sys.argv[2]))))

"""Timing in processor time: the contestants in turn, round by round, so that a slow spell slows all of them."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


@dataclass(frozen=True, slots=True)
class Timing:
    """Microseconds a call: median over the rounds, and the quarter points as the spread."""

    median: float
    low: float
    high: float


def app(environ: WSGIEnvironment, start_response: Any) -> list[bytes]:
    """The bare application: reads its body and answers."""
    length = environ.get("CONTENT_LENGTH")
    if length:
        environ["wsgi.input"].read(int(length))
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
    return [b"{}"]


def time_apps(
    apps: Mapping[str, WSGIApplication], make: Callable[[], WSGIEnvironment], *, rounds: int = 30, calls: int = 500
) -> dict[str, Timing]:
    """Time each application on fresh environs, *rounds* times in turn, *calls* calls a round."""
    samples: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(rounds):
        for name, one in apps.items():
            gc.collect()
            started = time.thread_time()
            for _ in range(calls):
                chunks = one(make(), _start_response)
                for _chunk in chunks:
                    pass
                close = getattr(chunks, "close", None)
                if close is not None:
                    close()
            samples[name].append((time.thread_time() - started) / calls * 1e6)
    return {name: _timing(times) for name, times in samples.items()}


def time_calls(contestants: Mapping[str, Callable[[], object]], *, rounds: int, calls: int) -> dict[str, Timing]:
    """Time each function, *rounds* times in turn, *calls* calls a round."""
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, call in contestants.items():
            gc.collect()
            started = time.thread_time()
            for _ in range(calls):
                call()
            samples[name].append((time.thread_time() - started) / calls * 1e6)
    return {name: _timing(times) for name, times in samples.items()}


def _timing(times: list[float]) -> Timing:
    low, median, high = statistics.quantiles(times, n=4)
    return Timing(median, low, high)


def _start_response(*_: object) -> Any:
    return None

"""The runner: moves generations on in threads of this process, so that no request waits for a provider.

Nothing depends on it. What it is too busy for, or what its process takes to the grave, the sweeper finds.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# What waits here is written down anyway; more of it than this is better left to the other workers.
WAITING_MAX: Final = 1_000

_log = logging.getLogger(__name__)


class Runner:
    """Calls *advance* for generations: at once if it has no threads, which is for tests and commands."""

    def __init__(self, advance: Callable[[str], bool], threads: int) -> None:
        self._advance = advance
        self._threads = threads
        self._lock = threading.Lock()
        self._waiting: set[str] = set()
        self._pool: ThreadPoolExecutor | None = None
        self._stopped = False

    def wake(self, generation_id: str) -> None:
        """Have somebody look at a generation soon."""
        if not self._threads:
            self._run(generation_id)
            return
        with self._lock:
            if self._stopped or generation_id in self._waiting or len(self._waiting) >= WAITING_MAX:
                return
            self._waiting.add(generation_id)
            # Made when it is first needed: a thread does not survive the fork that makes a worker.
            self._pool = self._pool or ThreadPoolExecutor(self._threads, thread_name_prefix="generations")
            self._pool.submit(self._run, generation_id)

    def each(self, generation_ids: Iterable[str]) -> int:
        """Look at all of these and come back when it is done; of how many somebody else was not at work."""
        if not self._threads:
            return sum(self._run(one) for one in generation_ids)
        with ThreadPoolExecutor(self._threads, thread_name_prefix="sweep") as pool:
            done, _ = wait([pool.submit(self._run, one) for one in generation_ids])
        return sum(one.result() for one in done)

    def stop(self) -> None:
        """Begin nothing more, and wait for what is being done."""
        with self._lock:
            self._stopped = True
            pool = self._pool
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, generation_id: str) -> bool:
        with self._lock:
            # Before, not after: who is woken while this runs has news for another round.
            self._waiting.discard(generation_id)
        try:
            return self._advance(generation_id)
        except Exception:
            # Its lease runs out, and the sweeper tries again.
            _log.exception("A generation could not be moved on.")
            return False

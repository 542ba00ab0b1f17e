"""A store with another behind it: what cannot be counted in the first is counted in the second.

A circuit breaker keeps a store that is down from costing each request its time-out. It opens after
:data:`ERRORS_MAX` errors in a row; from then on one call at a time, after a pause, tries the first store again. The
pause starts at :data:`PAUSE_SECONDS_FIRST`, doubles up to :data:`PAUSE_SECONDS_MAX`, and is shortened at random by up
to half, so that the workers do not all come back at once. A call that the first store fails is answered by the second
within that same call.

What was counted in the one store is not carried into the other: after a drop and after a return, limits start anew.
"""

from __future__ import annotations

import logging
import threading
import time
from random import SystemRandom
from typing import TYPE_CHECKING, Final, TypeVar

from bsguard.core.clock import SYSTEM_CLOCK
from bsguard.core.errors import StateUnusable
from bsguard.core.events import StateDegraded, StateRecovered
from bsguard.core.fork import in_each_child

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bsguard.core.clock import Clock
    from bsguard.core.events import Emit
    from bsguard.stores.port import Ban, Change, Counter, Exchange, Reach, Record, Store, Taken, Write

T = TypeVar("T")
_log = logging.getLogger("bsguard")

ERRORS_MAX: Final = 3
PAUSE_SECONDS_FIRST: Final = 1.0
PAUSE_SECONDS_MAX: Final = 30.0

_LOST: Final = {
    "process": "limits and bans hold in each worker by itself",
    "machine": "limits and bans hold on each machine by itself",
    "machines": "nothing",
}


class Failover:
    """Uses *primary*, and *fallback* while that is down; *announce* gets an event at each drop and return.

    *monotonic* gives seconds for the pauses, *share* the part of a pause, from 0.5 to 1, that is waited.
    """

    def __init__(
        self,
        primary: Store,
        fallback: Store,
        announce: Emit,
        *,
        clock: Clock = SYSTEM_CLOCK,
        monotonic: Callable[[], float] = time.monotonic,
        share: Callable[[], float] = lambda: SystemRandom().uniform(0.5, 1.0),
    ) -> None:
        self.primary = primary
        self.fallback = fallback
        self._announce = announce
        self._clock = clock
        self._monotonic = monotonic
        self._share = share
        self._lock = threading.Lock()
        self._errors = 0
        #: Seconds that the last pause was long; 0 while the first store is in use.
        self._pause = 0.0
        self._next_try = 0.0
        self._trying = False
        in_each_child(self._renew)

    @property
    def name(self) -> str:
        """The name of the store in use."""
        return (self.fallback if self._pause else self.primary).name

    @property
    def reach(self) -> Reach:
        """The reach of the store in use."""
        return (self.fallback if self._pause else self.primary).reach

    def take(
        self,
        now_us: int,
        counters: Sequence[Counter],
        marks: Sequence[bytes] = (),
        bans: Sequence[Ban] = (),
        exchanges: Sequence[Exchange] = (),
        /,
    ) -> Taken:
        """See :class:`~bsguard.stores.port.Store`."""
        return self._call(lambda store: store.take(now_us, counters, marks, bans, exchanges))

    def settle(self, now_us: int, changes: Sequence[Change], marks: Sequence[tuple[bytes, int]] = (), /) -> list[int]:
        """See :class:`~bsguard.stores.port.Store`."""
        return self._call(lambda store: store.settle(now_us, changes, marks))

    def ban(self, now_us: int, key: bytes, until_us: int, /) -> None:
        """See :class:`~bsguard.stores.port.Store`."""
        self._call(lambda store: store.ban(now_us, key, until_us))

    def records(self, keys: Sequence[bytes], /) -> list[Record]:
        """See :class:`~bsguard.stores.port.Store`."""
        return self._call(lambda store: store.records(keys))

    def keep(self, now_us: int, writes: Sequence[Write], records_max: int, /) -> list[bool]:
        """See :class:`~bsguard.stores.port.Store`."""
        return self._call(lambda store: store.keep(now_us, writes, records_max))

    def newest(self, count: int, /) -> list[tuple[bytes, Record]]:
        """See :class:`~bsguard.stores.port.Store`."""
        return self._call(lambda store: store.newest(count))

    def reset(self) -> None:
        """Forget everything in both stores; raises when one of them cannot."""
        self.primary.reset()
        self.fallback.reset()

    def close(self) -> None:
        """Free what this process holds; the next use opens it again."""
        self.primary.close()
        self.fallback.close()

    def drop(self, error: StateUnusable) -> None:
        """Use the fallback from now on, until a try succeeds."""
        with self._lock:
            announced = self._open(error)
        self._tell(announced)

    def _call(self, step: Callable[[Store], T]) -> T:
        trying = False
        if self._pause:
            with self._lock:
                trying = not self._trying and self._monotonic() >= self._next_try
                self._trying = self._trying or trying
            if not trying:
                return step(self.fallback)
        try:
            answer = step(self.primary)
        except StateUnusable as error:
            self._failed(error, trying)
        else:
            if trying or self._errors:
                self._succeeded(trying)
            return answer
        finally:
            if trying:
                self._trying = False
        return step(self.fallback)

    def _failed(self, error: StateUnusable, trying: bool) -> None:
        announced = None
        with self._lock:
            self._errors += 1
            if trying or (not self._pause and self._errors >= ERRORS_MAX):
                announced = self._open(error)
        self._tell(announced)

    def _open(self, error: StateUnusable) -> StateDegraded | None:
        """Begin the next pause; the event when it is the first."""
        first = not self._pause
        self._pause = PAUSE_SECONDS_FIRST if first else min(self._pause * 2, PAUSE_SECONDS_MAX)
        self._next_try = self._monotonic() + self._pause * self._share()
        if not first:
            return None
        lost = f"{_LOST[self.fallback.reach]}, in the store {self.fallback.name}"
        return StateDegraded(time=self._clock.now(), part="store", lost=lost, reason=str(error))

    def _succeeded(self, trying: bool) -> None:
        announced = None
        with self._lock:
            self._errors = 0
            if trying and self._pause:
                self._pause = 0.0
                announced = StateRecovered(time=self._clock.now(), part="store", used=self.primary.name)
        self._tell(announced)

    def _tell(self, event: StateDegraded | StateRecovered | None) -> None:
        if event is None:
            return
        try:
            self._announce(event)
        except Exception:  # whatever a sink does, the request has its answer
            _log.exception("%s could not be reported", event.name)

    def _renew(self) -> None:
        """A thread of the parent may have held the lock, or been trying, when this process was forked."""
        self._lock = threading.Lock()
        self._trying = False

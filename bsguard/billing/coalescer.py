"""For accounts that many requests reserve from at once: while one statement is under way the next requests gather, and
the next statement answers all of them.

A lone request waits for nobody and is as fast as without. Only right after a statement that answered several does the
next one wait a moment for as many to come back: the first of them would otherwise go alone, and every second statement
would answer one request.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bsguard.billing.amounts import count_of, moment_of, name_of, positive
from bsguard.billing.batch import reserve_many
from bsguard.billing.errors import Contention, OutcomeUnknown
from bsguard.core.fork import in_each_child

if TYPE_CHECKING:
    from datetime import datetime

    from bsguard.billing.batch import Wish
    from bsguard.billing.ledger import Ledger
    from bsguard.billing.outcomes import Reserved

#: Requests answered by one statement. Twice as many bring little more and make the first of them wait longer.
BATCH_MAX: Final = 64

#: Requests that may wait for one account. More are refused at once: they would time out in the queue, and each one
#: holds a thread that other accounts could use.
WAITERS_MAX: Final = 1_000

#: How long a statement waits for the company that the last one had, as a share of the time which that one took. Also
#: for how long it is worth waiting after that one's end.
PATIENCE: Final = 0.25

#: Accounts whose last statement is remembered although nobody waits.
IDLE_MAX: Final = 1_000


@dataclass(slots=True)
class _Waiter:
    wish: Wish
    #: Released when the answer is there, or when it is this waiter's turn to lead.
    wake: threading.Lock = field(default_factory=threading.Lock)
    answer: Reserved | None = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Queue:
    #: Told when as many wait as the leader wants.
    enough: threading.Condition
    waiters: deque[_Waiter] = field(default_factory=deque)
    led: bool = False
    wanted: int = 0
    #: How many the last statement answered, and until when more are worth waiting for.
    answered: int = 1
    patient_until: float = 0


class Coalescer:
    """``reserve`` with the same answers as the ledger's, several at once where they meet.

    Only for a ledger with transactions of its own, shared by the threads of a process.
    """

    _lock: threading.Lock
    _queues: dict[str, _Queue]

    def __init__(self, ledger: Ledger, *, batch_max: int = BATCH_MAX, waiters_max: int = WAITERS_MAX) -> None:
        self._ledger = ledger
        self._batch_max = count_of("batch_max", batch_max, 1_000)
        self._waiters_max = count_of("waiters_max", waiters_max, 1_000_000)
        self._forget()
        in_each_child(self._forget)

    def reserve(self, account: str, amount: int, generation: str, *, expires_at: datetime | None = None) -> Reserved:
        """As :meth:`Ledger.reserve`; raises Contention when too many wait already."""
        name = name_of("account", account)
        ends = None if expires_at is None else moment_of("expires_at", expires_at)
        waiter = _Waiter((name_of("generation", generation), positive("amount", amount), ends))
        with self._lock:
            queue = self._queue_of(name)
            if len(queue.waiters) >= self._waiters_max:
                raise Contention(f"{self._waiters_max} requests wait for account {name!r} already")
            queue.waiters.append(waiter)
            if len(queue.waiters) == queue.wanted:
                queue.enough.notify()
            leads = not queue.led
            queue.led = True
            if not leads:
                waiter.wake.acquire()
        if not leads:
            waiter.wake.acquire()
        if waiter.answer is None and waiter.error is None:
            self._lead(name, queue, waiter)
        if waiter.error is not None:
            raise waiter.error
        if waiter.answer is None:
            raise RuntimeError("a waiter was woken with neither an answer nor an error")
        return waiter.answer

    def _queue_of(self, account: str) -> _Queue:
        queue = self._queues.get(account)
        if queue is None:
            if len(self._queues) >= IDLE_MAX:
                self._queues = {name: one for name, one in self._queues.items() if one.led}
            queue = self._queues[account] = _Queue(threading.Condition(self._lock))
        return queue

    def _lead(self, account: str, queue: _Queue, leader: _Waiter) -> None:
        """Answer statements' worth of waiters until the leader's own answer is among them; then hand over."""
        try:
            while leader.answer is None and leader.error is None:
                self._answer_some(account, queue)
        finally:
            with self._lock:
                if leader in queue.waiters:
                    # It was interrupted before its turn; its thread waits no longer.
                    queue.waiters.remove(leader)
                if queue.waiters:
                    queue.waiters[0].wake.release()
                else:
                    queue.led = False
                    if queue.answered == 1:
                        del self._queues[account]

    def _answer_some(self, account: str, queue: _Queue) -> None:
        with self._lock:
            self._gather(queue)
            batch = self._take(queue)
        began = time.monotonic()
        try:
            answers = reserve_many(self._ledger, account, [waiter.wish for waiter in batch])
        except BaseException as error:
            # What interrupts this thread is not for the others: they hear what it means for them.
            told = error if isinstance(error, Exception) else OutcomeUnknown("reserve", None)
            for waiter in batch:
                waiter.error = told
                _wake(waiter)
            raise
        ended = time.monotonic()
        again = []
        for waiter, answer in zip(batch, answers, strict=True):
            if answer is None:
                again.append(waiter)
                continue
            if isinstance(answer, BaseException):
                waiter.error = answer
            else:
                waiter.answer = answer
            _wake(waiter)
        with self._lock:
            queue.waiters.extendleft(reversed(again))
            queue.answered = len(batch)
            queue.patient_until = ended + (ended - began) * PATIENCE

    def _gather(self, queue: _Queue) -> None:
        """Wait a moment, if the last statement ended just now, for as many as it answered."""
        left = queue.patient_until - time.monotonic()
        wanted = min(queue.answered, self._batch_max)
        if left > 0 and len(queue.waiters) < wanted:
            queue.wanted = wanted
            try:
                queue.enough.wait(left)
            finally:
                queue.wanted = 0

    def _take(self, queue: _Queue) -> list[_Waiter]:
        """The next batch. A generation that is in it twice waits for the next one, which will find the first."""
        batch: list[_Waiter] = []
        later: list[_Waiter] = []
        seen: set[str] = set()
        while queue.waiters and len(batch) < self._batch_max:
            waiter = queue.waiters.popleft()
            (later if waiter.wish[0] in seen else batch).append(waiter)
            seen.add(waiter.wish[0])
        queue.waiters.extendleft(reversed(later))
        return batch

    def _forget(self) -> None:
        """Start anew in a forked process: the waiters are threads of the parent."""
        self._lock = threading.Lock()
        self._queues = {}


def _wake(waiter: _Waiter) -> None:
    # The leader's own lock was never taken.
    if waiter.wake.locked():
        waiter.wake.release()

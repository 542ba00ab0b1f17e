"""Periodic jobs: what the scheduler, the operator or this process's own clock sets going. One of a kind runs at a time.

A generation is moved on by whoever has news of it. These find what nobody has news of: processes that died, providers
that went silent, customers who did not answer, times that are over.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, update

from sample_app import attempts, deliveries, files, idempotency, inbox, leases
from sample_app.generations import Status
from sample_app.tables import attempts as attempts_table
from sample_app.tables import generations as generations_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sample_app.artifact_pipeline import ArtifactPipeline
    from sample_app.clock import Clock
    from sample_app.database import Database
    from sample_app.deliveries import Deliveries
    from sample_app.runner import Runner

# One call: rows at a time, and times. What is left is for the next call.
BATCH: Final = 100
ROUNDS_MAX: Final = 20

_EXPIRE_EVERY_SECONDS: Final = 60.0

_log = logging.getLogger(__name__)


class Job(StrEnum):
    """The jobs of the contract."""

    SWEEP = "sweep"
    RECONCILE = "reconcile"
    OUTBOX = "outbox"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True)
class Jobs:
    """Runs the jobs. ``who`` names this process; one that has not come back after ``lease_ms`` counts as dead.

    A job that is only slow may then run twice. That costs a look at some rows: generations have leases of their own.
    """

    database: Database
    runner: Runner
    artifacts: ArtifactPipeline
    deliveries: Deliveries
    clock: Clock
    who: str
    lease_ms: int

    def run(self, job: Job) -> int | None:
        """Run *job* once: how many things it dealt with, or None if it is running already."""
        work: dict[Job, Callable[[], int]] = {
            Job.SWEEP: self._sweep,
            Job.RECONCILE: self._reconcile,
            Job.OUTBOX: self.deliveries.work,
            Job.EXPIRE: self._expire,
        }
        with self.database.writing() as connection:
            now = self.clock()
            if not leases.take_job(connection, job, self.who, now, now + self.lease_ms):
                return None
        try:
            return work[job]()
        finally:
            with self.database.writing() as connection:
                leases.give_job_back(connection, job, self.who)

    def _sweep(self) -> int:
        """Look at every generation that is due and that nobody works on."""
        handled = 0
        for _ in range(ROUNDS_MAX):
            with self.database.reading() as connection:
                found = leases.due(connection, self.clock(), BATCH)
            handled += self.runner.each(found)
            if len(found) < BATCH:
                break
        return handled

    def _reconcile(self) -> int:
        """Ask about everything whose outcome is unknown, now rather than when it is due."""
        now = self.clock()
        unknown = (
            select(generations_table.c.generation_id)
            .where(generations_table.c.status == Status.NEEDS_RECONCILE)
            .order_by(generations_table.c.created_at)
            .limit(BATCH)
        )
        with self.database.writing() as connection:
            found = tuple(connection.execute(unknown).scalars())
            for generation_id in found:
                leases.signal(connection, generation_id, now)
            connection.execute(
                update(attempts_table)
                .where(attempts_table.c.generation_id.in_(found), attempts_table.c.state.in_(attempts.OPEN))
                .values(poll_at=now)
            )
        return self.runner.each(found)

    def _expire(self) -> int:
        """End grants and holds whose time is over; drop what nobody will ask for any more."""
        ended = self.database.ledger.expire()
        now = self.clock()
        with self.database.writing() as connection:
            forgotten: int = sum(part.forget(connection, now) for part in (idempotency, inbox, deliveries))
            over = files.expired(connection, now, BATCH)
        for file in over:
            # The bytes first: a row without bytes is found again, bytes without a row are not.
            self.artifacts.delete(file.storage_key)
            with self.database.writing() as connection:
                files.remove(connection, file.file_id)
        return int(ended.holds + ended.grants) + forgotten + len(over)


class Sweeper:
    """Runs the jobs in a thread of this process every few seconds. Of all processes, one finds something to do."""

    def __init__(self, jobs: Jobs, seconds: float) -> None:
        self._jobs = jobs
        self._seconds = seconds
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin, if it has not begun in this process; 0 seconds means never."""
        if not self._seconds or (self._thread is not None and self._thread.is_alive()):
            return
        with self._lock:
            if (self._thread is None or not self._thread.is_alive()) and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End after what is being done."""
        self._stopping.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        expired = 0.0
        while not self._stopping.wait(self._seconds):
            try:
                self._jobs.run(Job.SWEEP)
                self._jobs.run(Job.OUTBOX)
                if time.monotonic() - expired >= _EXPIRE_EVERY_SECONDS:
                    self._jobs.run(Job.EXPIRE)
                    expired = time.monotonic()
            except Exception:
                _log.exception("A periodic job failed; it is tried again.")

"""The work behind a simulated provider: takes orders, runs each once, remembers what it did and charged."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from sample_app.simulated import media
from sample_app.simulated.faults import Fault, told_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What was asked for; a rule after that many is somebody's loop.
RULES_MAX: Final = 1_000


class State(StrEnum):
    """Where an order is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self not in (State.QUEUED, State.RUNNING)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast things go, in seconds, so that tests need not wait and the tour can be watched."""

    run: float = 0.05
    slow: float = 5.0
    webhook_late: float = 5.0
    hold: float = 60.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """An order, out of its dialect."""

    model: str
    prompt: str
    media_format: str
    number: int
    price_micro_usd: int
    webhook_url: str
    given: Mapping[str, Any]


@dataclass(slots=True)
class Job:
    """An order that was taken."""

    job_id: str
    wanted: Wanted
    fault: Fault
    created_at: float
    state: State = State.QUEUED
    executed: int = 0
    charged_micro_usd: int = 0
    cancel_asked: bool = False
    polls: int = 0
    downloads: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def token(self) -> str:
        """The token in the address of the webhook, by which tests know whose order it is."""
        return parse_qs(urlsplit(self.wanted.webhook_url).query).get("attempt", [""])[0]

    @property
    def outputs(self) -> int:
        """How many files there are."""
        return self.wanted.number - 1 if self.fault is Fault.WRONG_COUNT else self.wanted.number

    def content(self, index: int) -> bytes:
        """One file."""
        if self.fault is Fault.WRONG_CONTENT:
            return b"<!doctype html><title>Not an output</title><script>alert(1)</script>"
        return media.make(self.wanted.media_format, f"{self.job_id}/{index}")


class Engine:
    """The orders of one provider. *tell* sends a job's report; it is called in threads of the engine's own."""

    def __init__(self, provider: str, pace: Pace) -> None:
        """Start the engine's threads; `stop` ends them."""
        self.provider = provider
        self.pace = pace
        self.base = ""
        """Where the provider is served; said when that is known."""
        self.tell: Callable[[Job, str], None] = lambda _job, _kind: None
        self._jobs: dict[str, Job] = {}
        self._rules: list[tuple[str, Fault]] = []
        self._refused = 0
        self._condition = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="simulated")
        self._stopped = False
        threading.Thread(target=self._loop, daemon=True).start()

    def stop(self) -> None:
        """End the threads; what is not due yet never happens."""
        with self._condition:
            self._stopped = True
            self._condition.notify()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def add_rule(self, contains: str, fault: Fault) -> None:
        """From now on, orders whose prompt contains this text have this fault."""
        with self._condition:
            self._rules = [*self._rules[-RULES_MAX:], (contains, fault)]

    def reset(self) -> None:
        """Forget all rules and orders."""
        with self._condition:
            self._rules.clear()
            self._jobs.clear()
            self._refused = 0

    def fault_of(self, prompt: str) -> Fault:
        """What goes wrong with an order of this prompt."""
        with self._condition:
            rules = list(self._rules)
        by_rule = next((fault for contains, fault in rules if contains in prompt), None)
        return by_rule or told_in(prompt, self.provider) or Fault.NONE

    def refuse(self) -> None:
        """Count an order that was not taken."""
        with self._condition:
            self._refused += 1

    def take(self, wanted: Wanted, fault: Fault) -> Job:
        """Take an order; it begins by itself. Asked twice, it is done twice, as with the real ones."""
        job = Job(uuid.uuid4().hex, wanted, fault, time.time())
        with self._condition:
            self._jobs[job.job_id] = job
        if fault is Fault.WEBHOOK_OVERTAKES:
            self._begin(job)
            self._end(job)
            self.tell(job, "end")
        else:
            self._later(0.0, lambda: self._start(job))
        return job

    def find(self, job_id: str) -> Job | None:
        """The order with this id."""
        with self._condition:
            return self._jobs.get(job_id)

    def newest(self) -> list[Job]:
        """All orders, newest first."""
        with self._condition:
            return sorted(self._jobs.values(), key=lambda job: -job.created_at)

    def cancel(self, job: Job) -> bool:
        """Ask for an end; False if it has ended."""
        with self._condition:
            if job.state.final:
                return False
            job.cancel_asked = True
            if job.fault is not Fault.SUCCESS_AFTER_CANCEL:
                job.state = State.CANCELLED
        if job.state is State.CANCELLED:
            job.ended.set()
            self._later(0.0, lambda: self.tell(job, "end"))
        return True

    def ledger(self) -> dict[str, Any]:
        """Everything that was done: for audits."""
        with self._condition:
            jobs = [
                {
                    "job_id": job.job_id,
                    "token": job.token,
                    "model": job.wanted.model,
                    "prompt": job.wanted.prompt,
                    "fault": job.fault,
                    "state": job.state,
                    "executed": job.executed,
                    "charged_micro_usd": job.charged_micro_usd,
                    "cancel_asked": job.cancel_asked,
                    "polls": job.polls,
                    "downloads": job.downloads,
                    "given": job.wanted.given,
                }
                for job in self._jobs.values()
            ]
            return {"provider": self.provider, "refused": self._refused, "jobs": jobs}

    def _start(self, job: Job) -> None:
        self._begin(job)
        if job.fault is not Fault.WEBHOOK_OUT_OF_ORDER:
            self.tell(job, "start")
        if job.fault is not Fault.STUCK:
            self._later(self.pace.slow if job.fault is Fault.SLOW else self.pace.run, lambda: self._finish(job))

    def _finish(self, job: Job) -> None:
        if not self._end(job):
            return
        kinds = {
            Fault.WEBHOOK_TWICE: ("end", "end"),
            Fault.WEBHOOK_OUT_OF_ORDER: ("end", "start"),
            Fault.WEBHOOK_FORGED: ("forged", "end"),
            Fault.WEBHOOK_NEVER: (),
        }.get(job.fault, ("end",))
        wait = self.pace.webhook_late if job.fault is Fault.WEBHOOK_LATE else 0.0
        self._later(wait, lambda: [self.tell(job, kind) for kind in kinds])

    def _begin(self, job: Job) -> None:
        with self._condition:
            if job.state is State.QUEUED:
                job.state = State.RUNNING

    def _end(self, job: Job) -> bool:
        with self._condition:
            if job.state.final:
                return False
            if job.fault in (Fault.FAILS, Fault.FLAGGED):
                job.state = State.FAILED
            else:
                job.executed += 1
                job.charged_micro_usd += job.wanted.price_micro_usd
                job.state = State.SUCCEEDED
        job.ended.set()
        return True

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        with self._condition:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), action))
            self._condition.notify()

    def _loop(self) -> None:
        while True:
            with self._condition:
                while not self._stopped and (not self._due or self._due[0][0] > time.monotonic()):
                    self._condition.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._stopped:
                    return
                _, _, action = heapq.heappop(self._due)
            with contextlib.suppress(RuntimeError):  # stopped in between
                self._pool.submit(action)

"""A generation's life after it is accepted: attempts, answers, settlement.

``advance`` may be called by anybody at any time, any number of times: by the request that accepted the generation, by
a webhook, by the sweeper, in any process. Each step is one transaction that names the state it comes from, or one call
to the outside between two of them; a process that dies anywhere leaves what the next call goes on from.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import IntegrityError

from sample_app import answers, attempts, event_system, failover, generations, leases
from sample_app.artifact_pipeline import Kept, Unavailable
from sample_app.attempts import Attempt, AttemptState
from sample_app.crash_points import passing
from sample_app.failure_handling import EXPIRED, FAILED, REFUSED
from sample_app.files import add_outputs, output_ids
from sample_app.generations import UNFINISHED, Status
from sample_app.policy_routing import health, reorder
from sample_app.providers.port import (
    Absent,
    Accepted,
    Output,
    Reason,
    Unknown,
    Working,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from sample_app.artifact_pipeline import ArtifactPipeline, Winner
    from sample_app.catalogue import Provider
    from sample_app.clock import Clock
    from sample_app.credit_lifecycle import CreditLifecycle
    from sample_app.database import Database
    from sample_app.failover import Step
    from sample_app.failure_handling import Timing
    from sample_app.generations import Generation
    from sample_app.orders import Orders
    from sample_app.providers.port import Found, ProviderPort, Submitted

# Steps of one call: every provider asked and answered, and settled, takes fewer.
_STEPS_MAX: Final = 32


class _Overtaken(Exception):
    """What a step was decided on is no longer so; the next step reads it again."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Moves generations on. ``who`` names this process; each of its threads works under a name of its own."""

    database: Database
    credits: CreditLifecycle
    ports: Mapping[Provider, ProviderPort]
    orders: Orders
    artifacts: ArtifactPipeline
    clock: Clock
    timing: Timing
    who: str

    def advance(self, generation_id: str) -> bool:
        """Do all that can be done now; False if somebody else is at it, or nothing is left to do."""
        with self.database.writing() as connection:
            now = self.clock()
            who = leases.thread_of(self.who)
            mine = leases.take(connection, generation_id, who, now, now + self.timing.lease)
        if not mine:
            return False
        passing("leased")
        try:
            self._work(generation_id, who)
        except Exception:
            # Something that nobody foresaw: somebody tries again, but not at once.
            with self.database.writing() as connection:
                leases.signal(connection, generation_id, self.clock() + self.timing.poll_first)
                leases.drop(connection, generation_id, who)
            raise
        return True

    def _work(self, generation_id: str, who: str) -> None:
        for _ in range(_STEPS_MAX):
            if not self._keep(generation_id, who):
                return
            generation, signals, step = self._decide(generation_id)
            if isinstance(step, failover.Wait):
                with self.database.writing() as connection:
                    if leases.give_back(connection, generation_id, who, signals, step.until):
                        return
            else:
                self._take(generation, step)
        with self.database.writing() as connection:
            leases.drop(connection, generation_id, who)

    def _keep(self, generation_id: str, who: str) -> bool:
        """Renew the lease when half of it is over; False if somebody else has taken it."""
        now = self.clock()
        with self.database.reading() as connection:
            until = leases.held_until(connection, generation_id, who)
        if until is None or until - now > self.timing.lease // 2:
            return until is not None
        with self.database.writing() as connection:
            return leases.renew(connection, generation_id, who, now + self.timing.lease)

    def _decide(self, generation_id: str) -> tuple[Generation, int, Step]:
        now = self.clock()
        with self.database.reading() as connection:
            # Before everything else: a signal that comes while this is read is noticed afterwards.
            signals = leases.signals(connection, generation_id)
            generation = generations.read(connection, generation_id)
            if generation is None:
                raise LookupError("a generation that was taken is gone")
            made = attempts.of(connection, generation_id)
            wanted = self.orders.providers(generation)
            order = reorder([each for each in wanted if each in self.ports], health(connection, now))
        return generation, signals, failover.decide(generation, made, order, now, self.timing)

    def _take(self, generation: Generation, step: Step) -> None:
        match step:
            case failover.Begin(provider, number):
                self._begin(generation, provider, number)
            case failover.Ask(attempt, last):
                self._ask(generation, attempt, last=last)
            case failover.Settle(attempt):
                self._settle(generation, attempt)
            case failover.Late(attempt):
                self._late(attempt)
            case failover.Stop(attempt):
                self._stop(generation, attempt)
            case failover.Reconcile(attempt):
                self._reconcile(generation, attempt)
            case failover.Fail(refused):
                self._fail(generation, REFUSED if refused else FAILED)

    def _begin(self, generation: Generation, provider: Provider, number: int) -> None:
        """Write the attempt down, then ask the provider."""
        if number > 1 and self._already_stored(generation):
            return
        port = self.ports[provider]
        order = self.orders.order(generation)
        now = self.clock()
        quoted = port.quote(order)
        attempt = Attempt(
            generation_id=generation.generation_id,
            number=number,
            provider=provider,
            token=secrets.token_hex(16),
            state=AttemptState.STARTING,
            provider_id=None,
            outputs=(),
            reason=None,
            quoted_micro_usd=quoted.micro_usd,
            spend_micro_usd=quoted.micro_usd,
            spend_known=False,
            polls=0,
            poll_at=now + self.timing.submit,
            deadline_at=now + self.timing.attempt,
            cancel_asked=False,
            created_at=now,
            updated_at=now,
        )
        try:
            with self.database.writing() as connection:
                open_states = (Status.RESERVED, Status.RUNNING, Status.NEEDS_RECONCILE)
                moved = generations.move(
                    connection, generation.generation_id, Status.RUNNING, now, come_from=open_states, provider=provider
                )
                if moved is None:
                    return
                # Whoever reports has the generation's row first, so from here on nobody changes an attempt by report.
                made = attempts.of(connection, generation.generation_id)
                if any(each.state.open or each.state is AttemptState.FINISHED for each in made):
                    raise _Overtaken
                attempts.add(connection, attempt)
                event_system.record(connection, moved)
                passing("attempt.writing")
        except (IntegrityError, _Overtaken):
            # Somebody whose lease had run out was faster, or a success came in; it is read in the next step.
            return
        passing("attempt.done")
        if self.clock() >= now + self.timing.submit // 2:
            # This process stood still. Others may soon conclude that the order never left, and ask the next provider.
            with self.database.writing() as connection:
                answers.never_taken(connection, attempt, "not_sent", self.clock())
            return
        answer = port.submit(order, attempt.token, self.orders.webhook_url(provider, attempt.token))
        passing("called")
        self._note(attempt, answer)

    def _already_stored(self, generation: Generation) -> bool:
        """Whether the storage has a winner, whatever the database thinks; then that is what settles."""
        winner = self.artifacts.winner(generation.account_id, generation.generation_id)
        if winner is None:
            return False
        with self.database.reading() as connection:
            made = attempts.of(connection, generation.generation_id)
        attempt = next((each for each in made if each.number == winner.number), None)
        if attempt is None:
            return False
        self._charge(generation, attempt, winner)
        return True

    def _ask(self, generation: Generation, attempt: Attempt, *, last: bool) -> None:
        port = self.ports.get(attempt.provider)
        # Somebody may have taken the provider out of the settings: then nothing is known.
        answer: Found = Unknown(Reason.UNSUPPORTED)
        if port is not None and attempt.provider_id is not None:
            answer = port.poll(generation.model, attempt.provider_id)
        elif port is not None:
            answer = port.find(generation.model, attempt.token, attempt.created_at)
        if isinstance(answer, Absent) and self.clock() < attempt.created_at + self.timing.submit:
            # The order may still be on its way.
            answer = Unknown(Reason.NOT_FOUND)
        passing("asked")
        self._note(attempt, answer)
        if last and isinstance(answer, (Working, Unknown)):
            self._abandon(generation, attempt)

    def _note(self, attempt: Attempt, answer: Submitted | Found) -> None:
        """Write down what the provider has answered, unless something better is known by now."""
        now = self.clock()
        with self.database.writing() as connection:
            answers.apply(connection, attempt, answer, now)
            if isinstance(answer, (Accepted, Working, Unknown)):
                polls = attempt.polls + (attempt.state is not AttemptState.STARTING or attempt.poll_at <= now)
                due = self.timing.next_poll(polls, now, attempt.deadline_at)
                attempts.note(connection, attempt, polls=polls, poll_at=due)
            passing("answer.writing")
        passing("answer.done")

    def _settle(self, generation: Generation, attempt: Attempt) -> None:
        """Fetch the outputs; then the generation, its files, the charge and the event in one transaction."""
        finished = (AttemptState.FINISHED,)
        if not self.orders.known(generation):
            with self.database.writing() as connection:
                now = self.clock()
                attempts.move(connection, attempt, AttemptState.FAILED, now, come_from=finished, reason="model_removed")
            return
        wanted = tuple(Output(url) for url in attempt.outputs[: self.orders.output_number(generation)])
        kept = self.artifacts.keep(generation, attempt, wanted, self.orders.output_format(generation))
        if isinstance(kept, Kept):
            passing("won")
            self._charge(generation, attempt, kept.winner)
            return
        now = self.clock()
        with self.database.writing() as connection:
            # It is paid for: what came in late is fetched for as long as what came in at once.
            until = max(attempt.deadline_at, attempt.updated_at + self.timing.attempt)
            if isinstance(kept, Unavailable) and now < until:
                due = self.timing.next_poll(attempt.polls + 1, now, until)
                attempts.note(connection, attempt, while_in=finished, polls=attempt.polls + 1, poll_at=due)
                return
            # Paid for, and of no use. The next provider may do better; what this one cost stays in the books.
            attempts.move(connection, attempt, AttemptState.FAILED, now, come_from=finished, reason=kept.reason)

    def _charge(self, generation: Generation, attempt: Attempt, winner: Winner) -> None:
        now = self.clock()
        with self.database.writing() as connection:
            made = attempts.of(connection, generation.generation_id)
            winning = next((each for each in made if each.number == winner.number), attempt)
            files = output_ids(generation.generation_id, winner.number, len(winner.files))
            moved = generations.move(
                connection,
                generation.generation_id,
                Status.SUCCEEDED,
                now,
                come_from=UNFINISHED,
                outputs=files,
                provider=winning.provider,
                credits=self.orders.price_of(generation, len(files)),
            )
            succeeded = (*attempts.OPEN, AttemptState.FINISHED, AttemptState.FAILED)
            if moved is not None:
                # What came with the answer itself is in the storage now.
                attempts.move(connection, winning, AttemptState.WON, now, come_from=succeeded, outputs=())
                add_outputs(connection, generation, winner, now)
                self.credits.charge(connection, moved)
                event_system.record(connection, moved)
            if winning.number != attempt.number or moved is None:
                attempts.move(connection, attempt, AttemptState.LATE, now, come_from=(AttemptState.FINISHED,))
            passing("settle.writing")
        passing("settle.done")
        if moved is not None:
            event_system.tell("generation.succeeded", generation=generation.generation_id, attempt=winning.number)

    def _late(self, attempt: Attempt) -> None:
        with self.database.writing() as connection:
            attempts.move(connection, attempt, AttemptState.LATE, self.clock(), come_from=(AttemptState.FINISHED,))
        event_system.tell("attempt.late", generation=attempt.generation_id, attempt=attempt.number)

    def _stop(self, generation: Generation, attempt: Attempt) -> None:
        port = self.ports.get(attempt.provider)
        if port is not None and attempt.provider_id is not None:
            # Whatever it answers: only asking how the attempt stands tells how it ended.
            port.cancel(generation.model, attempt.provider_id)
        with self.database.writing() as connection:
            attempts.note(connection, attempt, cancel_asked=True, poll_at=self.clock())

    def _reconcile(self, generation: Generation, attempt: Attempt) -> None:
        now = self.clock()
        with self.database.writing() as connection:
            moved = generations.move(
                connection, generation.generation_id, Status.NEEDS_RECONCILE, now, come_from=(Status.RUNNING,)
            )
            if moved is not None:
                attempts.move(connection, attempt, AttemptState.UNKNOWN, now)
                event_system.record(connection, moved)
        if moved is not None:
            event_system.tell("generation.needs_reconcile", generation=generation.generation_id, attempt=attempt.number)

    def _abandon(self, generation: Generation, attempt: Attempt) -> None:
        now = self.clock()
        try:
            # Together: an attempt that is given up must not look like one that has failed.
            with self.database.writing() as connection:
                end(connection, self.credits, generation.generation_id, Status.EXPIRED, now, failure=EXPIRED)
                if not attempts.move(connection, attempt, AttemptState.ABANDONED, now):
                    raise _Overtaken
                passing("end.writing")
        except _Overtaken:
            # A report came after all; the next step goes by that.
            return
        passing("end.done")

    def _fail(self, generation: Generation, failure: tuple[str, str]) -> None:
        with self.database.writing() as connection:
            end(connection, self.credits, generation.generation_id, Status.FAILED, self.clock(), failure=failure)
            passing("end.writing")
        passing("end.done")


def end(
    connection: Connection,
    ledger: CreditLifecycle,
    generation_id: str,
    status: Status,
    now: int,
    *,
    failure: tuple[str, str] | None,
) -> Generation | None:
    """Move an unfinished generation to a final state without success, and release its hold; None if it had ended."""
    code, message = failure or (None, None)
    moved = generations.move(
        connection, generation_id, status, now, come_from=UNFINISHED, failure_code=code, failure_message=message
    )
    if moved is not None:
        ledger.release(connection, moved, expired=status is Status.EXPIRED)
        event_system.record(connection, moved)
    return moved

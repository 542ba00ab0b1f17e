"""Failover: what to do next about a generation, decided from what is written down and from nothing else.

The next provider is asked only after every attempt so far has definitely failed. The first success settles, whenever
it comes; what comes after the end is late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sample_app.attempts import AttemptState
from sample_app.generations import Status
from sample_app.providers.port import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sample_app.attempts import Attempt
    from sample_app.catalogue import Provider
    from sample_app.failure_handling import Timing
    from sample_app.generations import Generation


@dataclass(frozen=True, slots=True)
class Settle:
    """Fetch the outputs of this attempt, and charge."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Late:
    """Record that this attempt succeeded after the end."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the provider how this attempt stands. If it does not say how it ended and this is *last*, it is given up."""

    attempt: Attempt
    last: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask the provider to stop this attempt: nobody wants it any more."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Begin:
    """Ask this provider, as attempt *number*."""

    provider: Provider
    number: int


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Mark that nobody knows whether this attempt succeeded."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Fail:
    """All providers have failed."""

    refused: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before that moment; None means never again."""

    until: int | None


Step: TypeAlias = Settle | Late | Ask | Stop | Begin | Reconcile | Fail | Wait


def decide(
    generation: Generation, attempts: Sequence[Attempt], order: Sequence[Provider], now: int, timing: Timing
) -> Step:
    """The next step. *order* is who may be asked, healthiest first."""
    finished = next((each for each in attempts if each.state is AttemptState.FINISHED), None)
    if finished is not None:
        if generation.status.final:
            return Late(finished)
        # An output that could not be fetched is tried again later.
        return Settle(finished) if now >= finished.poll_at else Wait(finished.poll_at)
    waiting = [each for each in attempts if each.state.open]
    if waiting:
        steps = [_about(generation, each, now, timing) for each in waiting]
        pressing = next((step for step in steps if not isinstance(step, Wait)), None)
        return pressing or Wait(min(each.poll_at for each in waiting))
    if generation.status.final:
        return Wait(None)
    asked = {each.provider for each in attempts}
    provider = next((each for each in order if each not in asked), None)
    if provider is not None:
        return Begin(provider, len(attempts) + 1)
    return Fail(refused=bool(attempts) and all(each.reason == Reason.CONTENT_POLICY for each in attempts))


def _about(generation: Generation, attempt: Attempt, now: int, timing: Timing) -> Step:
    """What to do about one attempt whose outcome is still to come."""
    if generation.status.final and attempt.provider_id is not None and not attempt.cancel_asked:
        return Stop(attempt)
    if now >= attempt.poll_at:
        # Nothing is given up for the time alone, in which nobody may have asked: this service may have been away.
        over = now >= attempt.deadline_at + timing.reconcile and generation.status is not Status.RUNNING
        return Ask(attempt, last=over)
    if now >= attempt.deadline_at and generation.status is Status.RUNNING:
        return Reconcile(attempt)
    return Wait(attempt.poll_at)

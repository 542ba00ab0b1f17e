"""Answers: what a provider said of an attempt, asked or by a report, as the attempt's next state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sample_app import attempts
from sample_app.attempts import AttemptState
from sample_app.providers.port import Absent, Accepted, Failed, Finished, Refused, Unknown, Working

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sample_app.attempts import Attempt
    from sample_app.providers.port import Found, Spend, Submitted


def apply(connection: Connection, attempt: Attempt, answer: Submitted | Found, now: int) -> bool:
    """Write down an answer or a report; whether it changed anything. What is known better stays as it is."""
    match answer:
        case Accepted(provider_id) | Working(provider_id):
            return attempts.move(connection, attempt, AttemptState.RUNNING, now, provider_id=provider_id)
        case Finished(provider_id, outputs, spend):
            # A success counts even after a failure was reported: the provider was paid, and the outputs are there.
            return attempts.move(
                connection,
                attempt,
                AttemptState.FINISHED,
                now,
                come_from=(*attempts.OPEN, AttemptState.FAILED, AttemptState.ABANDONED),
                provider_id=provider_id,
                outputs=tuple(output.url for output in outputs),
                reason=None,
                poll_at=now,
                **_spend(attempt, spend),
            )
        case Failed(provider_id, reason, spend):
            return attempts.move(
                connection,
                attempt,
                AttemptState.FAILED,
                now,
                provider_id=provider_id,
                reason=reason,
                **_spend(attempt, spend),
            )
        case Refused(reason):
            return never_taken(connection, attempt, reason, now)
        case Absent():
            return never_taken(connection, attempt, "absent", now)
        case Unknown(reason):
            # A silence takes nothing away from what is known.
            silent = (AttemptState.STARTING, AttemptState.UNKNOWN)
            return attempts.move(connection, attempt, AttemptState.UNKNOWN, now, come_from=silent, reason=reason)


def _spend(attempt: Attempt, spend: Spend | None) -> dict[str, Any]:
    """What the provider says that it charges; where it does not say, the quote, whatever was believed before."""
    if spend is None:
        return {"spend_micro_usd": attempt.quoted_micro_usd, "spend_known": False}
    return {"spend_micro_usd": spend.micro_usd, "spend_known": True}


def never_taken(connection: Connection, attempt: Attempt, reason: str, now: int) -> bool:
    """Write down that the provider has no such order, and that it costs nothing; whether that changed anything."""
    return attempts.move(
        connection, attempt, AttemptState.FAILED, now, reason=reason, spend_micro_usd=0, spend_known=True
    )

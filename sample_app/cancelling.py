"""Cancelling: the generation ends and its hold goes back at once; whether the provider stops is found out later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sample_app import generations, leases, lifecycle
from sample_app.crash_points import passing
from sample_app.errors import ApiError, ErrorCode
from sample_app.generations import GENERATION_ID, Status

if TYPE_CHECKING:
    from sample_app.clock import Clock
    from sample_app.credit_lifecycle import CreditLifecycle
    from sample_app.database import Database
    from sample_app.generations import Generation


@dataclass(frozen=True, slots=True)
class Cancelling:
    """Cancels generations of an account."""

    database: Database
    credits: CreditLifecycle
    clock: Clock

    def cancel(self, account_id: str, generation_id: str) -> Generation:
        """The generation after it was cancelled, now or before.

        Raises:
            ApiError: 404 if the account has no such generation, 409 if it has ended otherwise.
        """
        now = self.clock()
        with self.database.writing() as connection:
            found = generations.read(connection, generation_id) if GENERATION_ID.fullmatch(generation_id) else None
            if found is None or found.account_id != account_id:
                raise ApiError(ErrorCode.GENERATION_NOT_FOUND)
            ended = lifecycle.end(connection, self.credits, generation_id, Status.CANCELLED, now, failure=None)
            if ended is not None:
                leases.signal(connection, generation_id, now)
                passing("cancel.writing")
            elif (seen := generations.read(connection, generation_id)) is not None:
                ended = seen
        if ended is None or ended.status is not Status.CANCELLED:
            raise ApiError(ErrorCode.ALREADY_ENDED)
        passing("cancel.done")
        return ended

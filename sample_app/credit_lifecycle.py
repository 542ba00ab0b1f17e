"""Credit lifecycle: reserve, then charge or release, each once, in the transaction that changes the generation.

The ledger's own rules make the rest impossible: nobody settles twice, and nobody spends what is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bsguard.billing import ArgumentInvalid, BalanceTooLarge, InsufficientCredits, KeyConflict, UnknownAccount
from sample_app.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from bsguard.billing import Balance, Ledger, Page, ToppedUp
    from sample_app.generations import Generation

TOPUP_URL: Final = "/v1/billing/topups"


@dataclass(frozen=True, slots=True)
class CreditLifecycle:
    """The credits of generations and accounts."""

    ledger: Ledger

    def reserve(self, connection: Connection, generation: Generation) -> None:
        """Set the price aside: from here on the generation is paid for.

        Raises:
            ApiError: 402, with what is missing, if the account does not have it.
        """
        try:
            self.ledger.using(connection).reserve(generation.account_id, generation.credits, generation.generation_id)
        except UnknownAccount:
            raise _insufficient(generation.credits, 0) from None
        except InsufficientCredits as error:
            raise _insufficient(error.required, error.available) from None

    def charge(self, connection: Connection, generation: Generation) -> None:
        """Spend what the generation costs in the end; the rest is available again."""
        self.ledger.using(connection).charge(
            generation.generation_id, generation.credits, account=generation.account_id
        )

    def release(self, connection: Connection, generation: Generation, *, expired: bool = False) -> None:
        """Give all of it back."""
        self.ledger.using(connection).release(generation.generation_id, account=generation.account_id, expired=expired)

    def topup(self, connection: Connection, account_id: str, amount: int, key: str) -> ToppedUp:
        """Add bought credits, once for each *key*.

        Raises:
            ApiError: 422 if the key was used for another amount, or nobody could have so many credits.
        """
        try:
            return self.ledger.using(connection).topup(account_id, amount, key=key)
        except KeyConflict:
            raise ApiError(ErrorCode.IDEMPOTENCY_KEY_REUSED) from None
        except BalanceTooLarge:
            raise ApiError(ErrorCode.INVALID_BODY, "credits would lift the balance above its maximum.") from None

    def balance(self, account_id: str, as_of: datetime | None) -> Balance | None:
        """What the account has now or had then; None for an account that has never had anything."""
        try:
            return self.ledger.balance(account_id, as_of=as_of)
        except UnknownAccount:
            return None

    def history(self, account_id: str, cursor: str | None, entries_max: int) -> Page | None:
        """One page of the ledger, newest first; None for an account that has never had anything.

        Raises:
            ApiError: 422 if the cursor is not one.
        """
        try:
            return self.ledger.history(account_id, cursor=cursor, limit=entries_max)
        except UnknownAccount:
            return None
        except ArgumentInvalid:
            raise ApiError(ErrorCode.INVALID_CURSOR) from None


def _insufficient(required: int, available: int) -> ApiError:
    details = {"required": required, "available": available, "topup_url": TOPUP_URL}
    return ApiError(ErrorCode.INSUFFICIENT_CREDITS, details=details)

"""The views of credits: what an account has, what it was spent on, and adding to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from flask import Response, request

from sample_app import idempotency
from sample_app.clock import rfc3339, rfc3339_of
from sample_app.errors import ApiError, ErrorCode
from sample_app.idempotency import Act
from sample_app.requests import read_idempotency_key, read_json, read_limit, read_query
from sample_app.responses import success

if TYPE_CHECKING:
    from bsguard.billing import Entry
    from sample_app.access_control import Principal
    from sample_app.clock import Clock
    from sample_app.credit_lifecycle import CreditLifecycle
    from sample_app.database import Database

TOPUP_CREDITS_MAX: Final = 1_000_000

_REFERENCE: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
# RFC 3339, section 5.6; years before 1970 have no balance.
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_OPERATION: Final = "createTopup"


@dataclass(frozen=True, slots=True)
class BillingViews:
    """Credits of an account."""

    database: Database
    credits: CreditLifecycle
    clock: Clock

    def usage(self, principal: Principal) -> Response:
        """The balance, and one page of the ledger."""
        query = read_query(request.args, ("as_of", "limit", "cursor"))
        rows_max = read_limit(query)
        as_of = _moment(query["as_of"]) if "as_of" in query else None
        page = self.credits.history(principal.account_id, query.get("cursor"), rows_max)
        balance = self.credits.balance(principal.account_id, as_of)
        return success(
            {
                "as_of": rfc3339(self.clock()) if as_of is None else rfc3339_of(as_of),
                "available": balance.available if balance else 0,
                "reserved": balance.reserved if balance else 0,
                "entries": [_show(entry) for entry in page.entries] if page else [],
                "next_cursor": page.cursor if page else None,
            }
        )

    def topup(self, principal: Principal) -> Response:
        """Add credits, once for each key."""
        read_query(request.args, ())
        key = read_idempotency_key(request)
        if key is None:
            raise ApiError(ErrorCode.MISSING_IDEMPOTENCY_KEY)
        amount, reference = _read_topup(read_json(request))
        act = Act(principal.account_id, _OPERATION, key, {"credits": amount, "payment_reference": reference})
        with self.database.writing() as connection:
            shown = idempotency.claim(connection, act, self.clock())
            if shown is None:
                # The ledger keeps the key for ever; `idempotency` keeps the whole answer for a day.
                added = self.credits.topup(connection, principal.account_id, amount, f"topup:{key}")
                shown = {"entry_id": added.seq, "credits": added.amount, "available": added.available}
                idempotency.keep(connection, act, shown)
        return success(shown, 201)


def _read_topup(body: object) -> tuple[int, str | None]:
    if not isinstance(body, dict) or not body.keys() <= {"credits", "payment_reference"}:
        raise ApiError(ErrorCode.INVALID_BODY, "The body must be an object of credits and payment_reference.")
    amount, reference = body.get("credits"), body.get("payment_reference")
    if isinstance(amount, float) and amount.is_integer():
        amount = int(amount)
    if not isinstance(amount, int) or isinstance(amount, bool) or not 1 <= amount <= TOPUP_CREDITS_MAX:
        raise ApiError(ErrorCode.INVALID_BODY, f"credits must be an integer from 1 to {TOPUP_CREDITS_MAX}.")
    if "payment_reference" in body and not (isinstance(reference, str) and _REFERENCE.fullmatch(reference)):
        raise ApiError(ErrorCode.INVALID_BODY, f"payment_reference must be a text of the form {_REFERENCE.pattern}.")
    return amount, reference


def _moment(text: str) -> datetime:
    # The pattern comes first: Python reads more forms than the contract has.
    found = _MOMENT.fullmatch(text)
    try:
        moment = datetime.fromisoformat(text.upper()) if found else None
        return moment.astimezone(UTC) if moment else _unusable()
    except (ValueError, OverflowError):
        return _unusable()


def _unusable() -> datetime:
    raise ApiError(ErrorCode.INVALID_PARAMETER, "as_of must be a moment as RFC 3339 writes it.")


def _show(entry: Entry) -> dict[str, Any]:
    return {
        "entry_id": entry.seq,
        "type": entry.type,
        "credits": entry.available_change,
        "generation_id": entry.generation,
        "created_at": rfc3339_of(entry.written_at),
    }

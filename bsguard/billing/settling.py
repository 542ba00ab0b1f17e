"""Reserve, charge, release, refund: the life of a hold. Each is one plan; the rest is telling what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from bsguard.billing import statements
from bsguard.billing.amounts import datetime_of, moment_of, name_of, positive
from bsguard.billing.errors import (
    AlreadyCharged,
    AlreadyExpired,
    AlreadyRefunded,
    AlreadyReleased,
    AlreadyReserved,
    BalanceTooLarge,
    Contention,
    InsufficientCredits,
    NotCharged,
    OverSettlement,
    UnknownAccount,
    UnknownGeneration,
    WrongOwner,
)
from bsguard.billing.execution import Duplicate, OutOfBounds
from bsguard.billing.outcomes import Charged, Hold, Refunded, Released, Reserved
from bsguard.billing.reading import balance_of, entry_of_generation, hold_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bsguard.billing.errors import AlreadySettled
    from bsguard.billing.execution import Execution
    from bsguard.billing.runner import Answer, Values

_Seen = TypeVar("_Seen", Charged, Released, Refunded)

#: How often a reservation is tried when the account changes under it, before its row is locked first.
OPTIMISTIC_TRIES_MAX: Final = 2

#: How often one starts over when credits come in between being refused and looking why.
LOOKS_MAX: Final = 5

_ERRORS: Final[dict[str | None, type[AlreadySettled]]] = {
    None: AlreadyReserved,
    "charged": AlreadyCharged,
    "released": AlreadyReleased,
    "expired": AlreadyExpired,
}


def reserve(execution: Execution, account: str, amount: int, generation: str, expires_at: datetime | None) -> Reserved:
    """Set credits aside, or say why not."""
    ends = None if expires_at is None else moment_of("expires_at", expires_at)
    return reserve_at(
        execution, name_of("account", account), name_of("generation", generation), positive("amount", amount), ends
    )


def reserve_at(execution: Execution, account: str, generation: str, amount: int, ends: int | None) -> Reserved:
    """The same with arguments that are checked already."""
    values: Values = {"account": account, "amount": amount, "generation": generation, "expires_at": ends}
    for _ in range(LOOKS_MAX):
        values["now"] = execution.now()
        try:
            answer = _try_reserve(execution, values)
        except Duplicate:
            return _reserved_before(execution, values)
        except OutOfBounds:
            raise BalanceTooLarge(account, amount) from None
        if answer is None:
            raise UnknownAccount(account)
        if answer["seq"] is not None:
            return _reserved(values, answer)
        if answer["known"]:
            return _reserved_before(execution, values)
        # The answer shows the account as it was when the statement began. It was refused on what it was after a wait.
        balance = balance_of(execution, account, values["now"])
        if balance.spendable < amount:
            raise InsufficientCredits(account, amount, balance.spendable)
    raise Contention(f"account {account!r} changes all the time")


def _try_reserve(execution: Execution, values: Values) -> Answer | None:
    plain = execution.plan("reserve", statements.reserve)
    answer = execution.run("reserve", plain, values)
    if answer is None or answer["seq"] is not None or answer["known"] or not answer["before_granted"]:
        return answer
    granted = execution.plan("reserve_granted", statements.reserve_granted)
    for _ in range(OPTIMISTIC_TRIES_MAX if execution.runner.owns else 0):
        answer = execution.run("reserve", granted, values)
        if answer is None or answer["seq"] is not None or answer["known"] or not _would_fit(answer, values["amount"]):
            return answer
    return execution.run("reserve", granted, values, lock=values["account"])


def _would_fit(answer: Answer, amount: int) -> bool:
    spendable: int = answer["before_available"] - answer["before_lapsed"] - answer["before_floor"]
    return amount <= spendable


def _reserved(values: Values, answer: Answer) -> Reserved:
    return Reserved(
        account=values["account"],
        generation=values["generation"],
        amount=values["amount"],
        available=answer["available"],
        reserved=answer["reserved"],
        seq=answer["seq"],
    )


def _reserved_before(execution: Execution, values: Values) -> Reserved:
    """The answer to a reservation that was made before: the same one if it was the same reservation."""
    hold = hold_of(execution, values["generation"])
    if hold is None:
        # Refused as a duplicate by a transaction that was undone meanwhile, or the account's number was taken.
        raise Contention(f"generation {values['generation']!r} is being reserved by somebody else")
    if hold.account != values["account"]:
        raise WrongOwner(values["generation"], values["account"])
    if hold.reserved != values["amount"]:
        raise AlreadyReserved(hold)
    return Reserved(
        **_first_answer(execution, hold, "reserve"), generation=hold.generation, replayed=True, settled=hold.settled
    )


def charge(execution: Execution, generation: str, actual: int, account: str | None) -> Charged:
    """Settle a hold by what was used."""
    values = _settling(generation, account, positive("actual", actual), execution)

    def look(hold: Hold) -> Charged | None:
        if hold.settled == "charged" and hold.charged == actual:
            first = _first_answer(execution, hold, "charge")
            return Charged(**first, generation=generation, returned=hold.reserved - hold.charged, replayed=True)
        if hold.settled is not None:
            raise _ERRORS[hold.settled](hold)
        if actual > hold.reserved:
            raise OverSettlement(generation, actual, hold.reserved)
        return None

    outcome = _settle(execution, "charge", values, look)
    if isinstance(outcome, Charged):
        return outcome
    return Charged(**_told(outcome), generation=generation, returned=outcome["given_back"])


def release(execution: Execution, generation: str, account: str | None, *, expired: bool) -> Released:
    """Give a hold back."""
    values = _settling(generation, account, None, execution)

    def look(hold: Hold) -> Released | None:
        if hold.settled == ("expired" if expired else "released"):
            first = _first_answer(execution, hold, "release")
            return Released(**first, generation=generation, expired=expired, replayed=True)
        if hold.settled is not None:
            raise _ERRORS[hold.settled](hold)
        return None

    outcome = _settle(execution, "release_as_expired" if expired else "release", values, look)
    if isinstance(outcome, Released):
        return outcome
    return Released(**_told(outcome), generation=generation, expired=expired)


def refund(execution: Execution, generation: str, amount: int | None, account: str | None) -> Refunded:
    """Give back a charge."""
    values = _settling(generation, account, None if amount is None else positive("amount", amount), execution)

    def look(hold: Hold) -> Refunded | None:
        if hold.settled is None:
            raise NotCharged(hold)
        if hold.settled != "charged":
            raise _ERRORS[hold.settled](hold)
        wanted = hold.charged if amount is None else amount
        if hold.refunded == wanted:
            return Refunded(**_first_answer(execution, hold, "refund"), generation=generation, replayed=True)
        if hold.refunded:
            raise AlreadyRefunded(hold)
        if wanted > hold.charged:
            raise OverSettlement(generation, wanted, hold.charged)
        return None

    outcome = _settle(execution, "refund", values, look)
    if isinstance(outcome, Refunded):
        return outcome
    return Refunded(**_told(outcome), generation=generation)


_MAKERS: Final = {
    "charge": statements.charge,
    "release": statements.release,
    "release_as_expired": statements.release_as_expired,
    "refund": statements.refund,
}


def _settling(generation: str, account: str | None, amount: int | None, execution: Execution) -> Values:
    return {
        "generation": name_of("generation", generation),
        "account": None if account is None else name_of("account", account),
        "amount": amount,
        "now": execution.now(),
    }


def _settle(
    execution: Execution, operation: str, values: Values, look: Callable[[Hold], _Seen | None]
) -> Answer | _Seen:
    """The answer of the statement, or what *look* finds in the hold if the statement did nothing.

    Between the two, somebody may have made the hold or charged it; then the statement has its chance again.
    """
    for _ in range(LOOKS_MAX):
        try:
            answer = execution.run(operation, execution.plan(operation, _MAKERS[operation]), values)
        except Duplicate:
            # The row of the ledger is there, so the hold shows how it came about.
            answer = None
        except OutOfBounds:
            hold = _hold(execution, values["generation"], values["account"])
            raise BalanceTooLarge(hold.account, values["amount"] or hold.charged) from None
        if answer is not None:
            return answer
        seen = look(_hold(execution, values["generation"], values["account"]))
        if seen is not None:
            return seen
    raise Contention(f"generation {values['generation']!r} changes all the time")


def _told(answer: Answer) -> dict[str, Any]:
    return {name: answer[name] for name in ("account", "amount", "available", "reserved", "seq")}


def _first_answer(execution: Execution, hold: Hold, kind: str) -> dict[str, Any]:
    row = entry_of_generation(execution, hold.generation, kind)
    return {name: row[name] for name in ("account", "amount", "available", "reserved", "seq")}


def _hold(execution: Execution, generation: str, account: str | None) -> Hold:
    hold = hold_of(execution, generation)
    if hold is None:
        raise UnknownGeneration(generation)
    if account is not None and hold.account != account:
        raise WrongOwner(generation, account)
    return hold


def extend(execution: Execution, generation: str, expires_at: datetime | None, account: str | None) -> Hold:
    """Move the end of an open hold, or take it away."""
    values = _settling(generation, account, None, execution)
    values["expires_at"] = None if expires_at is None else moment_of("expires_at", expires_at)
    execution.run("extend", execution.plan("extend", statements.extend), values)
    hold = _hold(execution, generation, account)
    if hold.settled is not None:
        raise _ERRORS[hold.settled](hold)
    if values["expires_at"] is not None and hold.expires_at != datetime_of(values["expires_at"]):
        raise Contention(f"generation {generation!r} is being extended by somebody else")
    return hold

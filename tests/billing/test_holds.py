"""Reserve, charge, release, refund: what each answers the first time, the second time, and out of order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bsguard.billing import (
    AlreadyCharged,
    AlreadyExpired,
    AlreadyRefunded,
    AlreadyReleased,
    AlreadyReserved,
    BillingError,
    InsufficientCredits,
    Ledger,
    NotCharged,
    OverSettlement,
    UnknownAccount,
    UnknownGeneration,
    WrongOwner,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bsguard.testing import FakeClock


def test_a_generation_reserves_charges_and_refunds(ledger: Ledger) -> None:
    ledger.topup("acme", 1000)

    reserved = ledger.reserve("acme", 120, "g")
    charged = ledger.charge("g", 95)
    refunded = ledger.refund("g", 40)

    assert (reserved.available, reserved.reserved) == (880, 120)
    assert (charged.amount, charged.returned, charged.available, charged.reserved) == (95, 25, 905, 0)
    assert (refunded.amount, refunded.available) == (40, 945)
    hold = ledger.hold("g")
    assert hold is not None
    assert (hold.reserved, hold.charged, hold.released, hold.refunded, hold.settled) == (120, 95, 25, 40, "charged")


def test_a_release_returns_everything(ledger: Ledger) -> None:
    ledger.topup("acme", 100)
    ledger.reserve("acme", 60, "g")

    released = ledger.release("g")

    assert (released.amount, released.available, released.reserved, released.expired) == (60, 100, 0, False)


def test_what_is_not_there_cannot_be_reserved(ledger: Ledger) -> None:
    ledger.topup("acme", 100)
    ledger.reserve("acme", 60, "g")

    with pytest.raises(InsufficientCredits) as caught:
        ledger.reserve("acme", 41, "h")

    assert (caught.value.account, caught.value.required, caught.value.available) == ("acme", 41, 40)
    assert ledger.hold("h") is None
    ledger.reserve("acme", 40, "h")


def test_a_credit_line_can_be_used_up_to_the_floor(ledger: Ledger) -> None:
    ledger.open("acme", floor=-50)

    assert ledger.balance("acme").spendable == 50
    with pytest.raises(InsufficientCredits) as caught:
        ledger.reserve("acme", 51, "g")
    assert caught.value.available == 50
    assert ledger.reserve("acme", 50, "g").available == -50


REPLAYS: dict[str, Callable[[Ledger], object]] = {
    "reserve": lambda ledger: ledger.reserve("acme", 100, "open"),
    "reserve after its charge": lambda ledger: ledger.reserve("acme", 100, "charged"),
    "charge": lambda ledger: ledger.charge("charged", 70),
    "charge after its refund": lambda ledger: ledger.charge("refunded", 100),
    "release": lambda ledger: ledger.release("released"),
    "expired release": lambda ledger: ledger.release("expired", expired=True),
    "refund": lambda ledger: ledger.refund("refunded", 30),
}


def prepare(ledger: Ledger) -> dict[str, object]:
    """One hold in every state, and what was answered on the way, by the names of REPLAYS."""
    ledger.topup("acme", 10_000)
    ledger.open("other")
    told: dict[str, object] = {}
    told["reserve"] = ledger.reserve("acme", 100, "open")
    told["reserve after its charge"] = ledger.reserve("acme", 100, "charged")
    told["charge"] = ledger.charge("charged", 70)
    for name in ("released", "expired", "refunded"):
        ledger.reserve("acme", 100, name)
    told["release"] = ledger.release("released")
    told["expired release"] = ledger.release("expired", expired=True)
    told["charge after its refund"] = ledger.charge("refunded", 100)
    told["refund"] = ledger.refund("refunded", 30)
    return told


@pytest.mark.parametrize("name", REPLAYS)
def test_the_same_call_has_the_same_answer_and_moves_nothing(ledger: Ledger, name: str) -> None:
    told = prepare(ledger)
    before = ledger.balance("acme")

    again = REPLAYS[name](ledger)

    assert again == told[name]
    assert again.replayed  # type: ignore[attr-defined]
    assert not told[name].replayed  # type: ignore[attr-defined]
    assert ledger.balance("acme") == before


def test_a_replayed_reservation_says_how_it_ended(ledger: Ledger) -> None:
    prepare(ledger)

    ends = {name: ledger.reserve("acme", 100, name).settled for name in ("open", "charged", "released", "expired")}

    assert ends == {"open": None, "charged": "charged", "released": "released", "expired": "expired"}


REFUSALS: dict[str, tuple[Callable[[Ledger], object], type[BillingError]]] = {
    "reserve another amount": (lambda ledger: ledger.reserve("acme", 99, "open"), AlreadyReserved),
    "reserve another account's generation": (lambda ledger: ledger.reserve("other", 100, "open"), WrongOwner),
    "reserve for nobody": (lambda ledger: ledger.reserve("nobody", 1, "new"), UnknownAccount),
    "charge more than reserved": (lambda ledger: ledger.charge("open", 101), OverSettlement),
    "charge another amount": (lambda ledger: ledger.charge("charged", 71), AlreadyCharged),
    "charge after release": (lambda ledger: ledger.charge("released", 100), AlreadyReleased),
    "charge after expiry": (lambda ledger: ledger.charge("expired", 100), AlreadyExpired),
    "charge nothing reserved": (lambda ledger: ledger.charge("new", 1), UnknownGeneration),
    "charge as another account": (lambda ledger: ledger.charge("open", 1, account="other"), WrongOwner),
    "release after charge": (lambda ledger: ledger.release("charged"), AlreadyCharged),
    "release after refund": (lambda ledger: ledger.release("refunded"), AlreadyCharged),
    "release after expiry": (lambda ledger: ledger.release("expired"), AlreadyExpired),
    "expire after release": (lambda ledger: ledger.release("released", expired=True), AlreadyReleased),
    "release nothing reserved": (lambda ledger: ledger.release("new"), UnknownGeneration),
    "release as another account": (lambda ledger: ledger.release("open", account="other"), WrongOwner),
    "refund what is open": (lambda ledger: ledger.refund("open"), NotCharged),
    "refund after release": (lambda ledger: ledger.refund("released"), AlreadyReleased),
    "refund after expiry": (lambda ledger: ledger.refund("expired"), AlreadyExpired),
    "refund more than charged": (lambda ledger: ledger.refund("charged", 71), OverSettlement),
    "refund another amount": (lambda ledger: ledger.refund("refunded", 31), AlreadyRefunded),
    "refund the rest": (lambda ledger: ledger.refund("refunded"), AlreadyRefunded),
    "refund nothing reserved": (lambda ledger: ledger.refund("new"), UnknownGeneration),
    "refund as another account": (lambda ledger: ledger.refund("charged", account="other"), WrongOwner),
    "extend after charge": (lambda ledger: ledger.extend("charged", None), AlreadyCharged),
}


def test_the_table_of_refusals_is_whole() -> None:
    assert len(REFUSALS) == 24


@pytest.mark.parametrize("name", REFUSALS)
def test_what_contradicts_the_first_settlement_is_refused_and_moves_nothing(ledger: Ledger, name: str) -> None:
    prepare(ledger)
    before = ledger.balance("acme"), ledger.history("acme")
    call, error = REFUSALS[name]

    with pytest.raises(error) as caught:
        call(ledger)

    assert type(caught.value) is error
    assert not caught.value.retryable
    assert (ledger.balance("acme"), ledger.history("acme")) == before


def test_the_error_carries_how_the_hold_ended(ledger: Ledger) -> None:
    prepare(ledger)

    with pytest.raises(AlreadyCharged) as caught:
        ledger.release("charged")

    assert (caught.value.hold.charged, caught.value.hold.released) == (70, 30)


def test_over_settlement_says_what_was_possible(ledger: Ledger) -> None:
    prepare(ledger)

    with pytest.raises(OverSettlement) as caught:
        ledger.charge("open", 250)

    assert (caught.value.required, caught.value.limit) == (250, 100)


def test_a_hold_expires_when_its_time_is_over(ledger: Ledger, clock: FakeClock) -> None:
    ledger.topup("acme", 100)
    ledger.reserve("acme", 30, "short", expires_at=at(clock, 60))
    ledger.reserve("acme", 30, "extended", expires_at=at(clock, 60))
    ledger.reserve("acme", 30, "endless")
    clock.advance(59)
    assert ledger.expire().holds == 0
    ledger.extend("extended", at(clock, 60))
    clock.advance(1)

    ended = ledger.expire()

    assert (ended.holds, ended.released, ended.more) == (1, 30, False)
    assert [hold.generation for hold in ledger.open_holds("acme")] == ["endless", "extended"]
    with pytest.raises(AlreadyExpired):
        ledger.charge("short", 10)
    ledger.extend("extended", None)
    clock.advance(10_000)
    assert ledger.expire().holds == 0


def at(clock: FakeClock, seconds: float) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC) + timedelta(seconds=seconds)

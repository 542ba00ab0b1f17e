"""Accounts, topups, grants, adjustments; the order in which grants burn, expire, and get their own back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bsguard.billing import (
    AlreadyOpen,
    BillingError,
    InsufficientCredits,
    KeyConflict,
    UnknownAccount,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from bsguard.billing import Ledger
    from bsguard.testing import FakeClock


def at(clock: FakeClock, seconds: float) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC) + timedelta(seconds=seconds)


def left(engine: Engine, account: str = "acme") -> dict[int, int]:
    """What each grant of the account has left, by its number."""
    with engine.connect() as connection:
        sql = f"SELECT grant_seq, remaining FROM bsguard_grant WHERE account = '{account}'"
        return dict(connection.exec_driver_sql(sql).fetchall())  # type: ignore[arg-type]


def test_opening_twice_is_the_same_account(ledger: Ledger) -> None:
    assert ledger.open("acme", floor=-5) == ledger.open("acme", floor=-5)
    with pytest.raises(AlreadyOpen) as caught:
        ledger.open("acme", floor=-6)
    assert caught.value.floor == -5


def test_a_floor_can_be_lowered_and_raised_to_the_balance(ledger: Ledger) -> None:
    ledger.open("acme")
    ledger.set_floor("acme", -100)
    ledger.reserve("acme", 70, "g")

    ledger.set_floor("acme", -70)
    with pytest.raises(InsufficientCredits):
        ledger.set_floor("acme", -69)
    with pytest.raises(UnknownAccount):
        ledger.set_floor("nobody", -1)

    assert ledger.balance("acme").floor == -70


CREDITS: dict[str, tuple[Callable[[Ledger], object], Callable[[Ledger], object]]] = {
    "topup": (
        lambda ledger: ledger.topup("acme", 50, key="k"),
        lambda ledger: ledger.topup("acme", 51, key="k"),
    ),
    "grant": (
        lambda ledger: ledger.grant("acme", 50, key="k", priority=3),
        lambda ledger: ledger.grant("acme", 50, key="k", priority=4),
    ),
    "grant with another end": (
        lambda ledger: ledger.grant("acme", 50, key="k", expires_at=datetime(2030, 1, 1, tzinfo=UTC)),
        lambda ledger: ledger.grant("acme", 50, key="k", expires_at=datetime(2030, 1, 2, tzinfo=UTC)),
    ),
    "adjust": (
        lambda ledger: ledger.adjust("acme", 50, actor="ann", reason="gift", key="k"),
        lambda ledger: ledger.adjust("acme", 50, actor="bob", reason="gift", key="k"),
    ),
    "another operation": (
        lambda ledger: ledger.topup("acme", 50, key="k"),
        lambda ledger: ledger.grant("acme", 50, key="k"),
    ),
}


@pytest.mark.parametrize("name", CREDITS)
def test_a_key_counts_once(ledger: Ledger, name: str) -> None:
    ledger.open("acme")
    call, other = CREDITS[name]

    first = call(ledger)
    again = call(ledger)

    assert again == first
    assert again.replayed  # type: ignore[attr-defined]
    assert ledger.balance("acme").available == 50
    with pytest.raises(KeyConflict) as caught:
        other(ledger)
    assert (caught.value.account, caught.value.key) == ("acme", "k")
    assert ledger.balance("acme").available == 50


def test_keys_belong_to_their_account(ledger: Ledger) -> None:
    ledger.topup("acme", 50, key="k")
    ledger.topup("other", 60, key="k")

    assert (ledger.balance("acme").available, ledger.balance("other").available) == (50, 60)


def test_without_a_key_every_call_counts(ledger: Ledger) -> None:
    assert ledger.topup("acme", 50).key != ledger.topup("acme", 50).key
    assert ledger.balance("acme").available == 100


def test_an_adjustment_needs_an_account_and_stays_above_the_floor(ledger: Ledger) -> None:
    with pytest.raises(UnknownAccount):
        ledger.adjust("acme", 5, actor="ann", reason="why")
    ledger.topup("acme", 10)
    ledger.grant("acme", 100)
    with pytest.raises(InsufficientCredits) as caught:
        ledger.adjust("acme", -11, actor="ann", reason="why")

    assert (caught.value.required, caught.value.available) == (11, 10)
    ledger.adjust("acme", -10, actor="ann", reason="wrong payment")
    entry = ledger.history("acme").entries[0]
    assert (entry.type, entry.amount, entry.actor, entry.reason) == ("adjust", -10, "ann", "wrong payment")


def test_grants_burn_by_priority_then_expiry_then_age(ledger: Ledger, engine: Engine, clock: FakeClock) -> None:
    ledger.topup("acme", 10)
    order = [
        ledger.grant("acme", 10, priority=1, expires_at=at(clock, 900)).grant,
        ledger.grant("acme", 10, priority=2, expires_at=at(clock, 300)).grant,
        ledger.grant("acme", 10, priority=2, expires_at=at(clock, 500)).grant,
        ledger.grant("acme", 10, priority=2).grant,
        ledger.grant("acme", 10, priority=2).grant,
        ledger.grant("acme", 10, priority=3, expires_at=at(clock, 1)).grant,
    ]
    burned: list[list[int]] = []
    empty: set[int] = set()
    for number in range(7):
        ledger.reserve("acme", 10, f"g{number}")
        now_empty = {grant for grant, rest in left(engine).items() if rest == 0}
        burned.append(sorted(now_empty - empty))
        empty = now_empty

    assert burned == [[grant] for grant in order] + [[]]
    assert ledger.balance("acme").available == 0


def test_the_order_of_burning_is_not_the_order_of_giving(ledger: Ledger, engine: Engine, clock: FakeClock) -> None:
    late = ledger.grant("acme", 10, priority=2, expires_at=at(clock, 900)).grant
    soon = ledger.grant("acme", 10, priority=2, expires_at=at(clock, 300)).grant
    first = ledger.grant("acme", 10, priority=1).grant

    ledger.reserve("acme", 25, "g")

    assert left(engine) == {first: 0, soon: 0, late: 5}


def test_a_partial_charge_returns_the_last_part(ledger: Ledger, engine: Engine) -> None:
    ledger.topup("acme", 10)
    ledger.grant("acme", 10, priority=1)
    ledger.grant("acme", 10, priority=2)
    ledger.reserve("acme", 25, "g")

    ledger.charge("g", 13)

    assert left(engine) == {2: 0, 3: 7}
    assert ledger.balance("acme").granted == 7
    assert ledger.balance("acme").available == 17


@pytest.mark.parametrize(
    ("amount", "grants", "available"),
    [
        (3, {2: 0, 3: 0}, 8),
        (5, {2: 0, 3: 0}, 10),
        (8, {2: 0, 3: 3}, 13),
        (18, {2: 3, 3: 10}, 23),
        (25, {2: 10, 3: 10}, 30),
    ],
    ids=["bought first", "all bought", "then the last grant", "then the first", "everything"],
)
def test_a_refund_goes_back_to_where_it_came_from(
    ledger: Ledger, engine: Engine, amount: int, grants: dict[int, int], available: int
) -> None:
    ledger.topup("acme", 10)
    ledger.grant("acme", 10, priority=1)
    ledger.grant("acme", 10, priority=2)
    ledger.reserve("acme", 25, "g")
    ledger.charge("g", 25)

    ledger.refund("g", amount)

    assert left(engine) == grants
    assert ledger.balance("acme").available == available


def test_expiry_returns_the_unburned_part(ledger: Ledger, engine: Engine, clock: FakeClock) -> None:
    ledger.topup("acme", 10)
    ledger.grant("acme", 50, expires_at=at(clock, 60))
    ledger.reserve("acme", 20, "g")
    clock.advance(60)

    ended = ledger.expire()

    assert (ended.grants, ended.unburned) == (1, 30)
    assert ledger.balance("acme").available == 10
    ledger.release("g")
    balance = ledger.balance("acme")
    assert (balance.available, balance.lapsed, balance.spendable) == (30, 20, 10)
    assert ledger.expire().unburned == 20
    assert ledger.balance("acme").available == 10
    assert ledger.expire().grants == 0


def test_what_has_expired_cannot_be_spent_even_before_it_is_taken_back(ledger: Ledger, clock: FakeClock) -> None:
    ledger.topup("acme", 10)
    ledger.grant("acme", 50, expires_at=at(clock, 60))
    clock.advance(60)

    with pytest.raises(InsufficientCredits) as caught:
        ledger.reserve("acme", 11, "g")
    assert caught.value.available == 10
    ledger.reserve("acme", 10, "g")
    ledger.expire()
    assert ledger.balance("acme").available == 0


def test_an_expired_grant_never_drives_a_credit_line_below_its_floor(ledger: Ledger, clock: FakeClock) -> None:
    ledger.open("acme", floor=-100)
    ledger.reserve("acme", 100, "owed")
    ledger.charge("owed", 100)
    ledger.grant("acme", 30, expires_at=at(clock, 60))
    with pytest.raises(BillingError):
        ledger.reserve("acme", 31, "g")
    ledger.reserve("acme", 20, "g")
    clock.advance(60)

    ledger.expire()

    assert ledger.balance("acme").available == -100


def test_expire_goes_on_where_it_stopped(ledger: Ledger, clock: FakeClock) -> None:
    ledger.topup("acme", 100)
    for number in range(5):
        ledger.reserve("acme", 1, f"g{number}", expires_at=at(clock, number))
    clock.advance(10)

    counts = [ledger.expire(limit=2) for _ in range(3)]

    assert [(ended.holds, ended.more) for ended in counts] == [(2, True), (2, True), (1, False)]

"""Balances now and then, the history in pages, and the double entry behind them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from bsguard.billing import UnknownAccount

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from bsguard.billing import Ledger
    from bsguard.testing import FakeClock


def now(clock: FakeClock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


def test_a_balance_in_the_past_is_what_it_was(ledger: Ledger, clock: FakeClock) -> None:
    start = now(clock)
    moments = []
    for step in (
        lambda: ledger.topup("acme", 100),
        lambda: ledger.reserve("acme", 30, "g"),
        lambda: ledger.charge("g", 20),
        lambda: ledger.refund("g"),
    ):
        step()
        moments.append(now(clock))
        clock.advance(60)

    seen = [ledger.balance("acme", as_of=moment) for moment in moments]

    assert [(one.available, one.reserved) for one in seen] == [(100, 0), (70, 30), (80, 0), (100, 0)]
    between = ledger.balance("acme", as_of=moments[1] + timedelta(seconds=59.999))
    assert (between.available, between.reserved) == (70, 30)
    before = ledger.balance("acme", as_of=start - timedelta(microseconds=1))
    assert (before.available, before.reserved) == (0, 0)
    with pytest.raises(UnknownAccount):
        ledger.balance("nobody", as_of=start)


def test_time_in_the_ledger_never_goes_back(ledger: Ledger, clock: FakeClock) -> None:
    ledger.topup("acme", 100)
    clock.advance(-3600)
    ledger.topup("acme", 50)

    newest, oldest = ledger.history("acme").entries

    assert newest.written_at == oldest.written_at
    assert ledger.balance("acme", as_of=oldest.written_at).available == 150


def test_the_history_comes_in_pages_that_new_entries_do_not_move(ledger: Ledger) -> None:
    for number in range(7):
        ledger.topup("acme", number + 1)
    first = ledger.history("acme", limit=3)
    ledger.topup("acme", 100)
    second = ledger.history("acme", cursor=first.cursor, limit=3)
    third = ledger.history("acme", cursor=second.cursor, limit=3)

    assert [[entry.amount for entry in page.entries] for page in (first, second, third)] == [[7, 6, 5], [4, 3, 2], [1]]
    assert third.cursor is None
    assert first.cursor is not None
    exact = ledger.history("acme", limit=8)
    assert len(exact.entries) == 8
    assert exact.cursor is None


def test_the_history_of_an_empty_account_is_empty_and_of_none_an_error(ledger: Ledger) -> None:
    ledger.open("acme")

    assert ledger.history("acme").entries == ()
    with pytest.raises(UnknownAccount):
        ledger.history("nobody")


def test_entries_carry_running_balances(ledger: Ledger) -> None:
    ledger.topup("acme", 100, key="payment")
    ledger.reserve("acme", 30, "g")
    ledger.charge("g", 20)

    rows = [(one.type, one.amount, one.available_change, one.reserved_change, one.available, one.reserved)
            for one in ledger.history("acme").entries]  # fmt: skip

    assert rows == [
        ("charge", 20, 10, -30, 80, 0),
        ("reserve", 30, -30, 30, 70, 30),
        ("topup", 100, 100, 0, 100, 0),
    ]
    assert ledger.history("acme").entries[2].key == "payment"


def test_every_credit_comes_from_somewhere(ledger: Ledger, engine: Engine, clock: FakeClock) -> None:
    ledger.topup("acme", 1000)
    ledger.grant("acme", 50, expires_at=now(clock) + timedelta(seconds=1))
    ledger.reserve("acme", 100, "g")
    ledger.charge("g", 80)
    ledger.refund("g", 10)
    ledger.reserve("acme", 40, "h")
    ledger.grant("acme", 7, expires_at=now(clock) + timedelta(seconds=1))
    ledger.adjust("acme", -5, actor="ann", reason="why")
    ledger.adjust("acme", 2, actor="ann", reason="why")
    clock.advance(1)
    ledger.expire()

    with engine.connect() as connection:
        found = connection.execute(text("SELECT name, balance FROM bsguard_system_account")).all()
    balances = {name: int(balance) for name, balance in found}

    assert sum(balances.values()) == 0
    assert balances == {
        "cash": -1000,
        "promotion": -57,
        "revenue": 70,
        "breakage": 7,
        "adjustment": 3,
        "available": 937,
        "reserved": 40,
    }

"""What cannot be used is refused with a typed error that names the argument, and nothing is written."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

from bsguard.billing import AMOUNT_MAX, ArgumentInvalid, BalanceTooLarge, Ledger
from tests.billing.support import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine


class Five(IntEnum):
    FIVE = 5


AMOUNTS: dict[str, Any] = {
    "zero": 0,
    "negative": -1,
    "float": 1.0,
    "fraction": 0.5,
    "not a number": float("nan"),
    "infinity": float("inf"),
    "true": True,
    "false": False,
    "text": "5",
    "none": None,
    "decimal": Decimal(5),
    "an enum": Five.FIVE,
    "one above the bound": AMOUNT_MAX + 1,
    "64 bits": 2**63,
    "a thousand bits": 2**1000,
}
VERBS: dict[str, Callable[[Ledger, Any], object]] = {
    "topup": lambda ledger, amount: ledger.topup("a", amount),
    "grant": lambda ledger, amount: ledger.grant("a", amount),
    "reserve": lambda ledger, amount: ledger.reserve("a", amount, "new"),
    "charge": lambda ledger, amount: ledger.charge("g", amount),
    "refund": lambda ledger, amount: ledger.refund("h", amount),
    "adjust": lambda ledger, amount: ledger.adjust("a", amount, actor="ann", reason="why"),
}
NAMES: dict[str, Any] = {
    "empty": "",
    "too long": "x" * 201,
    "bytes": b"a",
    "none": None,
    "number": 7,
    "nul": "a\x00b",
    "line break": "a\nb",
    "surrogate": "\ud800",
    "direction mark": "a\u202eb",
}
NAMED: dict[str, Callable[[Ledger, Any], object]] = {
    "account of open": lambda ledger, name: ledger.open(name),
    "account of topup": lambda ledger, name: ledger.topup(name, 1),
    "account of reserve": lambda ledger, name: ledger.reserve(name, 1, "new"),
    "account of balance": lambda ledger, name: ledger.balance(name),
    "account of history": lambda ledger, name: ledger.history(name),
    "generation of reserve": lambda ledger, name: ledger.reserve("a", 1, name),
    "generation of charge": lambda ledger, name: ledger.charge(name, 1),
    "generation of release": lambda ledger, name: ledger.release(name),
    "generation of refund": lambda ledger, name: ledger.refund(name),
    "actor of adjust": lambda ledger, name: ledger.adjust("a", 1, actor=name if name != "x" * 201 else "", reason="r"),
}
OTHERS: dict[str, Callable[[Ledger], object]] = {
    "floor above zero": lambda ledger: ledger.open("new", floor=1),
    "floor a float": lambda ledger: ledger.open("new", floor=-1.0),  # type: ignore[arg-type]
    "floor a bool": lambda ledger: ledger.open("new", floor=False),
    "floor below the bound": lambda ledger: ledger.open("new", floor=-AMOUNT_MAX - 1),
    "priority negative": lambda ledger: ledger.grant("a", 1, priority=-1),
    "priority too large": lambda ledger: ledger.grant("a", 1, priority=1_000_001),
    "naive datetime": lambda ledger: ledger.grant("a", 1, expires_at=datetime(2030, 1, 1)),  # noqa: DTZ001
    "datetime a number": lambda ledger: ledger.grant("a", 1, expires_at=1.5),  # type: ignore[arg-type]
    "as_of naive": lambda ledger: ledger.balance("a", as_of=datetime(2030, 1, 1)),  # noqa: DTZ001
    "expires_at a text": lambda ledger: ledger.reserve("a", 1, "n", expires_at="soon"),  # type: ignore[arg-type]
    "cursor invented": lambda ledger: ledger.history("a", cursor="1; DROP"),
    "cursor endless": lambda ledger: ledger.history("a", cursor="9" * 30),
    "page of nothing": lambda ledger: ledger.history("a", limit=0),
    "page of everything": lambda ledger: ledger.history("a", limit=10**9),
    "key empty": lambda ledger: ledger.topup("a", 1, key=""),
    "reason missing": lambda ledger: ledger.adjust("a", 1, actor="ann", reason=""),
    "expire nothing": lambda ledger: ledger.expire(limit=0),
}


@pytest.fixture
def prepared(ledger: Ledger) -> Ledger:
    ledger.topup("a", 1000)
    ledger.reserve("a", 100, "g")
    ledger.reserve("a", 100, "h")
    ledger.charge("h", 50)
    return ledger


def refused(engine: Engine, call: Callable[[], object]) -> ArgumentInvalid:
    before = snapshot(engine)
    with pytest.raises(ArgumentInvalid) as caught:
        call()
    assert snapshot(engine) == before
    return caught.value


@pytest.mark.parametrize("verb", VERBS)
def test_an_amount_is_a_whole_number_within_bounds(engine: Engine, prepared: Ledger, verb: str) -> None:
    tried = 0
    for name, amount in AMOUNTS.items():
        if (verb, name) in (("adjust", "negative"), ("refund", "none")):
            continue
        error = refused(engine, lambda amount=amount: VERBS[verb](prepared, amount))  # type: ignore[misc]
        assert error.name in ("amount", "actual")
        assert error.remedy
        assert isinstance(error, ValueError)
        tried += 1
    assert tried >= 14


@pytest.mark.parametrize("argument", NAMED)
def test_a_name_is_a_short_printable_text(engine: Engine, prepared: Ledger, argument: str) -> None:
    for name in NAMES.values():
        refused(engine, lambda name=name: NAMED[argument](prepared, name))  # type: ignore[misc]


@pytest.mark.parametrize("name", OTHERS)
def test_other_arguments(engine: Engine, prepared: Ledger, name: str) -> None:
    refused(engine, lambda: OTHERS[name](prepared))


def test_the_largest_amount_works_and_the_balance_stops_there(ledger: Ledger, engine: Engine) -> None:
    ledger.topup("a", AMOUNT_MAX)
    before = snapshot(engine)
    with pytest.raises(BalanceTooLarge) as caught:
        ledger.topup("a", 1)

    assert (caught.value.account, caught.value.amount) == ("a", 1)
    assert snapshot(engine) == before
    ledger.reserve("a", AMOUNT_MAX, "g")
    ledger.topup("a", AMOUNT_MAX)
    ledger.charge("g", AMOUNT_MAX)
    with pytest.raises(BalanceTooLarge):
        ledger.refund("g")
    assert ledger.balance("a").available == AMOUNT_MAX


def test_names_of_any_language_work(ledger: Ledger) -> None:
    ledger.topup("Škoda-株式会社-'\"%s:x", 5)
    ledger.reserve("Škoda-株式会社-'\"%s:x", 5, "g'; --%(x)s")

    assert ledger.balance("Škoda-株式会社-'\"%s:x").reserved == 5


def test_an_engine_for_something_else_is_refused() -> None:
    class Dialect:
        name = "mysql"
        is_async = False

    class Engine:
        dialect = Dialect()

    with pytest.raises(ArgumentInvalid, match="SQLite or PostgreSQL"):
        Ledger(Engine())  # type: ignore[arg-type]


def test_a_connection_that_commits_by_itself_cannot_be_joined(postgres_url: str) -> None:
    committing = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    try:
        with committing.connect() as connection, pytest.raises(ArgumentInvalid, match="AUTOCOMMIT"):
            Ledger(committing).using(connection)
    finally:
        committing.dispose()

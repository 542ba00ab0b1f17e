"""The database is lost in the middle: nobody knows whether it was done, and the ledger finds out, or says so."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from bsguard.billing import DatabaseUnavailable, Ledger, OutcomeUnknown
from bsguard.billing.testing import assert_invariants
from tests.billing.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine


def through(url: str, verdict: Callable[[int], str]) -> tuple[Proxy, Engine]:
    folder = make_url(url).query["host"]
    proxy = Proxy(f"{folder}/.s.PGSQL.5432", verdict)
    # Not prepared, so that the proxy sees what each statement is.
    engine = create_engine(
        f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/postgres", connect_args={"prepare_threshold": None}
    )
    return proxy, engine


@pytest.fixture
def connect(postgres_url: str) -> Iterator[Callable[[Callable[[int], str]], tuple[Proxy, Ledger]]]:
    opened: list[tuple[Proxy, Engine]] = []

    def make(verdict: Callable[[int], str]) -> tuple[Proxy, Ledger]:
        opened.append(through(postgres_url, verdict))
        return opened[-1][0], Ledger(opened[-1][1])

    yield make
    for proxy, engine in opened:
        engine.dispose()
        proxy.close()


@pytest.mark.parametrize("how", ["lose_reply", "lose_request"])
def test_every_verb_survives_one_lost_answer(connect: Any, postgres_url: str, how: str) -> None:
    """Every change is lost once; the ledger repeats it by itself and gives the answer of the first time."""
    proxy, ledger = connect(lambda number: how if number % 2 else "pass")

    assert ledger.topup("acme", 100).available == 100
    assert ledger.grant("acme", 10).available == 110
    assert ledger.reserve("acme", 60, "g").available == 50
    assert ledger.charge("g", 40).available == 70
    assert ledger.refund("g", 5).available == 75
    assert ledger.reserve("acme", 50, "h").available == 25
    assert ledger.release("h").available == 75
    assert ledger.adjust("acme", -5, actor="ann", reason="why").available == 70

    assert proxy.lost_replies + proxy.lost_requests >= 8
    assert ledger.balance("acme").available == 70
    assert_invariants(ledger)


def test_when_every_answer_is_lost_the_caller_hears_that_nobody_knows(connect: Any, postgres_url: str) -> None:
    _, ledger = connect(lambda number: "lose_reply")
    sure = create_engine(postgres_url)
    Ledger(sure).open("acme")

    with pytest.raises(OutcomeUnknown) as caught:
        ledger.topup("acme", 100)
    assert caught.value.retryable
    assert caught.value.key is not None
    again = Ledger(sure).topup("acme", 100, key=caught.value.key)
    with pytest.raises(OutcomeUnknown):
        ledger.reserve("acme", 30, "g")

    assert again.replayed
    assert Ledger(sure).reserve("acme", 30, "g").replayed
    assert Ledger(sure).balance("acme").available == 70
    sure.dispose()


def test_in_the_callers_transaction_the_loss_is_the_callers(connect: Any) -> None:
    proxy, ledger = connect(lambda number: "pass")
    ledger.topup("acme", 100)
    proxy._verdict = lambda number: "lose_reply"

    engine = ledger._execution.runner._engine
    with engine.connect() as connection, pytest.raises(DatabaseUnavailable, match="transaction") as caught:
        ledger.using(connection).reserve("acme", 30, "g")

    assert caught.value.retryable
    proxy._verdict = lambda number: "pass"
    assert ledger.hold("g") is None


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    engine = create_engine(f"postgresql+psycopg:///x?host={tmp_path}")

    with pytest.raises(DatabaseUnavailable) as caught:
        Ledger(engine).topup("acme", 1)

    assert caught.value.retryable
    engine.dispose()


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/missing/x.sqlite")

    with pytest.raises(DatabaseUnavailable):
        Ledger(engine).topup("acme", 1)
    engine.dispose()


def test_connections_that_the_server_closed_while_they_lay_idle(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    ledger = Ledger(engine)
    ledger.topup("acme", 100)
    other = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename IS NOT NULL"
    )
    with other.connect() as connection:
        connection.exec_driver_sql(kill)

    assert ledger.reserve("acme", 10, "g").available == 90
    other.dispose()
    engine.dispose()


def lose_replies(connect: Any, wanted: int) -> None:
    """Random operations, of which every second loses its answer once; a plain sum knows what must be left."""
    chance = random.Random(7)
    proxy, ledger = connect(lambda number: "lose_reply" if number % 2 else "pass")
    expected = 10_000_000
    ledger.topup("acme", expected, key="start")
    number = 0
    while proxy.lost_replies < wanted:
        number += 1
        amount = chance.randrange(1, 50)
        name = f"g{number}"
        ledger.reserve("acme", amount, name)
        kind = chance.randrange(4)
        if kind == 0:
            ledger.release(name)
            continue
        actual = chance.randrange(1, amount + 1)
        ledger.charge(name, actual)
        expected -= actual
        if kind == 1:
            ledger.refund(name)
            expected += actual

    balance = ledger.balance("acme")
    assert (balance.available, balance.reserved) == (expected, 0)
    assert proxy.lost_replies >= wanted
    with ledger._execution.runner._engine.connect() as connection:
        reserves = connection.exec_driver_sql("SELECT COUNT(*) FROM bsguard_entry WHERE type = 'reserve'").scalar_one()
    assert reserves == number
    assert_invariants(ledger)


def test_lost_replies(connect: Any) -> None:
    lose_replies(connect, 100)


@pytest.mark.long
def test_ten_thousand_lost_replies(connect: Any) -> None:
    lose_replies(connect, 10_000)

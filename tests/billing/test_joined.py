"""Inside the caller's transaction: together with the caller's own rows, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from bsguard.billing import AlreadyReleased, Contention, InsufficientCredits, Ledger, create_schema
from tests.billing.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine


@pytest.fixture
def orders(engine: Engine) -> Iterator[str]:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (name VARCHAR(20))"))
    yield "orders"
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE orders"))


def test_committed_together(ledger: Ledger, engine: Engine, orders: str) -> None:
    ledger.topup("acme", 100)

    with engine.begin() as connection:
        connection.execute(text("INSERT INTO orders VALUES ('one')"))
        joined = ledger.using(connection)
        joined.reserve("acme", 30, "g")
        joined.grant("acme", 5)
        joined.reserve("acme", 10, "h")
        joined.charge("g", 20)

    assert rows(engine, orders) == 1
    balance = ledger.balance("acme")
    assert (balance.available, balance.reserved) == (75, 10)


@pytest.mark.parametrize("before", [True, False], ids=["after the caller wrote", "as the first thing"])
def test_undone_together(ledger: Ledger, engine: Engine, orders: str, before: bool) -> None:
    ledger.topup("acme", 100)

    with engine.connect() as connection, connection.begin() as transaction:
        if before:
            connection.execute(text("INSERT INTO orders VALUES ('one')"))
        joined = ledger.using(connection)
        joined.reserve("acme", 30, "g")
        joined.topup("acme", 7)
        assert joined.balance("acme").available == 77
        transaction.rollback()

    assert rows(engine, orders) == 0
    assert ledger.balance("acme").available == 100
    assert ledger.hold("g") is None


def test_commit_as_you_go(ledger: Ledger, engine: Engine) -> None:
    ledger.topup("acme", 100)

    with engine.connect() as connection:
        ledger.using(connection).reserve("acme", 30, "g")
        connection.commit()
        ledger.using(connection).reserve("acme", 30, "h")

    assert ledger.balance("acme").reserved == 30


def test_an_error_leaves_the_transaction_usable(ledger: Ledger, engine: Engine, orders: str) -> None:
    ledger.topup("acme", 100)
    ledger.reserve("acme", 10, "released")
    ledger.release("released")

    with engine.begin() as connection:
        connection.execute(text("INSERT INTO orders VALUES ('one')"))
        joined = ledger.using(connection)
        with pytest.raises(InsufficientCredits):
            joined.reserve("acme", 101, "g")
        with pytest.raises(AlreadyReleased):
            joined.charge("released", 10)
        joined.reserve("acme", 100, "g")

    assert rows(engine, orders) == 1
    assert ledger.balance("acme").reserved == 100


AGAIN: dict[str, Callable[[Ledger], object]] = {
    "reserve": lambda ledger: ledger.reserve("acme", 10, "charged"),
    "charge": lambda ledger: ledger.charge("charged", 7),
    "charge again after its refund": lambda ledger: ledger.charge("refunded", 10),
    "release": lambda ledger: ledger.release("released"),
    "refund": lambda ledger: ledger.refund("refunded", 4),
    "topup": lambda ledger: ledger.topup("acme", 100, key="start"),
}


@pytest.mark.parametrize("name", AGAIN)
def test_a_replay_is_no_error_of_the_database(ledger: Ledger, engine: Engine, name: str) -> None:
    """The statements find out by themselves; the unique indexes behind them have nothing to refuse."""
    ledger.topup("acme", 100, key="start")
    for generation in ("charged", "refunded", "released"):
        ledger.reserve("acme", 10, generation)
    ledger.charge("charged", 7)
    ledger.charge("refunded", 10)
    ledger.refund("refunded", 4)
    ledger.release("released")
    refused: list[object] = []

    def note(context: object) -> None:
        refused.append(context)

    event.listen(engine, "handle_error", note)
    with engine.begin() as connection:
        assert AGAIN[name](ledger.using(connection)).replayed  # type: ignore[attr-defined]
    event.remove(engine, "handle_error", note)

    assert refused == []


def test_a_duplicate_is_undone_to_the_savepoint(
    ledger: Ledger, engine: Engine, monkeypatch: pytest.MonkeyPatch, orders: str
) -> None:
    """The look for an earlier hold only saves an abort; without it the primary key says the same."""
    from bsguard.billing import statements
    from bsguard.billing.execution import plans_of

    ledger.topup("acme", 100)
    first = ledger.reserve("acme", 10, "g")
    plans_of(engine.dialect).pop("reserve", None)
    monkeypatch.setattr(statements, "_known", lambda generation: generation.is_(None))

    with engine.begin() as connection:
        connection.execute(text("INSERT INTO orders VALUES ('one')"))
        assert ledger.using(connection).reserve("acme", 10, "g") == first
    assert ledger.reserve("acme", 10, "g") == first

    plans_of(engine.dialect).pop("reserve", None)
    assert rows(engine, orders) == 1


def test_with_a_session(ledger: Ledger, engine: Engine, orders: str) -> None:
    ledger.topup("acme", 100)

    with Session(engine) as session:
        session.execute(text("INSERT INTO orders VALUES ('one')"))
        ledger.using(session.connection()).reserve("acme", 30, "g")
        session.rollback()
        ledger.using(session.connection()).reserve("acme", 20, "g")
        session.commit()

    assert (rows(engine, orders), ledger.balance("acme").reserved) == (0, 20)


def test_an_account_that_somebody_keeps_locked_is_told_as_contention(ledger: Ledger, engine: Engine, url: str) -> None:
    ledger.topup("acme", 100)
    ledger.grant("granted", 100)
    options = {"connect_args": {"timeout": 0.05}} if engine.dialect.name == "sqlite" else {}
    others = create_engine(url, **options)
    hasty = Ledger(others, lock_timeout_ms=50)
    hasty.balance("acme")

    with engine.begin() as connection:
        ledger.using(connection).reserve("acme", 10, "g")
        ledger.using(connection).reserve("granted", 10, "h")
        with pytest.raises(Contention) as caught:
            hasty.reserve("acme", 10, "i")
        with pytest.raises(Contention):
            hasty.reserve("granted", 10, "i")
        with pytest.raises(Contention):
            hasty.charge("nothing", 1) if engine.dialect.name == "sqlite" else hasty.topup("acme", 1)

    assert caught.value.retryable
    assert caught.value.retry_after_seconds == 1
    assert hasty.reserve("acme", 10, "i").available == 80
    others.dispose()


def test_the_lock_time_out_is_not_left_on_the_connection(postgres_url: str) -> None:
    engine = create_engine(postgres_url, pool_size=1, max_overflow=0)
    ledger = Ledger(engine, lock_timeout_ms=77)
    ledger.topup("acme", 100)
    ledger.reserve("acme", 10, "g")
    ledger.grant("acme", 5)
    ledger.reserve("acme", 10, "h")
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        ledger.using(connection).charge("g", 10)
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "5s"

    with engine.connect() as connection:
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "0"
        assert not connection.connection.driver_connection.autocommit  # type: ignore[union-attr]
    engine.dispose()


@pytest.mark.parametrize("level", ["SERIALIZABLE", "REPEATABLE READ", "AUTOCOMMIT"])
def test_the_engine_may_have_another_isolation_level(postgres_url: str, level: str) -> None:
    engine = create_engine(postgres_url, isolation_level=level)
    ledger = Ledger(engine)
    ledger.topup("acme", 100)
    ledger.grant("acme", 10)
    ledger.reserve("acme", 50, "g")
    ledger.charge("g", 40)

    assert ledger.balance("acme").available == 70
    assert ledger.audit() == ()
    engine.dispose()


def test_sqlite_in_memory() -> None:
    """For a user's own quick tests; all threads share the one connection."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    create_schema(engine)
    ledger = Ledger(engine)
    ledger.topup("acme", 100)
    ledger.reserve("acme", 30, "g")
    ledger.charge("g", 20)

    assert ledger.balance("acme").available == 80
    assert ledger.audit() == ()
    engine.dispose()

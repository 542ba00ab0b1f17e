"""Many threads and processes on one account: what is there is given out exactly, and nothing twice."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

from bsguard.billing import AlreadyReleased, BillingError, Ledger, expiring
from bsguard.billing.coalescer import Coalescer
from bsguard.billing.testing import assert_invariants
from tests.billing.mixed import audit_until_clean_or_found, missing_facts, prepare
from tests.billing.processes import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine


def together(calls: list[Callable[[], object]]) -> Counter[str]:
    """Call all at once; how often what came out."""
    barrier = threading.Barrier(len(calls))
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def work(call: Callable[[], object]) -> None:
        barrier.wait()
        try:
            outcome: Any = call()
            name = "again" if outcome.replayed else type(outcome).__name__
        except BillingError as error:
            name = type(error).__name__
        with lock:
            seen[name] += 1

    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def test_ten_ask_for_what_is_enough_for_three(ledger: Ledger) -> None:
    ledger.topup("acme", 39)

    seen = together([lambda number=number: ledger.reserve("acme", 10, f"g{number}") for number in range(10)])  # type: ignore[misc]

    assert seen == {"Reserved": 3, "InsufficientCredits": 7}


def test_ten_ask_for_grants_that_are_enough_for_three(ledger: Ledger) -> None:
    ledger.topup("acme", 9)
    for priority in range(6):
        ledger.grant("acme", 5, priority=priority)

    seen = together([lambda number=number: ledger.reserve("acme", 10, f"g{number}") for number in range(10)])  # type: ignore[misc]

    assert seen == {"Reserved": 3, "InsufficientCredits": 7}


def waiting(engine: Engine) -> bool:
    with engine.connect() as connection:
        asked = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return bool(connection.exec_driver_sql(asked).scalar_one())


def test_a_reservation_that_had_to_wait_burns_what_grants_have_then(postgres_url: str) -> None:
    """Its statement began before the other one's grants were spent, and must not go by what it saw."""
    engine = create_engine(postgres_url)
    ledger = Ledger(engine)
    ledger.topup("acme", 100)
    ledger.grant("acme", 10)
    told: list[object] = []
    with engine.connect() as connection, connection.begin():
        ledger.using(connection).reserve("acme", 5, "first")
        second = threading.Thread(target=lambda: told.append(ledger.reserve("acme", 10, "second")))
        second.start()
        end = time.monotonic() + 10
        while not waiting(engine) and time.monotonic() < end:
            pass
    second.join()

    assert len(told) == 1
    assert ledger.balance("acme").granted == 0
    ledger.release("first")
    assert ledger.balance("acme").granted == 5
    assert ledger.audit() == ()
    engine.dispose()


def test_a_charge_that_had_to_wait_finds_the_release(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    ledger = Ledger(engine)
    ledger.topup("acme", 100)
    ledger.reserve("acme", 10, "g")
    told: list[object] = []

    def charge() -> None:
        try:
            told.append(ledger.charge("g", 10))
        except BillingError as error:
            told.append(error)

    with engine.connect() as connection, connection.begin():
        ledger.using(connection).release("g")
        second = threading.Thread(target=charge)
        second.start()
        end = time.monotonic() + 10
        while not waiting(engine) and time.monotonic() < end:
            pass
    second.join()

    assert [type(one) for one in told] == [AlreadyReleased]
    engine.dispose()


def test_a_hold_that_was_extended_meanwhile_does_not_expire(
    ledger: Ledger, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the sweeper's look and its act, the owner of the hold moves the end."""
    past, future = datetime(2001, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    ledger.topup("acme", 100)
    ledger.reserve("acme", 10, "g", expires_at=past)
    act = expiring._expire_hold

    def late(execution: Any, generation: str) -> int:
        ledger.extend(generation, future)
        return act(execution, generation)

    monkeypatch.setattr(expiring, "_expire_hold", late)

    assert ledger.expire().holds == 0
    assert ledger.balance("acme").reserved == 10


def test_a_server_that_is_strict_by_default_refuses_nobody(postgres_url: str) -> None:
    """Above READ COMMITTED, whoever had to wait for the account would get an error instead of the account."""
    engine = create_engine(f"{postgres_url}&options=-c default_transaction_isolation=serializable", pool_size=8)
    ledger = Ledger(engine)
    ledger.topup("acme", 1000)

    def many(number: int) -> Any:
        for one in range(19):
            ledger.reserve("acme", 1, f"{number}-{one}")
        return ledger.reserve("acme", 1, f"{number}-last")

    assert together([lambda number=number: many(number) for number in range(8)]) == {"Reserved": 8}  # type: ignore[misc]
    assert ledger.balance("acme").reserved == 160
    engine.dispose()


def test_the_same_reservation_ten_times_at_once_is_one(ledger: Ledger) -> None:
    ledger.topup("acme", 100)

    seen = together([lambda: ledger.reserve("acme", 10, "g")] * 10)

    assert seen == {"Reserved": 1, "again": 9}


def test_the_same_topup_ten_times_at_once_is_one(ledger: Ledger) -> None:
    seen = together([lambda: ledger.topup("acme", 10, key="payment")] * 10)

    assert seen == {"ToppedUp": 1, "again": 9}
    assert ledger.balance("acme").available == 10


def test_charge_and_release_at_once_settle_one_way(ledger: Ledger) -> None:
    ledger.topup("acme", 1000)
    for number in range(10):
        name = f"g{number}"
        ledger.reserve("acme", 10, name)
        seen = together([lambda name=name: ledger.charge(name, 7), lambda name=name: ledger.release(name)] * 3)  # type: ignore[misc]

        assert seen in (
            {"Charged": 1, "again": 2, "AlreadyCharged": 3},
            {"Released": 1, "again": 2, "AlreadyReleased": 3},
        )


def test_refunds_at_once_are_one(ledger: Ledger) -> None:
    ledger.grant("acme", 100)
    ledger.reserve("acme", 10, "g")
    ledger.charge("g", 10)

    assert together([lambda: ledger.refund("g")] * 8) == {"Refunded": 1, "again": 7}
    assert ledger.balance("acme").available == 100


@pytest.mark.parametrize("coalesce", [False, True], ids=["singly", "coalesced"])
def test_threads_drain_an_account_exactly(ledger: Ledger, coalesce: bool) -> None:
    ledger.topup("acme", 7 * 60 + 3)
    reserve = Coalescer(ledger).reserve if coalesce else ledger.reserve
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def work(number: int) -> None:
        for one in range(12):
            try:
                reserve("acme", 7, f"{number}-{one}")
                name = "granted"
            except BillingError as error:
                name = type(error).__name__
            with lock:
                seen[name] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == {"granted": 60, "InsufficientCredits": 36}
    balance = ledger.balance("acme")
    assert (balance.available, balance.reserved) == (3, 420)


@pytest.mark.slow
@pytest.mark.parametrize("coalesce", [False, True], ids=["singly", "coalesced"])
def test_processes_drain_an_account_exactly(engine: Engine, url: str, coalesce: bool) -> None:
    Ledger(engine).topup("drained", 7 * 2000 + 3)

    workers = [
        Worker("drain", url=url, seed=seed, threads=4, tries=180, price=7, coalesce=coalesce) for seed in range(4)
    ]
    counts: Counter[str] = Counter()
    for worker in workers:
        counts.update(worker.result(120))

    assert counts == {"granted": 2000, "refused": 4 * 4 * 180 - 2000}
    balance = Ledger(engine).balance("drained")
    assert (balance.available, balance.reserved) == (3, 14_000)
    assert_invariants(Ledger(engine))


@pytest.mark.parametrize("seconds", [2, pytest.param(30, marks=pytest.mark.long)], ids=["short", "long"])
def test_the_bank_keeps_its_books(engine: Engine, url: str, tmp_path: Path, seconds: int) -> None:
    """Four processes of three threads do everything at random, while an audit looks on."""
    ledger = Ledger(engine, lock_timeout_ms=10_000)
    prepare(ledger)
    workers = [
        Worker("bank", url=url, seed=seed, seconds=seconds, threads=3, notes=str(tmp_path / f"notes{seed}"))
        for seed in range(4)
    ]
    audits = 0
    while any(worker.running() for worker in workers):
        assert audit_until_clean_or_found(ledger) == ()
        audits += 1
    told: Counter[str] = Counter()
    for worker in workers:
        told.update(worker.result(60))

    assert audits >= 3
    assert told["new reserve"] > 50
    assert told["new charge"] > 10
    assert told["Contention"] == 0
    assert missing_facts(engine, list(tmp_path.glob("notes*"))) == []
    assert_invariants(ledger)

"""Reservations that meet are answered together, each as if it had come alone."""

from __future__ import annotations

import itertools
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

from bsguard.billing import (
    AlreadyReserved,
    ArgumentInvalid,
    BillingError,
    Contention,
    InsufficientCredits,
    Reserved,
    UnknownAccount,
    WrongOwner,
)
from bsguard.billing import batch as batches
from bsguard.billing import coalescer as coalescers
from bsguard.billing.batch import reserve_many
from bsguard.billing.coalescer import Coalescer

if TYPE_CHECKING:
    from collections.abc import Callable

    from bsguard.billing import Ledger


def settled(ledger: Ledger, account: str, wishes: list[tuple[str, int]]) -> list[object]:
    """What all wishes are told in the end, asking again as the coalescer does."""
    told: dict[int, Any] = {}
    left = list(enumerate(wishes))
    for _ in range(len(wishes) + 1):
        answers = reserve_many(ledger, account, [(name, amount, None) for _, (name, amount) in left])
        told.update((place, answer) for (place, _), answer in zip(left, answers, strict=True) if answer is not None)
        left = [one for one, answer in zip(left, answers, strict=True) if answer is None]
        if not left:
            return [type(told[place]) for place in range(len(wishes))]
    raise AssertionError("it never ends")


def test_what_fits_is_granted_in_order(ledger: Ledger) -> None:
    ledger.topup("acme", 100)

    told = settled(ledger, "acme", [("a", 40), ("b", 50), ("c", 20), ("d", 10), ("e", 1)])

    assert told == [Reserved, Reserved, InsufficientCredits, Reserved, InsufficientCredits]
    assert [entry.generation for entry in ledger.history("acme").entries] == ["d", "b", "a", None]


def test_running_balances_and_numbers_are_those_of_single_reservations(ledger: Ledger) -> None:
    ledger.topup("acme", 100)

    answers = reserve_many(ledger, "acme", [("a", 10, None), ("b", 20, None), ("c", 30, None)])

    told = [(one.seq, one.available, one.reserved) for one in answers]  # type: ignore[union-attr]
    assert told == [(2, 90, 10), (3, 70, 30), (4, 40, 60)]


def test_replays_and_conflicts_in_a_batch(ledger: Ledger) -> None:
    ledger.topup("acme", 100)
    ledger.topup("other", 100)
    first = ledger.reserve("acme", 10, "old")
    ledger.reserve("other", 10, "theirs")

    old, conflict, theirs, new = reserve_many(
        ledger, "acme", [("old", 10, None), ("old", 11, None), ("theirs", 10, None), ("new", 10, None)]
    )

    assert old == first
    assert isinstance(conflict, AlreadyReserved)
    assert isinstance(theirs, WrongOwner)
    assert isinstance(new, Reserved)


def test_an_account_with_grants_or_none_at_all(ledger: Ledger) -> None:
    ledger.grant("granted", 30)

    assert settled(ledger, "granted", [("a", 20), ("b", 20), ("c", 10)]) == [Reserved, InsufficientCredits, Reserved]
    assert settled(ledger, "nobody", [("d", 1), ("e", 1)]) == [UnknownAccount, UnknownAccount]


def test_those_who_meet_are_answered_by_one_statement(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first statement is held up until everybody else waits; the next one answers them all."""
    ledger.topup("acme", 100)
    coalescer = Coalescer(ledger)
    sizes: list[int] = []
    everybody_waits = threading.Event()

    def held_up(*arguments: Any) -> Any:
        sizes.append(len(arguments[2]))
        assert everybody_waits.wait(20)
        return reserve_many(*arguments)

    monkeypatch.setattr("bsguard.billing.coalescer.reserve_many", held_up)
    told: list[object] = []
    threads = [
        threading.Thread(target=lambda name=f"g{number}": told.append(coalescer.reserve("acme", 5, name)))  # type: ignore[misc]
        for number in range(10)
    ]
    for thread in threads:
        thread.start()
    while not (sizes and len(coalescer._queues["acme"].waiters) == 9):
        pass
    everybody_waits.set()
    for thread in threads:
        thread.join()

    assert sizes == [1, 9]
    assert len(told) == 10
    assert ledger.balance("acme").reserved == 50


class Statements:
    """Notes how many each statement answers; holds the first one up until *wanted* requests wait behind it."""

    def __init__(self, coalescer: Coalescer, wanted: int = 0) -> None:
        self.sizes: list[int] = []
        self._coalescer = coalescer
        self._wanted = wanted

    def __call__(self, *arguments: Any) -> Any:
        self.sizes.append(len(arguments[2]))
        if len(self.sizes) == 1:
            self.wait_for(self._wanted)
        return reserve_many(*arguments)

    def wait_for(self, waiters: int) -> None:
        end = time.monotonic() + 20
        while len(self._coalescer._queues["acme"].waiters) < waiters:
            assert time.monotonic() < end
            time.sleep(0.001)


def run_together(calls: list[Callable[[], object]]) -> list[object]:
    """What each call told or raised, in the order of the calls."""
    told: dict[int, object] = {}

    def work(place: int) -> None:
        try:
            told[place] = calls[place]()
        except BaseException as error:
            told[place] = error

    threads = [threading.Thread(target=work, args=(place,), daemon=True) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [told[place] for place in range(len(calls))]


def test_those_who_were_answered_together_come_back_together(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the first one back would go alone, and all others behind it."""
    ledger.topup("acme", 100)
    coalescer = Coalescer(ledger)
    statements = Statements(coalescer, wanted=4)
    monkeypatch.setattr(coalescers, "reserve_many", statements)
    monkeypatch.setattr(coalescers, "PATIENCE", 1_000_000)

    for number, threads in enumerate((5, 4)):
        run_together([lambda name=f"{number}-{one}": coalescer.reserve("acme", 1, name) for one in range(threads)])  # type: ignore[misc]

    assert statements.sizes == [1, 4, 4]
    assert ledger.balance("acme").reserved == 9


def test_nobody_is_waited_for_after_a_lone_request(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.topup("acme", 100)
    coalescer = Coalescer(ledger)
    monkeypatch.setattr(coalescers, "PATIENCE", 1_000_000)
    monkeypatch.setattr(threading.Condition, "wait", None)

    for number in range(3):
        coalescer.reserve("acme", 1, f"g{number}")

    assert coalescer._queues == {}


def test_company_that_does_not_come_is_not_waited_for_any_longer(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.topup("acme", 100)
    coalescer = Coalescer(ledger)
    monkeypatch.setattr(coalescers, "reserve_many", Statements(coalescer, wanted=2))
    run_together([lambda name=f"g{one}": coalescer.reserve("acme", 1, name) for one in range(3)])  # type: ignore[misc]
    assert coalescer._queues["acme"].answered == 2

    # Right after it, and when that is over.
    for number in range(2):
        coalescer.reserve("acme", 1, f"late-{number}")
        assert coalescer._queues == {}


def test_accounts_that_were_busy_are_forgotten(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    coalescer = Coalescer(ledger)
    monkeypatch.setattr(coalescers, "IDLE_MAX", 3)
    for number in range(5):
        coalescer._queue_of(f"busy-{number}").led = number == 1

    assert sorted(coalescer._queues) == ["busy-1", "busy-3", "busy-4"]


def test_who_is_interrupted_takes_nobody_along(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal ends the thread that leads; those whose statement it sent hear that its outcome is unknown."""
    ledger.topup("acme", 100)
    coalescer = Coalescer(ledger)
    statements = Statements(coalescer, wanted=3)

    def interrupted(*arguments: Any) -> Any:
        answers = statements(*arguments)
        if len(statements.sizes) == 2:
            raise KeyboardInterrupt
        return answers

    monkeypatch.setattr(coalescers, "reserve_many", interrupted)

    told = run_together([lambda name=f"g{one}": coalescer.reserve("acme", 1, name) for one in range(4)])  # type: ignore[misc]

    assert statements.sizes == [1, 3]
    assert sorted(type(one).__name__ for one in told) == [
        "KeyboardInterrupt",
        "OutcomeUnknown",
        "OutcomeUnknown",
        "Reserved",
    ]
    assert all(coalescer.reserve("acme", 1, f"g{one}").replayed for one in range(4))


def test_who_is_interrupted_while_waiting_for_company_hands_over(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.topup("acme", 100)
    coalescer = Coalescer(ledger)
    statements = Statements(coalescer, wanted=2)
    monkeypatch.setattr(coalescers, "reserve_many", statements)
    monkeypatch.setattr(coalescers, "PATIENCE", 1_000_000)
    run_together([lambda name=f"g{one}": coalescer.reserve("acme", 1, name) for one in range(3)])  # type: ignore[misc]

    def interrupt(self: Any, timeout: float | None = None) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Condition, "wait", interrupt)
        with pytest.raises(KeyboardInterrupt):
            coalescer.reserve("acme", 1, "never sent")

    assert ledger.hold("never sent") is None
    told = run_together([lambda name=f"h{one}": coalescer.reserve("acme", 1, name) for one in range(2)])  # type: ignore[misc]
    assert [type(one) for one in told] == [Reserved, Reserved]


def test_the_statement_looks_generations_up_in_the_index(postgres_url: str) -> None:
    """A plan made while the table is small is kept while it grows; it must not read the whole table."""
    engine = create_engine(postgres_url)
    places = itertools.count(1)
    sql = re.sub(r"%\(\w+\)s", lambda _: f"${next(places)}", batches._reserve_many(engine.dialect).last.sql)
    with engine.connect() as connection:
        # Right for a table of one page, which it is here whenever the server has just looked at it.
        connection.exec_driver_sql("SET enable_seqscan = off")
        rows = connection.exec_driver_sql(f"EXPLAIN (GENERIC_PLAN) {sql}").scalars().all()
    engine.dispose()

    scans = [at for at, row in enumerate(rows) if " on bsguard_hold" in row and "Insert" not in row]
    assert len(scans) == 1
    before, scan, condition = (row.strip() for row in rows[scans[0] - 1 : scans[0] + 2])
    assert "Index" in scan, "\n".join(rows)
    # For each wish by itself: a join may turn to the whole table, through an index or not.
    assert before.startswith("SubPlan"), "\n".join(rows)
    assert re.match(r"Index Cond: \(\(?generation\b", condition), "\n".join(rows)


def test_waiters_are_bounded(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.topup("acme", 100)
    coalescer = Coalescer(ledger, waiters_max=1)
    running, go_on = threading.Event(), threading.Event()

    def held_up(*arguments: Any) -> Any:
        running.set()
        assert go_on.wait(20)
        return reserve_many(*arguments)

    monkeypatch.setattr("bsguard.billing.coalescer.reserve_many", held_up)
    threads = [threading.Thread(target=coalescer.reserve, args=("acme", 5, f"g{number}")) for number in range(2)]
    threads[0].start()
    assert running.wait(20)
    threads[1].start()
    while len(coalescer._queues["acme"].waiters) < 1:
        pass
    with pytest.raises(Contention) as caught:
        coalescer.reserve("acme", 5, "one too many")
    go_on.set()
    for thread in threads:
        thread.join()

    assert caught.value.retryable
    assert ledger.balance("acme").reserved == 10
    assert coalescer._queues == {}


def test_the_same_generation_twice_at_once(ledger: Ledger) -> None:
    ledger.topup("acme", 100)
    coalescer = Coalescer(ledger)
    told: list[Any] = []
    threads = [threading.Thread(target=lambda: told.append(coalescer.reserve("acme", 5, "g"))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(told) == 12
    assert len(set(told)) == 1
    assert ledger.balance("acme").reserved == 5


def test_an_error_of_the_database_reaches_everybody_and_the_queue_goes_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.topup("acme", 100)
    coalescer = Coalescer(ledger)

    def broken(*arguments: Any) -> Any:
        raise Contention("busy")

    with monkeypatch.context() as patch:
        patch.setattr("bsguard.billing.coalescer.reserve_many", broken)
        with pytest.raises(Contention):
            coalescer.reserve("acme", 5, "g")

    assert coalescer.reserve("acme", 5, "g").available == 95


def test_bad_arguments_never_reach_the_queue(ledger: Ledger) -> None:
    coalescer = Coalescer(ledger)

    for call in (
        lambda: coalescer.reserve("", 5, "g"),
        lambda: coalescer.reserve("acme", 0, "g"),
        lambda: coalescer.reserve("acme", 5, ""),
        lambda: Coalescer(ledger, waiters_max=0),
    ):
        with pytest.raises(ArgumentInvalid):
            call()
    assert coalescer._queues == {}


def test_a_lone_request_is_a_plain_reservation(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.topup("acme", 100)
    monkeypatch.setattr(batches, "_reserve_many", None)

    assert Coalescer(ledger).reserve("acme", 5, "g").available == 95
    with pytest.raises(BillingError):
        Coalescer(ledger).reserve("acme", 500, "h")

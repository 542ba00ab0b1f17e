"""Reservations that meet are answered together, each as if it had come alone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

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
from bsguard.billing.batch import reserve_many
from bsguard.billing.coalescer import Coalescer

if TYPE_CHECKING:
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

"""Random mixed verbs of many workers on few accounts, as the bank and crash tests run them.

What a worker was told is written down before it goes on, so that afterwards every answer can be looked for.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine

from bsguard.billing import BillingError, Contention, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine

ACCOUNTS = 5
GENERATIONS = 400


def open_engine(url: str) -> Engine:
    """Connections for a worker; a busy file is waited for by the ledger itself."""
    options: dict[str, Any] = {"pool_size": 8}
    return create_engine(url, **options)


def prepare(ledger: Ledger) -> None:
    for number in range(ACCOUNTS):
        ledger.open(f"bank-{number}", floor=-50 if number == 0 else 0)
        ledger.topup(f"bank-{number}", 500, key="start")


class Mix:
    """One worker's random operations. *note* is called with every new fact the ledger told."""

    def __init__(self, ledger: Ledger, seed: int, note: Callable[[str, str, int], None]) -> None:
        self._ledger = ledger
        self._random = random.Random(seed)
        self._note = note
        self._serial = f"{seed}"
        self._count = 0
        self.told: Counter[str] = Counter()

    def step(self) -> None:
        """One operation; an error of the ledger is an answer too."""
        verb = self._random.choices(
            ("reserve", "charge", "release", "refund", "topup", "grant", "adjust", "expire"),
            (30, 20, 8, 8, 6, 8, 2, 3),
        )[0]
        self._count += 1
        try:
            outcome = getattr(self, f"_{verb}")()
        except BillingError as error:
            self.told[type(error).__name__] += 1
            return
        self.told[verb] += 1
        if outcome is not None and not outcome.replayed:
            self.told[f"new {verb}"] += 1
            self._note(verb, outcome.account, outcome.seq)

    def _account(self) -> str:
        return f"bank-{self._random.randrange(ACCOUNTS)}"

    def _generation(self) -> str:
        return f"bank-g{self._random.randrange(GENERATIONS)}"

    def _key(self) -> str:
        return f"{self._serial}-{self._count}"

    def _soon(self) -> datetime:
        return datetime.now(UTC) + timedelta(milliseconds=self._random.randrange(300))

    def _reserve(self) -> Any:
        number = self._random.randrange(GENERATIONS)
        ends = self._soon() if self._random.random() < 0.2 else None
        # Mostly the account that this generation is of, so that there are replays; sometimes another one's.
        account = f"bank-{number % ACCOUNTS}" if self._random.random() < 0.95 else self._account()
        return self._ledger.reserve(account, 1 + number % 30, f"bank-g{number}", expires_at=ends)

    def _charge(self) -> Any:
        return self._ledger.charge(self._generation(), self._random.randrange(1, 30))

    def _release(self) -> Any:
        return self._ledger.release(self._generation())

    def _refund(self) -> Any:
        return self._ledger.refund(self._generation(), self._random.choice((None, 1, 5)))

    def _topup(self) -> Any:
        return self._ledger.topup(self._account(), self._random.randrange(1, 40), key=self._key())

    def _grant(self) -> Any:
        ends = self._random.choice((None, self._soon()))
        priority = self._random.randrange(3)
        amount = self._random.randrange(1, 40)
        return self._ledger.grant(self._account(), amount, expires_at=ends, priority=priority, key=self._key())

    def _adjust(self) -> Any:
        amount = self._random.choice((-3, 3))
        return self._ledger.adjust(self._account(), amount, actor="mix", reason="test", key=self._key())

    def _expire(self) -> None:
        self._ledger.expire(limit=20)


def run_for(ledger: Ledger, seed: int, seconds: float, notes: Path) -> Counter[str]:
    """Work for some seconds; every new fact is a line in *notes* before the next operation begins."""
    file = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    mix = Mix(ledger, seed, lambda verb, account, seq: _write(file, f"{verb} {account} {seq}\n"))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        mix.step()
    os.close(file)
    return mix.told


def _write(file: int, line: str) -> None:
    os.write(file, line.encode())


def audit_until_clean_or_found(ledger: Ledger) -> Any:
    """The findings; a busy database is asked again."""
    for _ in range(20):
        try:
            return ledger.audit()
        except Contention:
            continue
    return ledger.audit()


def missing_facts(engine: Engine, notes: list[Path]) -> list[str]:
    """Facts that a worker was told and that are not in the ledger, and facts that two workers were told."""
    types = {"topup", "grant", "adjust", "reserve", "charge", "release", "refund"}
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT type, account, seq FROM bsguard_entry").fetchall()
    entries = {f"{kind} {account} {seq}" for kind, account, seq in found if kind in types}
    told = Counter(line for path in notes if path.exists() for line in path.read_text().splitlines())
    twice = [f"told twice: {line}" for line, count in told.items() if count > 1]
    return twice + [f"not in the ledger: {line}" for line in told if line not in entries]

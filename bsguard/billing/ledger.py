"""The ledger: what users of this package call. Every method is atomic, and safe to repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bsguard.billing import crediting, expiring, reading, settling
from bsguard.billing.amounts import count_of
from bsguard.billing.audit import audit
from bsguard.billing.errors import ArgumentInvalid
from bsguard.billing.execution import Execution
from bsguard.billing.joined import JoinedRunner
from bsguard.billing.postgres import PostgresRunner
from bsguard.billing.sqlite import SqliteRunner
from bsguard.core.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from bsguard.billing.outcomes import (
        Adjusted,
        Balance,
        Charged,
        Expired,
        Finding,
        Granted,
        Hold,
        Opened,
        Page,
        Refunded,
        Released,
        Reserved,
        ToppedUp,
    )
    from bsguard.core.clock import Clock

_RUNNERS: Final[dict[str, type[PostgresRunner] | type[SqliteRunner]]] = {
    "postgresql": PostgresRunner,
    "sqlite": SqliteRunner,
}

#: How long an operation waits for an account that others keep busy. An operation takes a millisecond, so this is a
#: queue of thousands; a client that waited longer has given up.
LOCK_TIMEOUT_MS: Final = 2_000
LOCK_TIMEOUT_MS_MAX: Final = 600_000


class Ledger:
    """Credits on the database of *engine*, SQLite or PostgreSQL.

    Amounts are whole numbers of the smallest unit. An account has ``available`` and ``reserved`` credits, and never
    falls below its floor. Generations are named by the caller, once for ever, whatever the account.

    ``clock`` tells the time; ``lock_timeout_ms`` is how long an operation waits for a busy account.

    >>> ledger = Ledger(create_engine("postgresql+psycopg:///shop"))
    >>> ledger.reserve("acme", 120, generation="g-1")
    """

    def __init__(self, engine: Engine, *, clock: Clock = SYSTEM_CLOCK, lock_timeout_ms: int = LOCK_TIMEOUT_MS) -> None:
        make = _RUNNERS.get(engine.dialect.name)
        if make is None or engine.dialect.is_async:
            raise ArgumentInvalid(
                "engine", f"is for {engine.dialect.name}", "pass one for SQLite or PostgreSQL, not async"
            )
        timeout = count_of("lock_timeout_ms", lock_timeout_ms, LOCK_TIMEOUT_MS_MAX)
        self._execution = Execution(make(engine, timeout), clock)

    def using(self, connection: Connection) -> Ledger:
        """The same ledger inside the transaction of *connection*: committed or undone together with what else is in it.

        An error of the ledger leaves the transaction usable. On PostgreSQL its locks last until the caller commits, so
        commit soon. Not for a connection that commits by itself.
        """
        joined = object.__new__(Ledger)
        joined._execution = self._execution.joining(JoinedRunner(connection))
        return joined

    def open(self, account: str, floor: int = 0) -> Opened:
        """Make an account; *floor* is 0, or a credit line as a negative number. AlreadyOpen if it has another floor."""
        return crediting.open_account(self._execution, account, floor)

    def set_floor(self, account: str, floor: int) -> Opened:
        """Change the floor. InsufficientCredits if the account is below the new one."""
        return crediting.set_floor(self._execution, account, floor)

    def topup(self, account: str, amount: int, *, key: str | None = None) -> ToppedUp:
        """Add bought credits; opens a missing account.

        *key* makes the call repeatable: pass the payment's id. Without one, each call adds.
        """
        return crediting.topup(self._execution, account, amount, key)

    def grant(
        self,
        account: str,
        amount: int,
        *,
        expires_at: datetime | None = None,
        priority: int = 100,
        key: str | None = None,
    ) -> Granted:
        """Add given credits; opens a missing account.

        Grants burn before bought credits: those with the lower *priority* first, then those that expire sooner, then
        the older ones. ``expire`` takes back what is left at *expires_at*.
        """
        return crediting.grant(self._execution, account, amount, expires_at, priority, key)

    def reserve(self, account: str, amount: int, generation: str, *, expires_at: datetime | None = None) -> Reserved:
        """Set *amount* aside for *generation*: the admission decision. Do the work only after it succeeded.

        Raises InsufficientCredits. With *expires_at*, ``expire`` releases it at that time if it is not settled.
        On a replay, look at ``settled``: the hold may be over.
        """
        return settling.reserve(self._execution, account, amount, generation, expires_at)

    def charge(self, generation: str, actual: int, *, account: str | None = None) -> Charged:
        """Spend *actual* of what is reserved and return the rest. Work that cost nothing is released instead.

        Raises AlreadyReleased or AlreadyExpired if it was settled otherwise, AlreadyCharged if by another amount. With
        *account*, raises WrongOwner if the generation is not that account's.
        """
        return settling.charge(self._execution, generation, actual, account)

    def release(self, generation: str, *, account: str | None = None, expired: bool = False) -> Released:
        """Return all that is reserved. *expired* records that its time was over, where the caller keeps the time."""
        return settling.release(self._execution, generation, account, expired=expired)

    def refund(self, generation: str, amount: int | None = None, *, account: str | None = None) -> Refunded:
        """Give back a charge, or *amount* of it, once, to where it came from: bought credits, then grants."""
        return settling.refund(self._execution, generation, amount, account)

    def extend(self, generation: str, expires_at: datetime | None, *, account: str | None = None) -> Hold:
        """Move the end of an open hold; None takes it away, as while nobody knows what the provider did."""
        return settling.extend(self._execution, generation, expires_at, account)

    def expire(self, *, limit: int = 1_000) -> Expired:
        """Release holds and take back grants whose time is over. Call it every few seconds, anywhere."""
        return expiring.expire(self._execution, limit)

    def adjust(self, account: str, amount: int, *, actor: str, reason: str, key: str | None = None) -> Adjusted:
        """Correct a balance by hand, up or down. Takes bought credits only, and never below the floor."""
        return crediting.adjust(self._execution, account, amount, actor, reason, key)

    def balance(self, account: str, *, as_of: datetime | None = None) -> Balance:
        """What the account has now, or had at *as_of* (with the floor of today)."""
        return reading.balance(self._execution, account, as_of)

    def hold(self, generation: str) -> Hold | None:
        """What is reserved for a generation and what became of it; None if nothing ever was."""
        return reading.hold_of(self._execution, generation)

    def open_holds(self, account: str, *, limit: int = 100) -> tuple[Hold, ...]:
        """The holds of an account that are not settled."""
        return reading.open_holds(self._execution, account, limit)

    def history(self, account: str, *, cursor: str | None = None, limit: int = 100) -> Page:
        """What happened to the account, newest first, in pages. New entries do not move the pages that follow."""
        return reading.history(self._execution, account, cursor, limit)

    def audit(self, *, limit: int = 100) -> tuple[Finding, ...]:
        """Prove every invariant in SQL; what is broken, at most *limit* findings a check. Empty is good."""
        return audit(self._execution, limit)

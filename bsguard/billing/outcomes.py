"""What the verbs answer: frozen facts, equal when the same operation is answered again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

#: How a hold ended.
Settlement = Literal["charged", "released", "expired"]

#: What a row of the ledger records.
EntryType = Literal["topup", "grant", "reserve", "charge", "release", "refund", "expire", "adjust"]


@dataclass(frozen=True, slots=True)
class Hold:
    """What is reserved for one generation and what became of it."""

    generation: str
    account: str
    reserved: int
    charged: int
    released: int
    refunded: int
    #: None while it is open.
    settled: Settlement | None
    expires_at: datetime | None

    @property
    def amounts(self) -> str:
        """The amounts, for messages."""
        return f"reserved {self.reserved}, charged {self.charged}, released {self.released}, refunded {self.refunded}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What every operation on credits answers with."""

    account: str
    #: The credits that the operation was about.
    amount: int
    #: The balances right after the operation.
    available: int
    reserved: int
    #: The row of the account's history that records it.
    seq: int
    #: Whether this call repeated an earlier one. Not part of equality: the same call has the same answer.
    replayed: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved(Outcome):
    """Credits are set aside for a generation."""

    generation: str
    #: On a replay: how the hold has ended since. Then nothing is held any more, and no work should begin.
    settled: Settlement | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged(Outcome):
    """A hold was settled: ``amount`` is spent, ``returned`` is available again."""

    generation: str
    returned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Outcome):
    """A hold was given back."""

    generation: str
    #: Whether because its time was over.
    expired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refunded(Outcome):
    """A charge was given back, entirely or in part."""

    generation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToppedUp(Outcome):
    """Credits were bought."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted(Outcome):
    """Credits were given, possibly for a time."""

    key: str
    #: Identifies the grant within its account.
    grant: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted(Outcome):
    """A person corrected the balance; ``amount`` may be negative."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The account exists."""

    account: str
    floor: int
    replayed: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What one call of ``expire`` ended."""

    #: Holds whose time was over, and the credits that became available again.
    holds: int
    released: int
    #: Grants whose time was over, and the credits that nobody burned.
    grants: int
    unburned: int
    #: Whether there may be more to do.
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What an account has."""

    account: str
    #: Neither spent nor reserved; includes grants.
    available: int
    reserved: int
    #: How far ``available`` may fall.
    floor: int
    #: The part of ``available`` that comes from grants; None for a moment in the past.
    granted: int | None
    #: The part of ``granted`` that has expired and will be taken back; it cannot be spent.
    lapsed: int | None

    @property
    def spendable(self) -> int:
        """What can be reserved now."""
        return self.available - (self.lapsed or 0) - self.floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the ledger."""

    account: str
    seq: int
    type: EntryType
    amount: int
    available_change: int
    reserved_change: int
    available: int
    reserved: int
    written_at: datetime
    generation: str | None
    grant: int | None
    key: str | None
    actor: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of an account's history, newest first."""

    entries: tuple[Entry, ...]
    #: Pass it to ``history`` for the entries before these; None at the end.
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the audit found wrong."""

    #: Which invariant is broken.
    check: str
    #: Which row: an account, a generation, or an account and a number.
    id: str
    detail: str

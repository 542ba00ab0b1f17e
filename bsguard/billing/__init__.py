"""Credits that cannot be spent twice, on the user's own SQLAlchemy database.

    from bsguard.billing import Ledger

    ledger = Ledger(engine)
    ledger.topup("acme", 1_000, key="payment-17")
    ledger.reserve("acme", 120, generation="g-1")    # before the work
    ledger.charge("g-1", 95)                         # after it; 25 are available again

This package knows no layer and no Flask.
"""

from __future__ import annotations

from bsguard.billing.amounts import AMOUNT_MAX
from bsguard.billing.errors import (
    AlreadyCharged,
    AlreadyExpired,
    AlreadyOpen,
    AlreadyRefunded,
    AlreadyReleased,
    AlreadyReserved,
    AlreadySettled,
    ArgumentInvalid,
    BalanceTooLarge,
    BillingError,
    Contention,
    DatabaseUnavailable,
    InsufficientCredits,
    KeyConflict,
    NotCharged,
    OutcomeUnknown,
    OverSettlement,
    SchemaMissing,
    SchemaOutdated,
    SchemaUnusable,
    UnknownAccount,
    UnknownGeneration,
    WrongOwner,
)
from bsguard.billing.install import create_schema
from bsguard.billing.ledger import Ledger
from bsguard.billing.outcomes import (
    Adjusted,
    Balance,
    Charged,
    Entry,
    Expired,
    Finding,
    Granted,
    Hold,
    Opened,
    Outcome,
    Page,
    Refunded,
    Released,
    Reserved,
    ToppedUp,
)

__all__ = [
    "AMOUNT_MAX",
    "Adjusted",
    "AlreadyCharged",
    "AlreadyExpired",
    "AlreadyOpen",
    "AlreadyRefunded",
    "AlreadyReleased",
    "AlreadyReserved",
    "AlreadySettled",
    "ArgumentInvalid",
    "Balance",
    "BalanceTooLarge",
    "BillingError",
    "Charged",
    "Contention",
    "DatabaseUnavailable",
    "Entry",
    "Expired",
    "Finding",
    "Granted",
    "Hold",
    "InsufficientCredits",
    "KeyConflict",
    "Ledger",
    "NotCharged",
    "Opened",
    "Outcome",
    "OutcomeUnknown",
    "OverSettlement",
    "Page",
    "Refunded",
    "Released",
    "Reserved",
    "SchemaMissing",
    "SchemaOutdated",
    "SchemaUnusable",
    "ToppedUp",
    "UnknownAccount",
    "UnknownGeneration",
    "WrongOwner",
    "create_schema",
]

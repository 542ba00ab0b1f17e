"""The tables. What can be a constraint is one here, so that no program, and no hand, can write a wrong row.

``bsguard_entry`` is the ledger, appended to and never changed; the other tables are its running totals.
Rules that need more than constraints (append-only, keys on SQLite) are in :mod:`bsguard.billing.guards`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from bsguard.billing.amounts import AMOUNT_MAX, NAME_CHARACTERS_MAX

metadata = MetaData()

_NAME = String(NAME_CHARACTERS_MAX)
_BOUNDS: Final = f"BETWEEN -{AMOUNT_MAX} AND {AMOUNT_MAX}"
_SIZE: Final = f"BETWEEN 0 AND {AMOUNT_MAX}"


def _check(name: str, rule: str) -> CheckConstraint:
    return CheckConstraint(rule, name=name)


def _whole(table: str, *columns: str) -> CheckConstraint:
    """SQLite stores a float in a column that is declared an integer; PostgreSQL does not, and has no such check."""
    rule = " AND ".join(f"typeof({column}) = 'integer'" for column in columns)
    return CheckConstraint(rule, name=f"{table}_whole").ddl_if(dialect="sqlite")


account = Table(
    "bsguard_account",
    metadata,
    Column("account", _NAME, nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    # The part of ``available`` that grants gave; what is left is bought, or owed.
    Column("granted", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
    # How many entries the account has: they are numbered without gaps, so that a lost row shows.
    Column("seq", BigInteger, nullable=False),
    # Moments are whole microseconds since 1970. This one never goes back, so that a balance in the past is one row.
    Column("changed_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", name="bsguard_account_pk"),
    # Grants can be taken back when they expire, so what is left without them must be above the floor as well.
    _check("bsguard_account_floor", "available - granted >= floor"),
    _check("bsguard_account_available", f"available {_BOUNDS}"),
    _check("bsguard_account_reserved", f"reserved {_SIZE}"),
    _check("bsguard_account_granted", f"granted {_SIZE}"),
    _check("bsguard_account_credit_line", f"floor BETWEEN -{AMOUNT_MAX} AND 0"),
    _check("bsguard_account_seq", "seq >= 0"),
    _whole("bsguard_account", "available", "reserved", "granted", "floor", "seq", "changed_at"),
)

hold = Table(
    "bsguard_hold",
    metadata,
    Column("generation", _NAME, nullable=False),
    Column("account", _NAME, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("charged", BigInteger, nullable=False),
    Column("released", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("settled", String(8)),
    Column("expires_at", BigInteger),
    PrimaryKeyConstraint("generation", name="bsguard_hold_pk"),
    # What ledger rows refer to: a row for this generation can only be one of this account.
    UniqueConstraint("generation", "account", name="bsguard_hold_owner"),
    ForeignKeyConstraint(["account"], ["bsguard_account.account"], name="bsguard_hold_account"),
    _whole("bsguard_hold", "reserved", "charged", "released", "refunded"),
    _check("bsguard_hold_amounts", f"reserved BETWEEN 1 AND {AMOUNT_MAX} AND charged >= 0 AND released >= 0"),
    _check("bsguard_hold_settled_within", "charged + released <= reserved"),
    _check("bsguard_hold_refunded_within", "refunded >= 0 AND refunded <= charged"),
    # A hold is open, or settled entirely and one way.
    _check(
        "bsguard_hold_settlement",
        "(settled IS NULL AND charged = 0 AND released = 0)"
        " OR (settled IS NOT NULL AND settled = 'charged' AND charged > 0 AND charged + released = reserved)"
        " OR (settled IS NOT NULL AND settled IN ('released', 'expired') AND charged = 0 AND released = reserved)",
    ),
)

grant = Table(
    "bsguard_grant",
    metadata,
    Column("account", _NAME, nullable=False),
    # The number of the entry that gave it; also its age.
    Column("grant_seq", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    Column("priority", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    PrimaryKeyConstraint("account", "grant_seq", name="bsguard_grant_pk"),
    ForeignKeyConstraint(["account"], ["bsguard_account.account"], name="bsguard_grant_account"),
    _whole("bsguard_grant", "grant_seq", "amount", "remaining", "priority"),
    _check("bsguard_grant_amount", f"amount BETWEEN 1 AND {AMOUNT_MAX}"),
    _check("bsguard_grant_remaining", "remaining >= 0 AND remaining <= amount"),
)

# Which part of a hold came from which grant. The hold is seen as the credits from 0 to ``reserved``, in the order in
# which they burn; a row covers those from ``burn_from`` on, and what no row covers was bought. What a charge, a release
# or a refund gives back is then an interval, and finds its way to where it came from.
burn = Table(
    "bsguard_burn",
    metadata,
    Column("generation", _NAME, nullable=False),
    Column("account", _NAME, nullable=False),
    Column("grant_seq", BigInteger, nullable=False),
    Column("burn_from", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    PrimaryKeyConstraint("generation", "grant_seq", name="bsguard_burn_pk"),
    ForeignKeyConstraint(
        ["generation", "account"], ["bsguard_hold.generation", "bsguard_hold.account"], name="bsguard_burn_hold"
    ),
    ForeignKeyConstraint(
        ["account", "grant_seq"], ["bsguard_grant.account", "bsguard_grant.grant_seq"], name="bsguard_burn_grant"
    ),
    _whole("bsguard_burn", "grant_seq", "burn_from", "amount"),
    _check("bsguard_burn_amount", f"amount BETWEEN 1 AND {AMOUNT_MAX} AND burn_from >= 0"),
)

_PAIRS: Final = """(type IN ('topup', 'grant') AND amount > 0 AND available_change = amount AND reserved_change = 0)
 OR (type = 'reserve' AND amount > 0 AND available_change = -amount AND reserved_change = amount)
 OR (type = 'charge' AND amount > 0 AND reserved_change <= -amount AND available_change = -reserved_change - amount)
 OR (type = 'release' AND amount > 0 AND available_change = amount AND reserved_change = -amount)
 OR (type = 'refund' AND amount > 0 AND available_change = amount AND reserved_change = 0)
 OR (type = 'expire' AND amount > 0 AND available_change = -amount AND reserved_change = 0)
 OR (type = 'adjust' AND amount <> 0 AND available_change = amount AND reserved_change = 0)"""

# Every settlement names the row that it settles, with its amount; the database keeps the chain.
_CHAIN: Final = """(type IN ('charge', 'release') AND settles_type IS NOT NULL AND settles_amount IS NOT NULL
 AND settles_type = 'reserve' AND settles_amount = -reserved_change)
 OR (type = 'refund' AND settles_type IS NOT NULL AND settles_amount IS NOT NULL
 AND settles_type = 'charge' AND settles_amount >= amount)
 OR (type NOT IN ('charge', 'release', 'refund') AND settles_type IS NULL AND settles_amount IS NULL)"""

entry = Table(
    "bsguard_entry",
    metadata,
    Column("account", _NAME, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("type", String(8), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("available_change", BigInteger, nullable=False),
    Column("reserved_change", BigInteger, nullable=False),
    # The balances after this entry.
    Column("available", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("written_at", BigInteger, nullable=False),
    Column("generation", _NAME),
    Column("settles_type", String(8)),
    Column("settles_amount", BigInteger),
    Column("grant_seq", BigInteger),
    Column("idempotency_key", _NAME),
    Column("parameters_sha256", String(64)),
    Column("actor", Text),
    Column("reason", Text),
    PrimaryKeyConstraint("account", "seq", name="bsguard_entry_pk"),
    UniqueConstraint("generation", "account", "type", "amount", name="bsguard_entry_settleable"),
    ForeignKeyConstraint(["account"], ["bsguard_account.account"], name="bsguard_entry_account"),
    ForeignKeyConstraint(
        ["generation", "account"], ["bsguard_hold.generation", "bsguard_hold.account"], name="bsguard_entry_hold"
    ),
    ForeignKeyConstraint(
        ["generation", "account", "settles_type", "settles_amount"],
        ["bsguard_entry.generation", "bsguard_entry.account", "bsguard_entry.type", "bsguard_entry.amount"],
        name="bsguard_entry_settles",
    ),
    ForeignKeyConstraint(
        ["account", "grant_seq"], ["bsguard_grant.account", "bsguard_grant.grant_seq"], name="bsguard_entry_grant"
    ),
    _check("bsguard_entry_seq", "seq >= 1"),
    _whole(
        "bsguard_entry", "seq", "amount", "available_change", "reserved_change", "available", "reserved", "written_at"
    ),
    _check("bsguard_entry_pair", _PAIRS),
    _check("bsguard_entry_chain", _CHAIN),
    _check(
        "bsguard_entry_generation",
        "(generation IS NOT NULL) = (type IN ('reserve', 'charge', 'release', 'refund'))",
    ),
    _check("bsguard_entry_grant_named", "(grant_seq IS NOT NULL) = (type IN ('grant', 'expire'))"),
    _check("bsguard_entry_key", "(idempotency_key IS NULL) = (parameters_sha256 IS NULL)"),
    _check(
        "bsguard_entry_adjust",
        "type <> 'adjust' OR (actor IS NOT NULL AND actor <> '' AND reason IS NOT NULL AND reason <> '')",
    ),
    _check("bsguard_entry_bounds", f"amount {_BOUNDS} AND available {_BOUNDS} AND reserved {_SIZE}"),
)


def _once(name: str, rule: str) -> Index:
    where = text(rule)
    return Index(name, entry.c.generation, unique=True, postgresql_where=where, sqlite_where=where)


# One generation reserves once, charges once, refunds once, and settles one way.
ONCE: Final = (
    _once("bsguard_entry_reserve_once", "type = 'reserve'"),
    _once("bsguard_entry_charge_once", "type = 'charge'"),
    _once("bsguard_entry_refund_once", "type = 'refund'"),
    _once("bsguard_entry_settle_once", "type IN ('charge', 'release')"),
)
_keyed = text("idempotency_key IS NOT NULL")
Index(
    "bsguard_entry_key_once",
    entry.c.account,
    entry.c.idempotency_key,
    unique=True,
    postgresql_where=_keyed,
    sqlite_where=_keyed,
)
# Serves a balance in the past.
Index("bsguard_entry_written", entry.c.account, entry.c.written_at, entry.c.seq)
# What ``expire`` looks for. Neither index has a row for what does not expire.
_due_hold = text("settled IS NULL AND expires_at IS NOT NULL")
Index("bsguard_hold_due", hold.c.expires_at, postgresql_where=_due_hold, sqlite_where=_due_hold)
_due_grant = text("remaining > 0 AND expires_at IS NOT NULL")
Index("bsguard_grant_due", grant.c.expires_at, postgresql_where=_due_grant, sqlite_where=_due_grant)
_open_hold = text("settled IS NULL")
Index("bsguard_hold_open", hold.c.account, postgresql_where=_open_hold, sqlite_where=_open_hold)
_live_grant = text("remaining > 0")
Index("bsguard_grant_live", grant.c.account, postgresql_where=_live_grant, sqlite_where=_live_grant)

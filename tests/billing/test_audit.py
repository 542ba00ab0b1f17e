"""The audit finds what a hand can spoil once the constraints are out of the way, and names the row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from bsguard.billing import Ledger
from bsguard.billing.audit import CHECKS
from bsguard.billing.guards import TRIGGERS
from bsguard.billing.schema import ONCE
from bsguard.billing.testing import assert_invariants

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

# What is spoiled, which check must find it, and the id it must name.
SPOILED = {
    "a balance": ("UPDATE bsguard_account SET available = available + 1 WHERE account = 'a'", "balance", "a"),
    "a reserve": ("UPDATE bsguard_account SET reserved = reserved + 1 WHERE account = 'a'", "reserved", "a"),
    "a number": ("UPDATE bsguard_account SET seq = seq + 1 WHERE account = 'a'", "balance", "a"),
    "a lost last entry": ("DELETE FROM bsguard_entry WHERE account = 'g' AND seq = 5", "balance", "g"),
    "a lost first entry": ("DELETE FROM bsguard_entry WHERE account = 'a' AND seq = 1", "continuity", "a#2"),
    "a changed running balance": (
        "UPDATE bsguard_entry SET available = available + 1 WHERE account = 'a' AND seq = 2",
        "continuity",
        "a#2",
    ),
    "a moment out of order": (
        "UPDATE bsguard_entry SET written_at = 5 WHERE account = 'a' AND seq = 3",
        "continuity",
        "a#3",
    ),
    "a changed amount": (
        "UPDATE bsguard_entry SET amount = 999 WHERE account = 'a' AND seq = 1",
        "double_entry",
        "a#1",
    ),
    "a changed charge": (
        "UPDATE bsguard_hold SET charged = 60, released = 40 WHERE generation = 'charged'",
        "hold",
        "charged",
    ),
    "a charge told as release": (
        "UPDATE bsguard_hold SET charged = 0, released = 100, settled = 'released' WHERE generation = 'charged'",
        "hold",
        "charged",
    ),
    "a refund that nobody wrote": (
        "UPDATE bsguard_hold SET refunded = 70 WHERE generation = 'charged'",
        "hold",
        "charged",
    ),
    "a hold reopened": (
        "UPDATE bsguard_hold SET charged = 0, released = 0, settled = NULL WHERE generation = 'charged'",
        "reserved",
        "a",
    ),
    "a hold without entries": (
        "INSERT INTO bsguard_hold VALUES ('stray', 'a', 5, 5, 0, 0, 'charged', NULL)",
        "hold",
        "stray",
    ),
    "a hold of another account": (
        "UPDATE bsguard_hold SET account = 'g' WHERE generation = 'charged'",
        "orphan",
        "a#3",
    ),
    "a refund above the charge": (
        "UPDATE bsguard_hold SET refunded = 101 WHERE generation = 'charged'",
        "settlement",
        "charged",
    ),
    "a lost hold": ("DELETE FROM bsguard_hold WHERE generation = 'charged'", "orphan", "a#3"),
    "a lost account": ("DELETE FROM bsguard_account WHERE account = 'a'", "orphan", "a#1"),
    "a grant with too much": (
        "UPDATE bsguard_grant SET remaining = 10 WHERE account = 'g' AND grant_seq = 1",
        "grant",
        "g#1",
    ),
    "an account with too much granted": ("UPDATE bsguard_account SET granted = 1 WHERE account = 'g'", "granted", "g"),
    "a lost grant": ("DELETE FROM bsguard_grant WHERE account = 'g' AND grant_seq = 1", "orphan", "g#1"),
    "a burn moved": (
        "UPDATE bsguard_burn SET burn_from = 3 WHERE generation = 'granted' AND grant_seq = 1",
        "burn",
        "granted",
    ),
    "a lost burn": ("DELETE FROM bsguard_burn WHERE generation = 'granted' AND grant_seq = 1", "grant", "g#1"),
    "a balance below the floor": ("UPDATE bsguard_account SET available = -1 WHERE account = 'g'", "floor", "g"),
}


def prepare(ledger: Ledger) -> None:
    ledger.topup("a", 1000)
    ledger.reserve("a", 100, "open")
    ledger.reserve("a", 100, "charged")
    ledger.charge("charged", 70)
    ledger.grant("g", 10, priority=1)
    ledger.grant("g", 10, priority=2)
    ledger.topup("g", 10)
    ledger.reserve("g", 25, "granted")
    ledger.charge("granted", 15)


def disarm(connection: Connection) -> None:
    """Take every constraint out of the way, as only the owner of the tables can."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        for name in TRIGGERS["sqlite"]:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        return
    found = connection.execute(
        text(
            "SELECT conrelid::regclass, conname FROM pg_constraint WHERE conname ~ '^bsguard' AND contype IN ('c', 'f')"
        )
    ).all()
    for table, name in found:
        connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE")
    connection.exec_driver_sql("DROP FUNCTION bsguard_entry_refuse() CASCADE")
    connection.exec_driver_sql("DROP FUNCTION bsguard_hold_refuse() CASCADE")


@pytest.mark.parametrize("name", SPOILED)
def test_it_finds_what_was_spoiled(engine: Engine, name: str) -> None:
    prepare(Ledger(engine))
    sql, check, identity = SPOILED[name]
    with engine.connect() as connection:
        with connection.begin() as transaction:
            disarm(connection)
            connection.execute(text(sql))
            found = [(one.check, one.id) for one in Ledger(engine).using(connection).audit()]
            transaction.rollback()
        # It would go back to the pool as it is.
        connection.invalidate()

    assert (check, identity) in found


def test_every_check_has_found_something() -> None:
    assert {check.name for check in CHECKS} <= {check for _, check, _ in SPOILED.values()}
    assert len(CHECKS) == 11


@pytest.mark.parametrize("index", [index.name for index in ONCE])
def test_it_misses_a_dropped_index(bare_engine: Engine, index: str) -> None:
    from bsguard.billing import create_schema

    create_schema(bare_engine)
    ledger = Ledger(bare_engine)
    assert ledger.audit() == ()
    with bare_engine.begin() as connection:
        connection.execute(text(f"DROP INDEX {index}"))

    assert [(one.check, one.id) for one in ledger.audit()] == [("schema", index)]


def test_it_misses_dropped_constraints_and_triggers(bare_engine: Engine) -> None:
    from bsguard.billing import create_schema

    create_schema(bare_engine)
    with bare_engine.begin() as connection:
        if bare_engine.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER bsguard_entry_kept"))
        else:
            connection.execute(text("ALTER TABLE bsguard_hold DROP CONSTRAINT bsguard_hold_refunded_within"))
            connection.execute(text("ALTER TABLE bsguard_entry DISABLE TRIGGER bsguard_entry_append_only"))

    missed = {one.id for one in Ledger(bare_engine).audit()}

    expected = {"bsguard_hold_refunded_within", "bsguard_entry_append_only"}
    assert missed == ({"bsguard_entry_kept"} if bare_engine.dialect.name == "sqlite" else expected)


def test_invariants_fail_with_the_offending_ids(engine: Engine) -> None:
    ledger = Ledger(engine)
    prepare(ledger)
    with engine.begin() as connection:
        connection.execute(text("UPDATE bsguard_account SET available = available + 1 WHERE account = 'a'"))

    with pytest.raises(AssertionError, match=r"balance a: account shows 831/100 after 4 .* has 830/100"):
        assert_invariants(ledger)


def test_totals_beyond_64_bits_are_added_up(ledger: Ledger) -> None:
    from bsguard.billing import AMOUNT_MAX

    for number in range(5):
        ledger.topup(f"rich-{number}", AMOUNT_MAX)
        ledger.reserve(f"rich-{number}", AMOUNT_MAX, f"g{number}")

    assert ledger.audit() == ()

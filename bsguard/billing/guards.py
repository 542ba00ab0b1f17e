"""What the tables need besides constraints: triggers and views, in each engine's own words.

Views show the double entry: every ledger row moves credits from one account to another, and what they come from and go
to (cash, promotion, revenue, breakage, adjustment) is not a row that everybody would have to lock, but a sum.
"""

from __future__ import annotations

from typing import Final

_POSTING: Final = """CREATE VIEW bsguard_posting AS
SELECT account, seq, written_at, type, generation, amount,
 CASE type WHEN 'topup' THEN 'cash' WHEN 'grant' THEN 'promotion' WHEN 'reserve' THEN 'available'
 WHEN 'charge' THEN 'reserved' WHEN 'release' THEN 'reserved' WHEN 'refund' THEN 'revenue'
 WHEN 'expire' THEN 'available' ELSE 'adjustment' END AS source,
 CASE type WHEN 'reserve' THEN 'reserved' WHEN 'charge' THEN 'revenue' WHEN 'expire' THEN 'breakage'
 ELSE 'available' END AS destination
FROM bsguard_entry WHERE amount > 0
UNION ALL
SELECT account, seq, written_at, type, generation, available_change, 'reserved', 'available'
FROM bsguard_entry WHERE type = 'charge' AND available_change > 0
UNION ALL
SELECT account, seq, written_at, type, generation, -amount, 'available', 'adjustment'
FROM bsguard_entry WHERE type = 'adjust' AND amount < 0"""

_SYSTEM: Final = """CREATE VIEW bsguard_system_account AS
SELECT name, SUM(moved) AS balance FROM (
SELECT destination AS name, amount AS moved FROM bsguard_posting
UNION ALL
SELECT source AS name, -amount AS moved FROM bsguard_posting
) AS movements GROUP BY name"""

_APPEND_ONLY: Final = "the ledger is append-only: correct it with an adjustment"

_SQLITE: Final = (
    # SQLite checks foreign keys only on connections that ask for it, and a hand at the command line does not ask.
    """CREATE TRIGGER bsguard_entry_keys BEFORE INSERT ON bsguard_entry BEGIN
SELECT RAISE(ABORT, 'FOREIGN KEY bsguard_entry_account') WHERE NOT EXISTS
 (SELECT 1 FROM bsguard_account WHERE account = NEW.account);
SELECT RAISE(ABORT, 'FOREIGN KEY bsguard_entry_hold') WHERE NEW.generation IS NOT NULL AND NOT EXISTS
 (SELECT 1 FROM bsguard_hold WHERE generation = NEW.generation AND account = NEW.account);
SELECT RAISE(ABORT, 'FOREIGN KEY bsguard_entry_settles') WHERE NEW.settles_type IS NOT NULL AND NOT EXISTS
 (SELECT 1 FROM bsguard_entry WHERE generation = NEW.generation AND account = NEW.account
 AND type = NEW.settles_type AND amount = NEW.settles_amount);
SELECT RAISE(ABORT, 'FOREIGN KEY bsguard_entry_grant') WHERE NEW.grant_seq IS NOT NULL AND NOT EXISTS
 (SELECT 1 FROM bsguard_grant WHERE account = NEW.account AND grant_seq = NEW.grant_seq);
END""",
    """CREATE TRIGGER bsguard_hold_keys BEFORE INSERT ON bsguard_hold
WHEN NOT EXISTS (SELECT 1 FROM bsguard_account WHERE account = NEW.account)
BEGIN SELECT RAISE(ABORT, 'FOREIGN KEY bsguard_hold_account'); END""",
    """CREATE TRIGGER bsguard_hold_moved BEFORE UPDATE OF generation, account, reserved ON bsguard_hold
BEGIN SELECT RAISE(ABORT, 'a hold keeps its generation, account and amount'); END""",
    """CREATE TRIGGER bsguard_grant_keys BEFORE INSERT ON bsguard_grant
WHEN NOT EXISTS (SELECT 1 FROM bsguard_account WHERE account = NEW.account)
BEGIN SELECT RAISE(ABORT, 'FOREIGN KEY bsguard_grant_account'); END""",
    """CREATE TRIGGER bsguard_burn_keys BEFORE INSERT ON bsguard_burn BEGIN
SELECT RAISE(ABORT, 'FOREIGN KEY bsguard_burn_hold') WHERE NOT EXISTS
 (SELECT 1 FROM bsguard_hold WHERE generation = NEW.generation AND account = NEW.account);
SELECT RAISE(ABORT, 'FOREIGN KEY bsguard_burn_grant') WHERE NOT EXISTS
 (SELECT 1 FROM bsguard_grant WHERE account = NEW.account AND grant_seq = NEW.grant_seq);
END""",
    f"""CREATE TRIGGER bsguard_entry_unchanged BEFORE UPDATE ON bsguard_entry
BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END""",
    f"""CREATE TRIGGER bsguard_entry_kept BEFORE DELETE ON bsguard_entry
BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END""",
)

_POSTGRESQL: Final = (
    # Balances are updated all the time: with room in its page, a new version of a row needs no entry in an index.
    "ALTER TABLE bsguard_account SET (fillfactor = 50)",
    f"""CREATE FUNCTION bsguard_entry_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{_APPEND_ONLY}' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE TRIGGER bsguard_entry_append_only BEFORE UPDATE OR DELETE ON bsguard_entry
FOR EACH ROW EXECUTE FUNCTION bsguard_entry_refuse()""",
    # Only an update that names these columns fires it, which the ledger's own never do.
    """CREATE FUNCTION bsguard_hold_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'a hold keeps its generation, account and amount'
USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE TRIGGER bsguard_hold_moved BEFORE UPDATE OF generation, account, reserved ON bsguard_hold
FOR EACH ROW EXECUTE FUNCTION bsguard_hold_refuse()""",
)

#: Statements to run after the tables are made, by dialect.
CREATE: Final = {
    "sqlite": (_POSTING, _SYSTEM, *_SQLITE),
    "postgresql": (_POSTING, _SYSTEM, *_POSTGRESQL),
}

#: The triggers that must exist, by dialect; the audit looks for them.
TRIGGERS: Final = {
    "sqlite": (
        "bsguard_entry_keys",
        "bsguard_hold_keys",
        "bsguard_hold_moved",
        "bsguard_grant_keys",
        "bsguard_burn_keys",
        "bsguard_entry_unchanged",
        "bsguard_entry_kept",
    ),
    "postgresql": ("bsguard_entry_append_only", "bsguard_hold_moved"),
}

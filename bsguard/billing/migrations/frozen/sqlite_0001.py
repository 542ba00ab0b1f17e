"""The tables of revision 0001 on SQLite, as they were released. Never changed: a later revision alters them."""

# ruff: noqa: E501 - the text is the database's, line for line

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
    """CREATE TABLE bsguard_account (
 account VARCHAR(200) NOT NULL,
 available BIGINT NOT NULL,
 reserved BIGINT NOT NULL,
 granted BIGINT NOT NULL,
 floor BIGINT NOT NULL,
 seq BIGINT NOT NULL,
 changed_at BIGINT NOT NULL,
 CONSTRAINT bsguard_account_pk PRIMARY KEY (account),
 CONSTRAINT bsguard_account_floor CHECK (available - granted >= floor),
 CONSTRAINT bsguard_account_available CHECK (available BETWEEN -4611686018427387903 AND 4611686018427387903),
 CONSTRAINT bsguard_account_reserved CHECK (reserved BETWEEN 0 AND 4611686018427387903),
 CONSTRAINT bsguard_account_granted CHECK (granted BETWEEN 0 AND 4611686018427387903),
 CONSTRAINT bsguard_account_credit_line CHECK (floor BETWEEN -4611686018427387903 AND 0),
 CONSTRAINT bsguard_account_seq CHECK (seq >= 0),
 CONSTRAINT bsguard_account_whole CHECK (typeof(available) = 'integer' AND typeof(reserved) = 'integer' AND typeof(granted) = 'integer' AND typeof(floor) = 'integer' AND typeof(seq) = 'integer' AND typeof(changed_at) = 'integer')
)""",
    """CREATE TABLE bsguard_grant (
 account VARCHAR(200) NOT NULL,
 grant_seq BIGINT NOT NULL,
 amount BIGINT NOT NULL,
 remaining BIGINT NOT NULL,
 priority BIGINT NOT NULL,
 expires_at BIGINT,
 CONSTRAINT bsguard_grant_pk PRIMARY KEY (account, grant_seq),
 CONSTRAINT bsguard_grant_account FOREIGN KEY(account) REFERENCES bsguard_account (account),
 CONSTRAINT bsguard_grant_whole CHECK (typeof(grant_seq) = 'integer' AND typeof(amount) = 'integer' AND typeof(remaining) = 'integer' AND typeof(priority) = 'integer'),
 CONSTRAINT bsguard_grant_amount CHECK (amount BETWEEN 1 AND 4611686018427387903),
 CONSTRAINT bsguard_grant_remaining CHECK (remaining >= 0 AND remaining <= amount)
)""",
    """CREATE INDEX bsguard_grant_due ON bsguard_grant (expires_at) WHERE remaining > 0 AND expires_at IS NOT NULL""",
    """CREATE INDEX bsguard_grant_live ON bsguard_grant (account) WHERE remaining > 0""",
    """CREATE TABLE bsguard_hold (
 generation VARCHAR(200) NOT NULL,
 account VARCHAR(200) NOT NULL,
 reserved BIGINT NOT NULL,
 charged BIGINT NOT NULL,
 released BIGINT NOT NULL,
 refunded BIGINT NOT NULL,
 settled VARCHAR(8),
 expires_at BIGINT,
 CONSTRAINT bsguard_hold_pk PRIMARY KEY (generation),
 CONSTRAINT bsguard_hold_owner UNIQUE (generation, account),
 CONSTRAINT bsguard_hold_account FOREIGN KEY(account) REFERENCES bsguard_account (account),
 CONSTRAINT bsguard_hold_whole CHECK (typeof(reserved) = 'integer' AND typeof(charged) = 'integer' AND typeof(released) = 'integer' AND typeof(refunded) = 'integer'),
 CONSTRAINT bsguard_hold_amounts CHECK (reserved BETWEEN 1 AND 4611686018427387903 AND charged >= 0 AND released >= 0),
 CONSTRAINT bsguard_hold_settled_within CHECK (charged + released <= reserved),
 CONSTRAINT bsguard_hold_refunded_within CHECK (refunded >= 0 AND refunded <= charged),
 CONSTRAINT bsguard_hold_settlement CHECK ((settled IS NULL AND charged = 0 AND released = 0) OR (settled IS NOT NULL AND settled = 'charged' AND charged > 0 AND charged + released = reserved) OR (settled IS NOT NULL AND settled IN ('released', 'expired') AND charged = 0 AND released = reserved))
)""",
    """CREATE INDEX bsguard_hold_due ON bsguard_hold (expires_at) WHERE settled IS NULL AND expires_at IS NOT NULL""",
    """CREATE INDEX bsguard_hold_open ON bsguard_hold (account) WHERE settled IS NULL""",
    """CREATE TABLE bsguard_burn (
 generation VARCHAR(200) NOT NULL,
 account VARCHAR(200) NOT NULL,
 grant_seq BIGINT NOT NULL,
 burn_from BIGINT NOT NULL,
 amount BIGINT NOT NULL,
 CONSTRAINT bsguard_burn_pk PRIMARY KEY (generation, grant_seq),
 CONSTRAINT bsguard_burn_hold FOREIGN KEY(generation, account) REFERENCES bsguard_hold (generation, account),
 CONSTRAINT bsguard_burn_grant FOREIGN KEY(account, grant_seq) REFERENCES bsguard_grant (account, grant_seq),
 CONSTRAINT bsguard_burn_whole CHECK (typeof(grant_seq) = 'integer' AND typeof(burn_from) = 'integer' AND typeof(amount) = 'integer'),
 CONSTRAINT bsguard_burn_amount CHECK (amount BETWEEN 1 AND 4611686018427387903 AND burn_from >= 0)
)""",
    """CREATE TABLE bsguard_entry (
 account VARCHAR(200) NOT NULL,
 seq BIGINT NOT NULL,
 type VARCHAR(8) NOT NULL,
 amount BIGINT NOT NULL,
 available_change BIGINT NOT NULL,
 reserved_change BIGINT NOT NULL,
 available BIGINT NOT NULL,
 reserved BIGINT NOT NULL,
 written_at BIGINT NOT NULL,
 generation VARCHAR(200),
 settles_type VARCHAR(8),
 settles_amount BIGINT,
 grant_seq BIGINT,
 idempotency_key VARCHAR(200),
 parameters_sha256 VARCHAR(64),
 actor TEXT,
 reason TEXT,
 CONSTRAINT bsguard_entry_pk PRIMARY KEY (account, seq),
 CONSTRAINT bsguard_entry_settleable UNIQUE (generation, account, type, amount),
 CONSTRAINT bsguard_entry_account FOREIGN KEY(account) REFERENCES bsguard_account (account),
 CONSTRAINT bsguard_entry_hold FOREIGN KEY(generation, account) REFERENCES bsguard_hold (generation, account),
 CONSTRAINT bsguard_entry_settles FOREIGN KEY(generation, account, settles_type, settles_amount) REFERENCES bsguard_entry (generation, account, type, amount),
 CONSTRAINT bsguard_entry_grant FOREIGN KEY(account, grant_seq) REFERENCES bsguard_grant (account, grant_seq),
 CONSTRAINT bsguard_entry_seq CHECK (seq >= 1),
 CONSTRAINT bsguard_entry_whole CHECK (typeof(seq) = 'integer' AND typeof(amount) = 'integer' AND typeof(available_change) = 'integer' AND typeof(reserved_change) = 'integer' AND typeof(available) = 'integer' AND typeof(reserved) = 'integer' AND typeof(written_at) = 'integer'),
 CONSTRAINT bsguard_entry_pair CHECK ((type IN ('topup', 'grant') AND amount > 0 AND available_change = amount AND reserved_change = 0)
 OR (type = 'reserve' AND amount > 0 AND available_change = -amount AND reserved_change = amount)
 OR (type = 'charge' AND amount > 0 AND reserved_change <= -amount AND available_change = -reserved_change - amount)
 OR (type = 'release' AND amount > 0 AND available_change = amount AND reserved_change = -amount)
 OR (type = 'refund' AND amount > 0 AND available_change = amount AND reserved_change = 0)
 OR (type = 'expire' AND amount > 0 AND available_change = -amount AND reserved_change = 0)
 OR (type = 'adjust' AND amount <> 0 AND available_change = amount AND reserved_change = 0)),
 CONSTRAINT bsguard_entry_chain CHECK ((type IN ('charge', 'release') AND settles_type IS NOT NULL AND settles_amount IS NOT NULL
 AND settles_type = 'reserve' AND settles_amount = -reserved_change)
 OR (type = 'refund' AND settles_type IS NOT NULL AND settles_amount IS NOT NULL
 AND settles_type = 'charge' AND settles_amount >= amount)
 OR (type NOT IN ('charge', 'release', 'refund') AND settles_type IS NULL AND settles_amount IS NULL)),
 CONSTRAINT bsguard_entry_generation CHECK ((generation IS NOT NULL) = (type IN ('reserve', 'charge', 'release', 'refund'))),
 CONSTRAINT bsguard_entry_grant_named CHECK ((grant_seq IS NOT NULL) = (type IN ('grant', 'expire'))),
 CONSTRAINT bsguard_entry_key CHECK ((idempotency_key IS NULL) = (parameters_sha256 IS NULL)),
 CONSTRAINT bsguard_entry_adjust CHECK (type <> 'adjust' OR (actor IS NOT NULL AND actor <> '' AND reason IS NOT NULL AND reason <> '')),
 CONSTRAINT bsguard_entry_bounds CHECK (amount BETWEEN -4611686018427387903 AND 4611686018427387903 AND available BETWEEN -4611686018427387903 AND 4611686018427387903 AND reserved BETWEEN 0 AND 4611686018427387903)
)""",
    """CREATE UNIQUE INDEX bsguard_entry_charge_once ON bsguard_entry (generation) WHERE type = 'charge'""",
    """CREATE UNIQUE INDEX bsguard_entry_key_once ON bsguard_entry (account, idempotency_key) WHERE idempotency_key IS NOT NULL""",
    """CREATE UNIQUE INDEX bsguard_entry_refund_once ON bsguard_entry (generation) WHERE type = 'refund'""",
    """CREATE UNIQUE INDEX bsguard_entry_reserve_once ON bsguard_entry (generation) WHERE type = 'reserve'""",
    """CREATE UNIQUE INDEX bsguard_entry_settle_once ON bsguard_entry (generation) WHERE type IN ('charge', 'release')""",
    """CREATE INDEX bsguard_entry_written ON bsguard_entry (account, written_at, seq)""",
    """CREATE VIEW bsguard_posting AS
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
FROM bsguard_entry WHERE type = 'adjust' AND amount < 0""",
    """CREATE VIEW bsguard_system_account AS
SELECT name, SUM(moved) AS balance FROM (
SELECT destination AS name, amount AS moved FROM bsguard_posting
UNION ALL
SELECT source AS name, -amount AS moved FROM bsguard_posting
) AS movements GROUP BY name""",
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
    """CREATE TRIGGER bsguard_entry_unchanged BEFORE UPDATE ON bsguard_entry
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: correct it with an adjustment'); END""",
    """CREATE TRIGGER bsguard_entry_kept BEFORE DELETE ON bsguard_entry
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: correct it with an adjustment'); END""",
)

"""The invariants, as queries that find what breaks them. Run on production too: they only read.

All checks see one state of the database. Sums are avoided where a comparison of neighbours says the same, because
SQLite's sums stop at 64 bits, and because the neighbour that is wrong can be named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, text

from bsguard.billing.amounts import count_of
from bsguard.billing.guards import TRIGGERS
from bsguard.billing.outcomes import Finding
from bsguard.billing.schema import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from bsguard.billing.execution import Execution

#: Findings of one check that are listed.
FINDINGS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant: a query that returns an id and a detail for every row that breaks it."""

    name: str
    #: What must hold, for people.
    rule: str
    sql: str


CHECKS: Final = (
    Check(
        "balance",
        "An account shows the balances of its last entry, and has as many entries as it says.",
        """SELECT a.account, 'account shows ' || CAST(a.available AS VARCHAR(20)) || '/'
 || CAST(a.reserved AS VARCHAR(20)) || ' after ' || CAST(a.seq AS VARCHAR(20)) || ' entries; the ledger has '
 || COALESCE(CAST(e.available AS VARCHAR(20)) || '/' || CAST(e.reserved AS VARCHAR(20)), 'no such entry')
 FROM bsguard_account a LEFT JOIN bsguard_entry e ON e.account = a.account AND e.seq = a.seq
 WHERE (a.seq = 0 AND (a.available <> 0 OR a.reserved <> 0))
 OR (a.seq > 0 AND (e.seq IS NULL OR e.available <> a.available OR e.reserved <> a.reserved))
 OR EXISTS (SELECT 1 FROM bsguard_entry x WHERE x.account = a.account AND x.seq > a.seq)""",
    ),
    Check(
        "continuity",
        "Every entry continues the one before: number, time and both balances.",
        """SELECT account || '#' || CAST(seq AS VARCHAR(20)), type || ' does not continue the entry before' FROM (
 SELECT account, seq, type, available, reserved, available_change, reserved_change, written_at,
 LAG(seq, 1, 0) OVER w AS last_seq, LAG(available) OVER w AS last_available,
 LAG(reserved) OVER w AS last_reserved, LAG(written_at) OVER w AS last_written
 FROM bsguard_entry WINDOW w AS (PARTITION BY account ORDER BY seq)) AS pairs
 WHERE seq <> last_seq + 1 OR available <> COALESCE(last_available, 0) + available_change
 OR reserved <> COALESCE(last_reserved, 0) + reserved_change OR written_at < COALESCE(last_written, written_at)""",
    ),
    Check(
        "double_entry",
        "What the postings of an entry move is what the entry changes: debits equal credits.",
        """SELECT e.account || '#' || CAST(e.seq AS VARCHAR(20)), e.type || ' does not balance'
 FROM bsguard_entry e LEFT JOIN (SELECT account, seq,
 SUM(CASE WHEN destination = 'available' THEN amount ELSE 0 END)
 - SUM(CASE WHEN source = 'available' THEN amount ELSE 0 END) AS to_available,
 SUM(CASE WHEN destination = 'reserved' THEN amount ELSE 0 END)
 - SUM(CASE WHEN source = 'reserved' THEN amount ELSE 0 END) AS to_reserved
 FROM bsguard_posting GROUP BY account, seq) AS p ON p.account = e.account AND p.seq = e.seq
 WHERE p.account IS NULL OR p.to_available <> e.available_change OR p.to_reserved <> e.reserved_change""",
    ),
    Check(
        "reserved",
        "What an account has reserved is the sum of its open holds.",
        """SELECT a.account, 'reserved is ' || CAST(a.reserved AS VARCHAR(20)) || ', open holds are '
 || CAST(COALESCE(h.held, 0) AS VARCHAR(40))
 FROM bsguard_account a LEFT JOIN (SELECT account, SUM(reserved) AS held FROM bsguard_hold
 WHERE settled IS NULL GROUP BY account) AS h ON h.account = a.account WHERE a.reserved <> COALESCE(h.held, 0)""",
    ),
    Check(
        "hold",
        "A hold has exactly the entries that its amounts say, each once, and belongs to their account.",
        """SELECT h.generation, 'reserved ' || CAST(h.reserved AS VARCHAR(20)) || ' charged '
 || CAST(h.charged AS VARCHAR(20)) || ' released ' || CAST(h.released AS VARCHAR(20))
 || ' refunded ' || CAST(h.refunded AS VARCHAR(20))
 || ' ' || COALESCE(h.settled, 'open') || ' is not what the entries say'
 FROM bsguard_hold h LEFT JOIN (SELECT generation, account,
 COUNT(CASE WHEN type = 'reserve' THEN 1 END) AS reserves, COUNT(CASE WHEN type = 'charge' THEN 1 END) AS charges,
 COUNT(CASE WHEN type = 'release' THEN 1 END) AS releases, COUNT(CASE WHEN type = 'refund' THEN 1 END) AS refunds,
 MAX(CASE WHEN type = 'reserve' THEN amount END) AS reserved, MAX(CASE WHEN type = 'charge' THEN amount END) AS charged,
 MAX(CASE WHEN type = 'release' THEN amount END) AS released, MAX(CASE WHEN type = 'refund' THEN amount END) AS refunded
 FROM bsguard_entry WHERE generation IS NOT NULL GROUP BY generation, account) AS e
 ON e.generation = h.generation AND e.account = h.account
 WHERE e.generation IS NULL OR e.reserves <> 1 OR e.reserved <> h.reserved
 OR e.charges <> (CASE WHEN h.settled = 'charged' THEN 1 ELSE 0 END) OR COALESCE(e.charged, 0) <> h.charged
 OR e.releases <> (CASE WHEN h.settled IN ('released', 'expired') THEN 1 ELSE 0 END)
 OR COALESCE(e.released, h.released) <> h.released
 OR e.refunds <> (CASE WHEN h.refunded > 0 THEN 1 ELSE 0 END) OR COALESCE(e.refunded, 0) <> h.refunded""",
    ),
    Check(
        "settlement",
        "A hold is open, or settled entirely and one way; nothing is over-settled or over-refunded.",
        """SELECT generation, 'amounts do not fit' FROM bsguard_hold WHERE NOT (reserved > 0 AND charged >= 0
 AND released >= 0 AND charged + released <= reserved AND refunded >= 0 AND refunded <= charged)
 OR (settled IS NULL AND charged + released <> 0) OR (settled IS NOT NULL AND charged + released <> reserved)""",
    ),
    Check(
        "orphan",
        "Every entry has its account, hold and grant, and every settlement and refund the entry that it settles.",
        """SELECT e.account || '#' || CAST(e.seq AS VARCHAR(20)), e.type || ' refers to nothing' FROM bsguard_entry e
 WHERE NOT EXISTS (SELECT 1 FROM bsguard_account a WHERE a.account = e.account)
 OR (e.generation IS NOT NULL AND NOT EXISTS
 (SELECT 1 FROM bsguard_hold h WHERE h.generation = e.generation AND h.account = e.account))
 OR (e.settles_type IS NOT NULL AND NOT EXISTS (SELECT 1 FROM bsguard_entry s WHERE s.generation = e.generation
 AND s.account = e.account AND s.type = e.settles_type AND s.amount = e.settles_amount AND s.seq < e.seq))
 OR (e.grant_seq IS NOT NULL AND NOT EXISTS
 (SELECT 1 FROM bsguard_grant g WHERE g.account = e.account AND g.grant_seq = e.grant_seq))
 OR (e.type IN ('charge', 'release', 'refund') AND e.settles_type IS NULL)""",
    ),
    Check(
        "granted",
        "What an account has from grants is the sum of what its grants have left.",
        """SELECT a.account, 'granted is ' || CAST(a.granted AS VARCHAR(20)) || ', grants have '
 || CAST(COALESCE(g.remaining, 0) AS VARCHAR(40))
 FROM bsguard_account a LEFT JOIN (SELECT account, SUM(remaining) AS remaining FROM bsguard_grant
 GROUP BY account) AS g ON g.account = a.account WHERE a.granted <> COALESCE(g.remaining, 0)""",
    ),
    Check(
        "grant",
        "What is left of a grant is its amount, less what holds took and did not return, less what expired.",
        """SELECT g.account || '#' || CAST(g.grant_seq AS VARCHAR(20)), 'left is ' || CAST(g.remaining AS VARCHAR(20))
 FROM bsguard_grant g LEFT JOIN bsguard_entry origin ON origin.account = g.account AND origin.seq = g.grant_seq
 AND origin.type = 'grant' AND origin.amount = g.amount LEFT JOIN (SELECT b.account, b.grant_seq,
 SUM(CASE WHEN h.kept >= b.burn_from + b.amount THEN b.amount WHEN h.kept > b.burn_from THEN h.kept - b.burn_from
 ELSE 0 END) AS taken FROM bsguard_burn b JOIN (SELECT generation,
 CASE WHEN settled IS NULL THEN reserved ELSE charged - refunded END AS kept FROM bsguard_hold) AS h
 ON h.generation = b.generation GROUP BY b.account, b.grant_seq) AS t
 ON t.account = g.account AND t.grant_seq = g.grant_seq LEFT JOIN (SELECT account, grant_seq, SUM(amount) AS expired
 FROM bsguard_entry WHERE type = 'expire' GROUP BY account, grant_seq) AS x
 ON x.account = g.account AND x.grant_seq = g.grant_seq
 WHERE origin.account IS NULL OR g.remaining <> g.amount - COALESCE(t.taken, 0) - COALESCE(x.expired, 0)
 OR g.remaining < 0""",
    ),
    Check(
        "burn",
        "What a hold took from grants starts at its first credit, has no gaps, and is not more than the hold.",
        """SELECT generation, 'grant ' || CAST(grant_seq AS VARCHAR(20)) || ' does not continue' FROM (
 SELECT b.generation, b.grant_seq, b.burn_from, b.amount, b.account, h.reserved, h.account AS owner,
 LAG(b.burn_from + b.amount, 1, 0) OVER (PARTITION BY b.generation ORDER BY b.burn_from) AS last_end
 FROM bsguard_burn b LEFT JOIN bsguard_hold h ON h.generation = b.generation) AS parts
 WHERE owner IS NULL OR owner <> account OR burn_from <> last_end OR burn_from + amount > reserved""",
    ),
    Check(
        "floor",
        "No account is below its floor, with or without its grants.",
        """SELECT account, 'available ' || CAST(available AS VARCHAR(20)) || ', floor ' || CAST(floor AS VARCHAR(20))
 FROM bsguard_account WHERE available - granted < floor OR reserved < 0 OR granted < 0""",
    ),
)

# Needs 64 bits only for the difference, not for the sums: two halves are summed apart. Debits equal credits over all
# accounts, which follows from the checks above and is proved once more from the other end.
_TRIAL: Final = """SELECT SUM(available_change >> 32), SUM(available_change & 4294967295), SUM(reserved_change >> 32),
 SUM(reserved_change & 4294967295) FROM bsguard_entry"""
_HELD: Final = """SELECT SUM(available >> 32), SUM(available & 4294967295), SUM(reserved >> 32),
 SUM(reserved & 4294967295) FROM bsguard_account"""


def audit(execution: Execution, limit: int) -> tuple[Finding, ...]:
    """All findings, at most *limit* for each check."""
    most = count_of("limit", limit, FINDINGS_MAX)
    return execution.reading(lambda connection: tuple(_find(connection, most)))


def _find(connection: Connection, limit: int) -> Iterator[Finding]:
    yield from _schema(connection)
    for check in CHECKS:
        query = text(f"{check.sql} LIMIT :most").bindparams(bindparam("most", limit))
        for row in connection.execute(query):
            yield Finding(check.name, str(row[0]), str(row[1]))
    entries, accounts = (_totals(connection, sql) for sql in (_TRIAL, _HELD))
    if entries != accounts:
        yield Finding("trial_balance", "all accounts", f"entries move {entries}, accounts have {accounts}")


def _totals(connection: Connection, sql: str) -> tuple[int, int]:
    high, low, reserved_high, reserved_low = (int(part or 0) for part in connection.execute(text(sql)).one())
    return (high << 32) + low, (reserved_high << 32) + reserved_low


def _schema(connection: Connection) -> Iterator[Finding]:
    """Indexes, constraints and triggers that a hand may have dropped: without them the ledger may be right by luck."""
    present = set(connection.execute(text(_PRESENT[connection.dialect.name])).scalars())
    words = " ".join(present)
    for kind, name in _wanted(connection.dialect.name):
        # SQLite keeps a constraint only within the text of its table.
        found = name in present if connection.dialect.name == "postgresql" or kind != "constraint" else name in words
        if not found:
            yield Finding("schema", name, f"the {kind} is missing")


def _wanted(dialect: str) -> Iterator[tuple[str, str]]:
    for table in metadata.sorted_tables:
        yield from (("index", str(index.name)) for index in table.indexes if index.unique)
        names = (str(constraint.name) for constraint in table.constraints)
        yield from (("constraint", name) for name in names if dialect == "sqlite" or not name.endswith("_whole"))
    yield from (("trigger", name) for name in TRIGGERS[dialect])


_TABLES: Final = ", ".join(f"'{table.name}'::regclass" for table in metadata.sorted_tables)
_PRESENT: Final = {
    # For tables the text too, which has the constraints; an index that is no longer unique is not there.
    "sqlite": """SELECT CASE type WHEN 'table' THEN sql ELSE name END FROM sqlite_master
 WHERE tbl_name LIKE 'bsguard_%' AND (type <> 'index' OR sql LIKE 'CREATE UNIQUE%')""",
    "postgresql": f"""
 SELECT conname::text FROM pg_constraint WHERE convalidated AND conrelid IN ({_TABLES})
 UNION ALL SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE i.indisunique AND i.indisvalid AND i.indrelid IN ({_TABLES})
 UNION ALL SELECT tgname::text FROM pg_trigger WHERE tgenabled <> 'D' AND tgrelid IN ({_TABLES})""",  # noqa: S608 - names of our own
}

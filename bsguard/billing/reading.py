"""Reading: holds, balances now and then, and the history in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, and_, cast, func, literal_column, or_, select

from bsguard.billing.amounts import count_of, datetime_of, moment_of, name_of
from bsguard.billing.chain import number, read, word
from bsguard.billing.errors import ArgumentInvalid, UnknownAccount
from bsguard.billing.outcomes import Balance, Entry, Hold, Page
from bsguard.billing.schema import account as accounts
from bsguard.billing.schema import entry, grant, hold

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Dialect

    from bsguard.billing.chain import Plan
    from bsguard.billing.execution import Execution
    from bsguard.billing.runner import Answer

#: Entries in one page: small enough to hold in memory, large enough that a year of a busy account is a few calls.
PAGE_MAX: Final = 1_000

_HOLD: Final = ("generation", "account", "reserved", "charged", "released", "refunded", "settled", "expires_at")
_ENTRY: Final = tuple(column.name for column in entry.c)


def hold_of(execution: Execution, generation: str) -> Hold | None:
    """The hold of *generation*."""
    found = execution.read(execution.plan("hold", _hold_plan), {"generation": generation})
    return _hold(found[0]) if found else None


def _hold(row: Answer) -> Hold:
    expires_at = row["expires_at"]
    return Hold(**{**row, "expires_at": None if expires_at is None else datetime_of(expires_at)})


def open_holds(execution: Execution, account: str, limit: int) -> tuple[Hold, ...]:
    """The holds of *account* that are not settled."""
    values = {"account": name_of("account", account), "limit": count_of("limit", limit, PAGE_MAX)}
    return tuple(_hold(row) for row in execution.read(execution.plan("open_holds", _open_holds_plan), values))


def entry_of_generation(execution: Execution, generation: str, kind: str) -> Answer:
    """The ledger row of *generation* of one kind; it exists when the hold says so."""
    plan = execution.plan("entry_of_generation", _entry_of_generation_plan)
    return execution.read(plan, {"generation": generation, "type": kind})[0]


def entry_of_key(execution: Execution, account: str, key: str) -> Answer | None:
    """The ledger row that was written under an idempotency key."""
    found = execution.read(execution.plan("entry_of_key", _entry_of_key_plan), {"account": account, "key": key})
    return found[0] if found else None


def balance_of(execution: Execution, account: str, now: int) -> Balance:
    """The balance at this moment."""
    found = execution.read(execution.plan("balance", _balance_plan), {"account": account, "now": now})
    if not found:
        raise UnknownAccount(account)
    return Balance(account=account, **found[0])


def balance(execution: Execution, account: str, as_of: datetime | None) -> Balance:
    """The balance now, or as it was when *as_of* had passed."""
    name = name_of("account", account)
    if as_of is None:
        return balance_of(execution, name, execution.now())
    plan = execution.plan("balance_as_of", _balance_as_of_plan)
    found = execution.read(plan, {"account": name, "moment": moment_of("as_of", as_of)})
    if not found:
        raise UnknownAccount(account)
    row = found[0]
    amounts = {"available": row["available"] or 0, "reserved": row["reserved"] or 0}
    return Balance(account=name, floor=row["floor"], granted=None, lapsed=None, **amounts)


def history(execution: Execution, account: str, cursor: str | None, limit: int) -> Page:
    """One page of the history, newest first."""
    name = name_of("account", account)
    count = count_of("limit", limit, PAGE_MAX)
    values = {"account": name, "before": _position(cursor), "limit": count + 1}
    found = execution.read(execution.plan("history", _history_plan), values)
    if not found and cursor is None:
        balance_of(execution, name, execution.now())
    rows = found[:count]
    return Page(tuple(_entry(row) for row in rows), str(rows[-1]["seq"]) if len(found) > count else None)


def _position(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not isinstance(cursor, str) or not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise ArgumentInvalid("cursor", "is not one", "pass the cursor of the page before, or None for the first page")
    return int(cursor)


def _entry(row: Answer) -> Entry:
    return Entry(
        account=row["account"],
        seq=row["seq"],
        type=row["type"],
        amount=row["amount"],
        available_change=row["available_change"],
        reserved_change=row["reserved_change"],
        available=row["available"],
        reserved=row["reserved"],
        written_at=datetime_of(row["written_at"]),
        generation=row["generation"],
        grant=row["grant_seq"],
        key=row["idempotency_key"],
        actor=row["actor"],
        reason=row["reason"],
    )


def _hold_plan(dialect: Dialect) -> Plan:
    statement = select(*(hold.c[name] for name in _HOLD)).where(hold.c.generation == word("generation"))
    return read("hold", dialect, statement, _HOLD)


def _open_holds_plan(dialect: Dialect) -> Plan:
    mine = and_(hold.c.account == word("account"), hold.c.settled.is_(None))
    statement = select(*(hold.c[name] for name in _HOLD)).where(mine).order_by(hold.c.generation).limit(number("limit"))
    return read("open_holds", dialect, statement, _HOLD)


def _entry_of_generation_plan(dialect: Dialect) -> Plan:
    where = and_(entry.c.generation == word("generation"), entry.c.type == word("type"))
    return read("entry_of_generation", dialect, select(entry).where(where), _ENTRY)


def _entry_of_key_plan(dialect: Dialect) -> Plan:
    where = and_(entry.c.account == word("account"), entry.c.idempotency_key == word("key"))
    return read("entry_of_key", dialect, select(entry).where(where), _ENTRY)


def _balance_plan(dialect: Dialect) -> Plan:
    lapsed: Any = select(func.coalesce(cast(func.sum(grant.c.remaining), BigInteger), literal_column("0"))).where(
        and_(
            grant.c.account == accounts.c.account,
            grant.c.remaining > literal_column("0"),
            grant.c.expires_at <= number("now"),
        )
    )
    columns = accounts.c
    statement = select(
        columns.available,
        columns.reserved,
        columns.floor,
        columns.granted,
        lapsed.correlate(accounts).scalar_subquery().label("lapsed"),
    ).where(columns.account == word("account"))
    return read("balance", dialect, statement, ("available", "reserved", "floor", "granted", "lapsed"))


def _balance_as_of_plan(dialect: Dialect) -> Plan:
    # Entries of an account never go back in time, so the last one before the moment has the balance of that moment.
    last = (
        select(entry.c.available, entry.c.reserved)
        .where(and_(entry.c.account == word("account"), entry.c.written_at <= number("moment")))
        .order_by(entry.c.written_at.desc(), entry.c.seq.desc())
        .limit(literal_column("1"))
        .subquery("last")
    )
    source = accounts.outerjoin(last, literal_column("1") == literal_column("1"))
    statement = (
        select(last.c.available, last.c.reserved, accounts.c.floor)
        .select_from(source)
        .where(accounts.c.account == word("account"))
    )
    return read("balance_as_of", dialect, statement, ("available", "reserved", "floor"))


def _history_plan(dialect: Dialect) -> Plan:
    older = or_(number("before").is_(None), entry.c.seq < number("before"))
    statement = (
        select(entry)
        .where(and_(entry.c.account == word("account"), older))
        .order_by(entry.c.seq.desc())
        .limit(number("limit"))
    )
    return read("history", dialect, statement, _ENTRY)

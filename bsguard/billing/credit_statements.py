"""Accounts and what is put into them, as SQL expressions: open, set_floor, topup, grant, adjust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bsguard.billing.chain import Chain, number, word
from bsguard.billing.schema import account, entry, grant
from bsguard.billing.statements import BEFORE, NOTHING, ONE, answer_of, move, record

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Dialect, FromClause

    from bsguard.billing.chain import Plan


def topup(dialect: Dialect) -> Plan:
    """Add bought credits."""
    return _credit(dialect, "topup")


def give(dialect: Dialect) -> Plan:
    """Add granted credits."""
    return _credit(dialect, "grant")


def adjust(dialect: Dialect) -> Plan:
    """Add or take what a person says."""
    return _credit(dialect, "adjust")


def _credit(dialect: Dialect, kind: str) -> Plan:
    """Change what is available by a topup, a grant or an adjustment, once for each idempotency key."""
    chain = Chain(kind, dialect)
    amount, key = number("amount"), word("key")
    used = exists(select(ONE).where(entry.c.account == word("account"), entry.c.idempotency_key == key))
    gate = and_(account.c.account == word("account"), ~used)
    changes = {"available": amount}
    if kind == "grant":
        changes["granted"] = amount
    if kind == "adjust":
        gate = and_(gate, account.c.available - account.c.granted + amount >= account.c.floor)
    moved = move(chain, gate, **changes)
    row: dict[str, ColumnElement[Any]] = {
        "amount": amount,
        "available_change": amount,
        "reserved_change": NOTHING,
        "idempotency_key": key,
        "parameters_sha256": word("parameters_sha256"),
    }
    if kind == "grant":
        row["grant_seq"] = moved.seq
        values: dict[str, ColumnElement[Any]] = {
            "account": moved.account,
            "grant_seq": moved.seq,
            "amount": amount,
            "remaining": amount,
            "priority": number("priority"),
            "expires_at": number("expires_at"),
        }
        given = select(*(value.label(name) for name, value in values.items()))
        chain.also("given", insert(grant).from_select(list(values), given, include_defaults=False), grant.c.grant_seq)
    if kind == "adjust":
        row |= {"actor": word("actor"), "reason": word("reason")}
    record(chain, moved, kind, row)
    answer = answer_of(moved, **BEFORE, known=used)
    base: FromClause = account
    return chain.finish(answer, base, account.c.account == word("account"))


def set_floor(dialect: Dialect) -> Plan:
    """Change how far an account may fall, unless it is below that already."""
    chain = Chain("set_floor", dialect)
    gate = and_(account.c.account == word("account"), account.c.available - account.c.granted >= number("floor"))
    moved = chain.one("moved", update(account).where(gate).values(floor=number("floor")), account.c.floor)
    answer = {"floor": moved.floor, **BEFORE}
    return chain.finish(answer, account, account.c.account == word("account"))


def open_account(dialect: Dialect) -> Plan:
    """Make an account unless it is there. Nothing depends on this insertion, so that a conflict may pass silently."""
    insertion = postgresql.insert(account) if dialect.name == "postgresql" else sqlite.insert(account)
    zero = dict.fromkeys(("available", "reserved", "granted", "seq"), NOTHING)
    values = {"account": word("account"), "floor": number("floor"), "changed_at": number("now"), **zero}
    chain = Chain("open", dialect)
    opened = chain.one("opened", insertion.values(values).on_conflict_do_nothing(), account.c.floor)
    return chain.finish(
        {"opened": opened.floor, "floor": account.c.floor}, account, account.c.account == word("account")
    )

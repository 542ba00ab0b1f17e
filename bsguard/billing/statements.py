"""The changes that move credits, as SQL expressions. The heart of the ledger: read it with ``schema`` beside it.

Order of locks in every statement: hold, then account, then grants. The conditional update is the admission decision;
nothing is decided by a value that was read before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, and_, case, cast, exists, func, insert, literal_column, null, or_, select, update

from bsguard.billing.chain import Chain, number, word
from bsguard.billing.schema import account, burn, entry, grant, hold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import ColumnElement, Dialect

    from bsguard.billing.chain import Plan

ONE: Final[ColumnElement[int]] = literal_column("1", BigInteger)
NOTHING: Final[ColumnElement[int]] = literal_column("0", BigInteger)

#: What an answer tells of the account as it was before, to say why nothing was done.
BEFORE: Final = {
    "before_available": account.c.available,
    "before_floor": account.c.floor,
    "before_granted": account.c.granted,
}


def constant(text: str) -> ColumnElement[Any]:
    """A text that is part of the statement rather than sent with every call."""
    return literal_column(f"'{text}'")


def larger(one: ColumnElement[int], other: ColumnElement[int]) -> ColumnElement[int]:
    """The larger of two; both engines have a function for it, under different names."""
    return case((one > other, one), else_=other)


def smaller(one: ColumnElement[int], other: ColumnElement[int]) -> ColumnElement[int]:
    """The smaller of two."""
    return case((one < other, one), else_=other)


def move(chain: Chain, where: ColumnElement[bool], **changes: ColumnElement[int]) -> Any:
    """The update of one account that every operation makes: balances by *changes*, and the next number."""
    values: dict[str, Any] = {name: account.c[name] + change for name, change in changes.items()}
    values["seq"] = account.c.seq + ONE
    values["changed_at"] = larger(account.c.changed_at, number("now"))
    columns = account.c
    return chain.one(
        "moved",
        update(account).where(where).values(values),
        columns.account,
        columns.available,
        columns.reserved,
        columns.seq,
        columns.changed_at,
    )


def record(chain: Chain, moved: Any, kind: str, values: Mapping[str, ColumnElement[Any]]) -> None:
    """The row of the ledger that tells what *moved*."""
    row: dict[str, Any] = {
        "account": moved.account,
        "seq": moved.seq,
        "type": constant(kind),
        "available": moved.available,
        "reserved": moved.reserved,
        "written_at": moved.changed_at,
        **values,
    }
    source = select(*(value.label(name) for name, value in row.items()))
    chain.also("recorded", insert(entry).from_select(list(row), source, include_defaults=False), entry.c.seq)


def answer_of(moved: Any, **more: ColumnElement[Any]) -> dict[str, ColumnElement[Any]]:
    """What a runner tells about a successful move; all null when the gate was closed."""
    return {
        "available": moved.available,
        "reserved": moved.reserved,
        "seq": moved.seq,
        **more,
    }


def _known(generation: ColumnElement[str]) -> ColumnElement[bool]:
    # Saves the abort of a replay. The guarantee is the primary key of the hold: this sees only what was committed
    # before the statement began.
    return exists(select(ONE).where(hold.c.generation == generation))


def _set_aside(chain: Chain, moved: Any) -> None:
    values: dict[str, Any] = {
        "generation": word("generation"),
        "account": moved.account,
        "reserved": number("amount"),
        "charged": NOTHING,
        "released": NOTHING,
        "refunded": NOTHING,
        "expires_at": number("expires_at"),
    }
    source = select(*(value.label(name) for name, value in values.items()))
    chain.also("held", insert(hold).from_select(list(values), source, include_defaults=False), hold.c.generation)
    changes = {
        "generation": word("generation"),
        "amount": number("amount"),
        "available_change": -number("amount"),
        "reserved_change": number("amount"),
    }
    record(chain, moved, "reserve", changes)


def reserve(dialect: Dialect) -> Plan:
    """Reserve for an account without grants: the conditional update, the hold and the ledger row."""
    chain = Chain("reserve", dialect)
    amount = number("amount")
    gate = and_(
        account.c.account == word("account"),
        account.c.granted == NOTHING,
        account.c.available - amount >= account.c.floor,
        ~_known(word("generation")),
    )
    moved = move(chain, gate, available=-amount, reserved=amount)
    _set_aside(chain, moved)
    return _finish_reserve(chain, moved, lapsed=NOTHING)


def reserve_granted(dialect: Dialect) -> Plan:
    """Reserve for an account with grants: those that burn first give first, what they lack was bought.

    The grants are read by the statement, so they are as old as its snapshot, while the account's row may be newer when
    the statement had to wait for it. Grants change only together with the account's number: if that is another one now,
    nothing is done, and the caller comes again.
    """
    chain = Chain("reserve_granted", dialect)
    amount = number("amount")
    mine = and_(grant.c.account == word("account"), grant.c.remaining > NOTHING)
    live = or_(grant.c.expires_at.is_(None), grant.c.expires_at > number("now"))
    order = (grant.c.priority, grant.c.expires_at.is_(None), grant.c.expires_at, grant.c.grant_seq)
    total = cast(func.sum(grant.c.remaining).over(order_by=order, rows=(None, 0)), BigInteger)
    lots = (
        select(grant.c.grant_seq, grant.c.remaining, (total - grant.c.remaining).label("burn_from"))
        .where(mine, live)
        .subquery("lots")
    )
    part = smaller(lots.c.remaining, amount - lots.c.burn_from)
    taken = select(func.coalesce(cast(func.sum(part), BigInteger), NOTHING)).where(lots.c.burn_from < amount)
    lapsed = select(func.coalesce(cast(func.sum(grant.c.remaining), BigInteger), NOTHING)).where(mine, ~live)
    gate = and_(
        account.c.account == word("account"),
        account.c.available - lapsed.scalar_subquery() - amount >= account.c.floor,
        ~_known(word("generation")),
        _unchanged(word("account")),
    )
    moved = move(chain, gate, available=-amount, reserved=amount, granted=-taken.scalar_subquery())
    _set_aside(chain, moved)
    burnt = select(word("generation"), moved.account, lots.c.grant_seq, lots.c.burn_from, part.label("amount")).where(
        lots.c.burn_from < amount
    )
    names = ["generation", "account", "grant_seq", "burn_from", "amount"]
    burning = chain.many(
        "burning",
        insert(burn).from_select(names, burnt, include_defaults=False),
        burn,
        burn.c.generation,
        burn.c.account,
        burn.c.grant_seq,
        burn.c.amount,
    )
    mine_now = and_(
        burning.generation == word("generation"),
        grant.c.account == burning.account,
        grant.c.grant_seq == burning.grant_seq,
    )
    spend = update(grant).where(mine_now).values(remaining=grant.c.remaining - burning.amount)
    chain.also("burnt", spend, grant.c.grant_seq)
    return _finish_reserve(chain, moved, lapsed=lapsed.scalar_subquery())


def _unchanged(name: ColumnElement[str]) -> ColumnElement[bool]:
    seen = account.alias("seen")
    return account.c.seq == select(seen.c.seq).where(seen.c.account == name).scalar_subquery()


def _finish_reserve(chain: Chain, moved: Any, lapsed: ColumnElement[int]) -> Plan:
    before = {**BEFORE, "before_lapsed": lapsed, "known": _known(word("generation"))}
    answer = answer_of(moved, **before)
    return chain.finish(answer, account, account.c.account == word("account"))


def _overlap(begin: ColumnElement[int], end: ColumnElement[int]) -> ColumnElement[int]:
    """How much of a burned part lies in the interval of credits that is given back."""
    part_end = burn.c.burn_from + burn.c.amount
    return smaller(part_end, end) - larger(burn.c.burn_from, begin)


def _settle(
    chain: Chain,
    kind: str,
    gate: ColumnElement[bool],
    values: Mapping[str, ColumnElement[Any]],
    tell: Callable[[Any], Mapping[str, ColumnElement[Any]]],
) -> Plan:
    """Settle a hold by compare-and-set. *tell* says, from the settled hold, what the ledger row records."""
    columns = hold.c
    settled = chain.one(
        "settled",
        update(hold).where(and_(hold.c.generation == word("generation"), _owned(), gate)).values(values),
        columns.generation,
        columns.account,
        columns.reserved,
        columns.charged,
        columns.released,
        columns.refunded,
    )
    told = dict(tell(settled))
    begin, end = told.pop("begin"), told.pop("end")
    overlap = _overlap(begin, end)
    touched = and_(burn.c.generation == settled.generation, overlap > NOTHING)
    back = select(func.coalesce(cast(func.sum(overlap), BigInteger), NOTHING)).where(touched)
    if chain.single:
        back = back.correlate(settled.generation.table)
    moved = move(
        chain,
        account.c.account == settled.account,
        available=told["available_change"],
        reserved=told["reserved_change"],
        granted=back.scalar_subquery(),
    )
    mine = and_(touched, grant.c.account == burn.c.account, grant.c.grant_seq == burn.c.grant_seq)
    # Naming what moved makes the grants wait for the account's lock.
    returned = update(grant).where(and_(mine, moved.account == grant.c.account))
    chain.also("returned", returned.values(remaining=grant.c.remaining + overlap), grant.c.grant_seq)
    record(chain, moved, kind, {"generation": settled.generation, **told})
    answer = answer_of(moved, account=settled.account, amount=told["amount"], given_back=told["available_change"])
    if chain.single:
        return chain.finish(answer, settled.generation.table, settled.generation.is_not(None))
    return chain.finish(answer, hold, hold.c.generation == null())


def charge(dialect: Dialect) -> Plan:
    """Charge what was used; the rest of the hold is available again by the same row."""
    actual = number("amount")

    def tell(settled: Any) -> dict[str, ColumnElement[Any]]:
        return {
            "amount": settled.charged,
            "available_change": settled.released,
            "reserved_change": -settled.reserved,
            "settles_type": constant("reserve"),
            "settles_amount": settled.reserved,
            "begin": settled.charged,
            "end": settled.reserved,
        }

    values = {"charged": actual, "released": hold.c.reserved - actual, "settled": constant("charged")}
    gate = and_(hold.c.settled.is_(None), actual <= hold.c.reserved)
    return _settle(Chain("charge", dialect), "charge", gate, values, tell)


def release(dialect: Dialect) -> Plan:
    """Give a hold back."""
    return _release(dialect, "release", "released")


def release_as_expired(dialect: Dialect) -> Plan:
    """Give a hold back because the caller says that its time is over."""
    return _release(dialect, "release_as_expired", "expired")


def expire_hold(dialect: Dialect) -> Plan:
    """Give a hold back if its time is over and nobody has moved its end."""
    return _release(dialect, "expire_hold", "expired", hold.c.expires_at <= number("now"))


def _release(dialect: Dialect, name: str, settled_as: str, *only_if: ColumnElement[bool]) -> Plan:
    def tell(settled: Any) -> dict[str, ColumnElement[Any]]:
        return {
            "amount": settled.released,
            "available_change": settled.released,
            "reserved_change": -settled.reserved,
            "settles_type": constant("reserve"),
            "settles_amount": settled.reserved,
            "begin": NOTHING,
            "end": settled.reserved,
        }

    values = {"released": hold.c.reserved, "settled": constant(settled_as)}
    return _settle(Chain(name, dialect), "release", and_(hold.c.settled.is_(None), *only_if), values, tell)


def extend(dialect: Dialect) -> Plan:
    """Move the end of an open hold."""
    chain = Chain("extend", dialect)
    gate = and_(hold.c.generation == word("generation"), hold.c.settled.is_(None), _owned())
    moved = chain.one("moved", update(hold).where(gate).values(expires_at=number("expires_at")), hold.c.generation)
    return chain.finish({"generation": moved.generation}, account, account.c.account == null())


def _owned() -> ColumnElement[bool]:
    return or_(word("account").is_(None), hold.c.account == word("account"))


def refund(dialect: Dialect) -> Plan:
    """Give back a charge, or the last part of it: bought credits burned last and come back first."""
    asked = func.coalesce(number("amount"), hold.c.charged, type_=BigInteger)

    def tell(settled: Any) -> dict[str, ColumnElement[Any]]:
        return {
            "amount": settled.refunded,
            "available_change": settled.refunded,
            "reserved_change": NOTHING,
            "settles_type": constant("charge"),
            "settles_amount": settled.charged,
            "begin": settled.charged - settled.refunded,
            "end": settled.charged,
        }

    gate = and_(hold.c.settled == constant("charged"), hold.c.refunded == NOTHING, asked <= hold.c.charged)
    return _settle(Chain("refund", dialect), "refund", gate, {"refunded": asked}, tell)


def expire_grant(dialect: Dialect) -> Plan:
    """Take back what nobody burned of a grant whose time is over. As with reserving, only if nothing else happened."""
    chain = Chain("expire_grant", dialect)
    this = and_(grant.c.account == word("account"), grant.c.grant_seq == number("grant_seq"))
    due = and_(this, grant.c.remaining > NOTHING, grant.c.expires_at <= number("now"))
    left = select(grant.c.remaining).where(due).scalar_subquery()
    gate = and_(account.c.account == word("account"), left.is_not(None), _unchanged(word("account")))
    columns = account.c
    values: dict[str, Any] = {
        "available": columns.available - left,
        "granted": columns.granted - left,
        "seq": columns.seq + ONE,
        "changed_at": larger(columns.changed_at, number("now")),
    }
    returning = (columns.account, columns.available, columns.reserved, columns.seq, columns.changed_at)
    moved = chain.one("moved", update(account).where(gate).values(values), *returning)
    source = {
        "account": moved.account,
        "seq": moved.seq,
        "type": constant("expire"),
        "amount": grant.c.remaining,
        "available_change": -grant.c.remaining,
        "reserved_change": NOTHING,
        "available": moved.available,
        "reserved": moved.reserved,
        "written_at": moved.changed_at,
        "grant_seq": grant.c.grant_seq,
    }
    row = select(*(value.label(name) for name, value in source.items())).where(due)
    written = insert(entry).from_select(list(source), row, include_defaults=False)
    recorded = chain.one("recorded", written, entry.c.amount)
    emptied = update(grant).where(and_(due, grant.c.account == moved.account)).values(remaining=NOTHING)
    chain.also("emptied", emptied, grant.c.grant_seq)
    answer = answer_of(moved, unburned=recorded.amount)
    return chain.finish(answer, account, account.c.account == word("account"))

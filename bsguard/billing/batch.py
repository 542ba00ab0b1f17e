"""Many reservations of one account in one statement: those at the front that fit, exactly.

On PostgreSQL the account is locked first, so that what fits is decided on its newest row; on SQLite they are single
reservations in one transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    String,
    and_,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
    update,
)

from bsguard.billing import statements
from bsguard.billing.chain import Plan, limited_wait, number, prepare, word
from bsguard.billing.errors import BillingError, InsufficientCredits, UnknownAccount
from bsguard.billing.execution import Duplicate, OutOfBounds
from bsguard.billing.outcomes import Reserved
from bsguard.billing.schema import account, entry, hold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Dialect

    from bsguard.billing.execution import Execution
    from bsguard.billing.ledger import Ledger
    from bsguard.billing.runner import Answer

#: Generation, amount, and when the hold ends.
Wish = tuple[str, int, int | None]

_NOTHING: Final = literal_column("0", BigInteger)
_COLUMNS: Final = ("place", "available", "reserved", "seq", "left_over", "granted", "known")


def reserve_many(ledger: Ledger, name: str, wishes: Sequence[Wish]) -> list[Reserved | BillingError | None]:
    """Answer the *wishes* in their order, each as if it had been made alone; None for those to ask again."""
    execution = ledger._execution
    if len(wishes) == 1:
        return [_alone(ledger, name, wishes[0])]
    if execution.runner.dialect.name == "sqlite":
        return _one_by_one(ledger, execution, name, wishes)
    values = {
        "account": name,
        "generations": [wish[0] for wish in wishes],
        "amounts": [wish[1] for wish in wishes],
        "ends": [wish[2] for wish in wishes],
        "now": execution.now(),
    }
    try:
        rows = execution.read(execution.plan("reserve_many", _reserve_many), values, operation="reserve")
    except (Duplicate, OutOfBounds):
        # Somebody else reserved one of them meanwhile, which undid all.
        return [_alone(ledger, name, wish) for wish in wishes]
    if not rows:
        return [UnknownAccount(name) for _ in wishes]
    if rows[0]["granted"]:
        return [_alone(ledger, name, wish) for wish in wishes]
    told = {row["place"]: row for row in rows}
    return [_answer(ledger, name, wish, told[place]) for place, wish in enumerate(wishes, 1)]


def _answer(ledger: Ledger, name: str, wish: Wish, row: Answer) -> Reserved | BillingError | None:
    generation, amount, _ = wish
    if row["seq"] is not None:
        told = {key: row[key] for key in ("available", "reserved", "seq")}
        return Reserved(account=name, generation=generation, amount=amount, **told)
    if row["known"]:
        return _alone(ledger, name, wish)
    # Behind one that did not fit. What fits into the rest is asked again; the others come after it in any case.
    return None if amount <= row["left_over"] else InsufficientCredits(name, amount, row["left_over"])


def _alone(ledger: Ledger, name: str, wish: Wish) -> Reserved | BillingError:
    from bsguard.billing.settling import reserve_at

    try:
        return reserve_at(ledger._execution, name, *wish)
    except BillingError as error:
        return error


def _one_by_one(
    ledger: Ledger, execution: Execution, name: str, wishes: Sequence[Wish]
) -> list[Reserved | BillingError | None]:
    plan = execution.plan("reserve", statements.reserve)
    now = execution.now()
    each = [
        {"account": name, "generation": generation, "amount": amount, "expires_at": ends, "now": now}
        for generation, amount, ends in wishes
    ]
    try:
        answers = execution.run_each("reserve", plan, each)
    except (Duplicate, OutOfBounds):
        return [_alone(ledger, name, wish) for wish in wishes]
    return [
        Reserved(
            account=name,
            generation=wish[0],
            amount=wish[1],
            available=answer["available"],
            reserved=answer["reserved"],
            seq=answer["seq"],
        )
        if answer is not None and answer["seq"] is not None
        else _alone(ledger, name, wish)
        for wish, answer in zip(wishes, answers, strict=True)
    ]


def _reserve_many(dialect: Dialect) -> Plan:
    """The statement: lock, number the wishes, add up, and take those up to the first that does not fit.

    Longer than other functions, because it is one statement and is read as one.
    """
    mine = and_(account.c.account == word("account"), limited_wait())
    locked = select(account).where(mine).with_for_update(key_share=True).cte("locked")
    wishes = _unnested()
    # A scalar subquery, because it is looked up in the index for each wish. NOT EXISTS becomes a join with the whole
    # table of holds where the plan was made while that was small, and PostgreSQL keeps the plan while it grows.
    known = select(hold.c.generation).where(hold.c.generation == wishes.c.generation).scalar_subquery()
    fresh = (
        select(wishes, func.sum(wishes.c.amount).over(order_by=wishes.c.place, rows=(None, 0)).label("total"))
        .where(known.is_(None))
        .cte("fresh")
    )
    room = locked.c.available - locked.c.floor
    # Numbered again: the number in the ledger follows those that are taken, and they are the first ones.
    rank = func.row_number().over(order_by=fresh.c.place)
    taken = (
        select(fresh, rank.label("rank")).where(and_(fresh.c.total <= room, locked.c.granted == _NOTHING)).cte("taken")
    )
    amount = cast(func.coalesce(func.sum(taken.c.amount), _NOTHING), BigInteger)
    spent = select(amount.label("amount"), func.count(taken.c.amount).label("count")).cte("spent")
    moved = (
        update(account)
        .where(and_(account.c.account == locked.c.account, spent.c.count > _NOTHING))
        .values(
            available=account.c.available - spent.c.amount,
            reserved=account.c.reserved + spent.c.amount,
            seq=account.c.seq + spent.c.count,
            changed_at=statements.larger(account.c.changed_at, number("now")),
        )
        .returning(account.c.account, account.c.changed_at)
        .cte("moved")
    )
    held_values: dict[str, Any] = {
        "generation": taken.c.generation,
        "account": moved.c.account,
        "reserved": taken.c.amount,
        "charged": _NOTHING,
        "released": _NOTHING,
        "refunded": _NOTHING,
        "expires_at": taken.c.ends,
    }
    held = insert(hold).from_select(list(held_values), select(*held_values.values()), include_defaults=False)
    total = cast(taken.c.total, BigInteger)
    entry_values: dict[str, Any] = {
        "account": moved.c.account,
        "seq": locked.c.seq + taken.c.rank,
        "type": statements.constant("reserve"),
        "generation": taken.c.generation,
        "amount": taken.c.amount,
        "available_change": -taken.c.amount,
        "reserved_change": taken.c.amount,
        "available": locked.c.available - total,
        "reserved": locked.c.reserved + total,
        "written_at": moved.c.changed_at,
    }
    row = insert(entry).from_select(list(entry_values), select(*entry_values.values()), include_defaults=False)
    written = row.returning(entry.c.generation, entry.c.seq, entry.c.available, entry.c.reserved).cte("written")
    answer = (
        select(
            wishes.c.place,
            written.c.available,
            written.c.reserved,
            written.c.seq,
            (room - spent.c.amount).label("left_over"),
            locked.c.granted,
            fresh.c.place.is_(None).label("known"),
        )
        .select_from(
            wishes.join(locked, literal_column("true"))
            .join(spent, literal_column("true"))
            .outerjoin(fresh, fresh.c.place == wishes.c.place)
            .outerjoin(written, written.c.generation == wishes.c.generation)
        )
        .add_cte(held.returning(hold.c.generation).cte("held"))
    )
    return Plan("reserve_many", (), prepare(answer, dialect), _COLUMNS)


def _unnested() -> Any:
    arrays = func.unnest(
        bindparam("generations", type_=ARRAY(String())),
        bindparam("amounts", type_=ARRAY(BigInteger())),
        bindparam("ends", type_=ARRAY(BigInteger())),
    )
    columns = (column("generation", String()), column("amount", BigInteger()), column("ends", BigInteger()))
    return arrays.table_valued(*columns, with_ordinality="place", name="wishes").render_derived()

"""What time ends: holds that nobody settled, and grants that nobody burned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, literal_column, select

from bsguard.billing import statements
from bsguard.billing.amounts import count_of
from bsguard.billing.chain import number, read
from bsguard.billing.execution import Duplicate
from bsguard.billing.outcomes import Expired
from bsguard.billing.schema import grant, hold

if TYPE_CHECKING:
    from sqlalchemy import Dialect

    from bsguard.billing.chain import Plan
    from bsguard.billing.execution import Execution

#: Holds and grants looked at by one call; each is a transaction of its own, so that nobody waits for all of them.
BATCH_MAX: Final = 10_000


def expire(execution: Execution, limit: int) -> Expired:
    """End what is due. Several may do this at once: each hold and grant is ended by one of them."""
    most = count_of("limit", limit, BATCH_MAX)
    values = {"now": execution.now(), "limit": most}
    holds = execution.read(execution.plan("due_holds", _due_holds), values)
    released = [_expire_hold(execution, row["generation"]) for row in holds]
    # Afterwards, as a hold may have given credits back to a grant that is over as well.
    grants = execution.read(execution.plan("due_grants", _due_grants), values)
    unburned = [_expire_grant(execution, row["account"], row["grant_seq"]) for row in grants]
    return Expired(
        holds=sum(amount > 0 for amount in released),
        released=sum(released),
        grants=sum(amount > 0 for amount in unburned),
        unburned=sum(unburned),
        more=len(holds) == most or len(grants) == most,
    )


def _expire_hold(execution: Execution, generation: str) -> int:
    values = {"generation": generation, "account": None, "amount": None, "now": execution.now()}
    try:
        answer = execution.run("expire", execution.plan("expire_hold", statements.expire_hold), values)
    except Duplicate:
        return 0
    return answer["amount"] if answer is not None else 0


def _expire_grant(execution: Execution, account: str, grant_seq: int) -> int:
    plan = execution.plan("expire_grant", statements.expire_grant)
    values = {"account": account, "grant_seq": grant_seq, "now": execution.now()}
    # The account's row first: what is left of the grant cannot change any more when it is read.
    answer = execution.run("expire", plan, values, lock=account)
    return answer["unburned"] or 0 if answer is not None else 0


def _due_holds(dialect: Dialect) -> Plan:
    due = and_(hold.c.settled.is_(None), hold.c.expires_at.is_not(None), hold.c.expires_at <= number("now"))
    statement = select(hold.c.generation).where(due).order_by(hold.c.expires_at).limit(number("limit"))
    return read("due_holds", dialect, statement, ("generation",))


def _due_grants(dialect: Dialect) -> Plan:
    left = grant.c.remaining > literal_column("0")
    due = and_(left, grant.c.expires_at.is_not(None), grant.c.expires_at <= number("now"))
    statement = select(grant.c.account, grant.c.grant_seq).where(due).order_by(grant.c.expires_at)
    return read("due_grants", dialect, statement.limit(number("limit")), ("account", "grant_seq"))

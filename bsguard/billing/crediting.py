"""Accounts and what is put into them: open, topup, grant, adjust. Each counts once for its idempotency key."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any, Final

from bsguard.billing import credit_statements as statements
from bsguard.billing.amounts import floor_of, moment_of, name_of, positive, priority_of, signed, text_of
from bsguard.billing.errors import (
    AlreadyOpen,
    BalanceTooLarge,
    Contention,
    InsufficientCredits,
    KeyConflict,
    UnknownAccount,
)
from bsguard.billing.execution import Duplicate, OutOfBounds
from bsguard.billing.outcomes import Adjusted, Granted, Opened, ToppedUp
from bsguard.billing.reading import balance_of, entry_of_key

if TYPE_CHECKING:
    from datetime import datetime

    from bsguard.billing.execution import Execution
    from bsguard.billing.runner import Answer, Values

#: Nobody else makes these, so a call without a key can still be repeated by ourselves when the database is lost.
_KEY_BYTES: Final = 16


def open_account(execution: Execution, account: str, floor: int) -> Opened:
    """Make an account."""
    name, lowest = name_of("account", account), floor_of(floor)
    answer = _open(execution, name, lowest)
    if answer["opened"] is not None:
        return Opened(account=name, floor=lowest)
    balance = balance_of(execution, name, execution.now())
    if balance.floor != lowest:
        raise AlreadyOpen(name, balance.floor)
    return Opened(account=name, floor=lowest, replayed=True)


def _open(execution: Execution, account: str, floor: int) -> Answer:
    values = {"account": account, "floor": floor, "now": execution.now()}
    return execution.run("open", execution.plan("open", statements.open_account), values) or {"opened": None}


def set_floor(execution: Execution, account: str, floor: int) -> Opened:
    """Change how far an account may fall."""
    values: Values = {"account": name_of("account", account), "floor": floor_of(floor)}
    answer = execution.run("set_floor", execution.plan("set_floor", statements.set_floor), values)
    if answer is None:
        raise UnknownAccount(account)
    if answer["floor"] is None:
        owed = answer["before_available"] - answer["before_granted"]
        raise InsufficientCredits(account, floor, owed)
    return Opened(account=account, floor=floor)


def topup(execution: Execution, account: str, amount: int, key: str | None) -> ToppedUp:
    """Add bought credits."""
    values = _values("topup", account, positive("amount", amount), key)
    row, replayed = _credit(execution, "topup", values)
    return ToppedUp(**row, key=values["key"], replayed=replayed)


def grant(
    execution: Execution, account: str, amount: int, expires_at: datetime | None, priority: int, key: str | None
) -> Granted:
    """Add given credits."""
    more = {
        "expires_at": None if expires_at is None else moment_of("expires_at", expires_at),
        "priority": priority_of(priority),
    }
    values = _values("grant", account, positive("amount", amount), key, **more)
    row, replayed = _credit(execution, "grant", values)
    return Granted(**row, key=values["key"], grant=row["seq"], replayed=replayed)


def adjust(execution: Execution, account: str, amount: int, actor: str, reason: str, key: str | None) -> Adjusted:
    """Correct a balance."""
    more = {"actor": text_of("actor", actor), "reason": text_of("reason", reason)}
    values = _values("adjust", account, signed("amount", amount), key, **more)
    row, replayed = _credit(execution, "adjust", values)
    return Adjusted(**row, key=values["key"], replayed=replayed)


def _values(kind: str, account: str, amount: int, key: str | None, **more: Any) -> Values:
    values: Values = {"account": name_of("account", account), "amount": amount, **more}
    told = json.dumps([kind, values], sort_keys=True, ensure_ascii=True)
    values["key"] = secrets.token_hex(_KEY_BYTES) if key is None else name_of("key", key)
    values["parameters_sha256"] = hashlib.sha256(told.encode()).hexdigest()
    return values


_MAKERS: Final = {
    "topup": statements.topup,
    "grant": statements.give,
    "adjust": statements.adjust,
}


def _credit(execution: Execution, kind: str, values: Values) -> tuple[dict[str, Any], bool]:
    account, amount, key = values["account"], values["amount"], values["key"]
    plan = execution.plan(kind, _MAKERS[kind])
    for _ in range(2):
        values["now"] = execution.now()
        try:
            answer = execution.run(kind, plan, values, key=key)
        except Duplicate:
            return _credited_before(execution, values)
        except OutOfBounds:
            raise BalanceTooLarge(account, amount) from None
        if answer is None and kind != "adjust":
            _open(execution, account, 0)
            continue
        break
    if answer is None:
        raise UnknownAccount(account)
    if answer["seq"] is not None:
        told = {name: answer[name] for name in ("available", "reserved", "seq")}
        return {"account": account, "amount": amount, **told}, False
    if answer["known"]:
        return _credited_before(execution, values)
    if amount > 0:
        raise Contention(f"key {key!r} is being used by somebody else")
    owned = answer["before_available"] - answer["before_granted"] - answer["before_floor"]
    raise InsufficientCredits(account, -amount, owned)


def _credited_before(execution: Execution, values: Values) -> tuple[dict[str, Any], bool]:
    row = entry_of_key(execution, values["account"], values["key"])
    if row is None:
        raise Contention(f"key {values['key']!r} is being used by somebody else")
    if row["parameters_sha256"] != values["parameters_sha256"]:
        raise KeyConflict(values["account"], values["key"])
    return {name: row[name] for name in ("account", "amount", "available", "reserved", "seq")}, True

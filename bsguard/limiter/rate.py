"""Rates as Flask-Limiter writes them: ``100/minute``, ``5 per 10 minutes``, ``10/second; 1000/hour``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bsguard.core.config import Wanted
from bsguard.stores.port import Rate

#: One unit may take as long as this to drain, and a counter can hold no more units than that.
PERIOD_SECONDS_MAX: Final = 366 * 86_400
AMOUNT_MAX: Final = 1_000_000_000

_FORM: Final = "a rate such as 100/minute, 5 per 10 minutes or 10/second; 1000/hour"


@dataclass(frozen=True, slots=True)
class Quota:
    """So many units in so many seconds: all at once if need be, and then evenly."""

    amount: int
    seconds: int

    @property
    def rate(self) -> Rate:
        """As the store counts it."""
        return Rate.of(self.amount, self.seconds)

    def __str__(self) -> str:
        return f"{self.amount} per {self.seconds} seconds"


def quotas(value: object) -> tuple[Quota, ...]:
    """One rate or several; :class:`Wanted` says what one looks like."""
    from limits import parse_many  # slow to load, and not needed for the defaults

    if not isinstance(value, str):
        raise Wanted(_FORM)
    try:
        items = parse_many(value)
    except ValueError:
        raise Wanted(_FORM) from None
    found = tuple(Quota(item.amount, item.get_expiry()) for item in items)
    if not all(0 < quota.amount <= AMOUNT_MAX and 0 < quota.seconds <= PERIOD_SECONDS_MAX for quota in found):
        raise Wanted(f"{_FORM}, with an amount from 1 to {AMOUNT_MAX:,} and a period of a year at most")
    return found


def quota(value: object) -> Quota:
    """Exactly one rate."""
    found = quotas(value)
    if len(found) != 1:
        raise Wanted("one rate such as 5 per 10 minutes")
    return found[0]

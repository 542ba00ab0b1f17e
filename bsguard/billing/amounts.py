"""What may come in: amounts, names and moments. All are integers or short texts before they meet the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from bsguard.billing.errors import ArgumentInvalid

if TYPE_CHECKING:
    from bsguard.core.clock import Clock

#: The largest amount and the largest balance, in either direction. One bit less than a signed 64-bit integer holds, so
#: that the sum of two of them never overflows: PostgreSQL would refuse it, SQLite would silently turn it into a float.
AMOUNT_MAX: Final = 2**62 - 1

#: Account, generation and idempotency keys are kept in indexes; long texts make those slow and, on PostgreSQL, fail.
NAME_CHARACTERS_MAX: Final = 200

#: Actor and reason of an adjustment.
TEXT_CHARACTERS_MAX: Final = 1_000

#: Which grants burn first: lower numbers do.
PRIORITY_MAX: Final = 1_000_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def positive(name: str, value: object) -> int:
    """*value*, if it is a whole number from 1 to :data:`AMOUNT_MAX`."""
    number = _integer(name, value)
    if number <= 0:
        raise ArgumentInvalid(name, "must be greater than zero", f"pass a whole number from 1 to {AMOUNT_MAX}")
    return number


def signed(name: str, value: object) -> int:
    """*value*, if it is a whole number other than zero within the bounds."""
    number = _integer(name, value)
    if number == 0:
        raise ArgumentInvalid(name, "must not be zero", "pass a positive or a negative whole number")
    return number


def floor_of(value: object) -> int:
    """*value*, if it can be the floor of an account: zero, or the credit line as a negative number."""
    number = _integer("floor", value)
    if number > 0:
        raise ArgumentInvalid("floor", "must not be above zero", "pass 0, or a credit line as a negative number")
    return number


def priority_of(value: object) -> int:
    """*value*, if it can be the priority of a grant."""
    number = _integer("priority", value)
    if not 0 <= number <= PRIORITY_MAX:
        raise ArgumentInvalid("priority", "is out of range", f"pass a whole number from 0 to {PRIORITY_MAX}")
    return number


def count_of(name: str, value: object, most: int) -> int:
    """*value*, if it is a whole number from 1 to *most*."""
    number = _integer(name, value)
    if not 1 <= number <= most:
        raise ArgumentInvalid(name, "is out of range", f"pass a whole number from 1 to {most}")
    return number


def name_of(name: str, value: object) -> str:
    """*value*, if it is a text that can identify something."""
    return _text(name, value, NAME_CHARACTERS_MAX)


def text_of(name: str, value: object) -> str:
    """*value*, if it is a text for people."""
    return _text(name, value, TEXT_CHARACTERS_MAX)


def moment_of(name: str, value: object) -> int:
    """The aware datetime *value* as whole microseconds since 1970, exactly."""
    if not isinstance(value, datetime):
        raise ArgumentInvalid(name, f"must be a datetime, not {type(value).__name__}", "pass datetime.now(UTC) + …")
    if value.tzinfo is None or value.utcoffset() is None:
        raise ArgumentInvalid(name, "has no time zone", "pass an aware datetime, such as datetime.now(UTC)")
    return (value - _EPOCH) // _MICROSECOND


def datetime_of(moment: int) -> datetime:
    """The stored *moment* as an aware datetime."""
    return _EPOCH + timedelta(microseconds=moment)


def now_of(clock: Clock) -> int:
    """The present in whole microseconds. The only place where a float is read; it never goes further than this."""
    return int(clock.now() * 1_000_000)


def _integer(name: str, value: object) -> int:
    # bool is an int to Python, and True credits is a mistake; a subclass such as IntEnum may carry its own arithmetic.
    if type(value) is not int:
        kind = type(value).__name__
        raise ArgumentInvalid(name, f"must be an int, not {kind}", "count in the smallest unit, as a whole number")
    if not -AMOUNT_MAX <= value <= AMOUNT_MAX:
        raise ArgumentInvalid(name, f"is beyond {AMOUNT_MAX}", "choose a larger unit; amounts are kept in 64 bits")
    return value


def _text(name: str, value: object, most: int) -> str:
    if not isinstance(value, str):
        raise ArgumentInvalid(name, f"must be a str, not {type(value).__name__}", "pass the identifier as text")
    if not value or len(value) > most:
        raise ArgumentInvalid(name, f"must have 1 to {most} characters", "shorten it, or pass a hash of it")
    if not value.isprintable():
        # NUL cannot be stored by PostgreSQL, surrogates cannot be encoded, and line breaks forge log lines.
        raise ArgumentInvalid(name, "has unprintable characters", "pass printable text")
    return str(value)

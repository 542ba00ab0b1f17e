"""Reading requests strictly: what the contract does not name is refused, and nothing a client sends is an exception.

The guard refuses most of this before the app is asked. It is checked here again because a guard can be in monitor
mode, and because a contract that only one side keeps is not one.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from sample_app.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from werkzeug.datastructures import MultiDict
    from werkzeug.wrappers import Request

LIMIT_DEFAULT: Final = 20
LIMIT_MAX: Final = 100

_LIMIT: Final = re.compile(r"0*[0-9]{1,3}", re.ASCII)
JSON_MEDIA_TYPE: Final = re.compile(r"application/(?:[^/;\s]+\+)?json", re.IGNORECASE)
_IDEMPOTENCY_KEY: Final = re.compile(r"[!-~]{1,255}", re.ASCII)

_Choice = TypeVar("_Choice", bound=StrEnum)


def read_json(request: Request) -> object:
    """The JSON body of *request*.

    Raises:
        ApiError: 415 if it is not declared as JSON, 400 if it is missing or not JSON.
    """
    raw = request.get_data(cache=False)
    if raw and not JSON_MEDIA_TYPE.fullmatch(request.mimetype):
        raise ApiError(ErrorCode.UNSUPPORTED_MEDIA_TYPE)
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        # ValueError is also what bytes that are no UTF-8 and integers of thousands of digits raise.
        raise ApiError(ErrorCode.INVALID_JSON) from None


def read_query(arguments: MultiDict[str, str], allowed: Collection[str]) -> dict[str, str]:
    """The query parameters, each at most once.

    Raises:
        ApiError: 422 if one is unknown or repeated.
    """
    for name, values in arguments.lists():
        if name not in allowed:
            raise ApiError(ErrorCode.INVALID_PARAMETER, "The query has a parameter that this operation does not take.")
        if len(values) > 1:
            raise ApiError(ErrorCode.INVALID_PARAMETER, f"{name} is given more than once.")
    return arguments.to_dict()


def read_limit(query: Mapping[str, str]) -> int:
    """How many rows a page may have.

    Raises:
        ApiError: 422 if it is not an integer in range.
    """
    text = query.get("limit", str(LIMIT_DEFAULT))
    # The pattern comes first: int() takes "1_0", "１" and more, and refuses thousands of digits in its own way.
    if not _LIMIT.fullmatch(text) or not 1 <= int(text) <= LIMIT_MAX:
        raise ApiError(ErrorCode.INVALID_PARAMETER, f"limit must be an integer from 1 to {LIMIT_MAX}.")
    return int(text)


def read_idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key, or None if there is none.

    Raises:
        ApiError: 400 if there is one that cannot be used.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise ApiError(ErrorCode.MISSING_IDEMPOTENCY_KEY, "Idempotency-Key must be 1 to 255 visible characters.")
    return key


def refuse_body(request: Request) -> None:
    """Nothing is read from a body here, so none is taken.

    Raises:
        ApiError: 400 if there is one.
    """
    if request.get_data(cache=False):
        raise ApiError(ErrorCode.BAD_REQUEST, "This operation takes no body.")


def read_choice(query: Mapping[str, str], name: str, choices: type[_Choice]) -> _Choice | None:
    """One of an enumeration's values, or None if the parameter is left out.

    Raises:
        ApiError: 422 if it is none of them.
    """
    if name not in query:
        return None
    try:
        return choices(query[name])
    except ValueError:
        values = ", ".join(choice.value for choice in choices)
        raise ApiError(ErrorCode.INVALID_PARAMETER, f"{name} must be one of {values}.") from None


def _refuse_constant(_name: str) -> NoReturn:
    # NaN and Infinity are Python's, not JSON's.
    raise ValueError

"""Variables that few rules ask for, and that are made when one does."""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bsguard.seclang.transaction import Entry, Transaction

_ESCAPED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_ABSOLUTE: Final = re.compile(rb"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")


def unescaped(data: bytes) -> bytes:
    """A part of a target without percent signs."""
    if b"%" not in data:
        return data
    return _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), data)


def _matched_vars(transaction: Transaction) -> list[Entry]:
    return list(transaction.matched)


def _matched_names(transaction: Transaction) -> list[Entry]:
    return [(name, name) for name, _ in transaction.matched]


def _matched_var(transaction: Transaction) -> list[Entry]:
    return [(b"", transaction.matched[-1][1] if transaction.matched else b"")]


def _matched_name(transaction: Transaction) -> list[Entry]:
    return [(b"", transaction.matched[-1][0] if transaction.matched else b"")]


def _request_line(transaction: Transaction) -> list[Entry]:
    request = transaction.request
    transaction.scalar("REQUEST_LINE", b"%s %s %s" % (request.method, request.target, request.protocol))
    return transaction.values["REQUEST_LINE"]


def _request_uri(transaction: Transaction) -> list[Entry]:
    whole = unescaped(transaction.request.target.partition(b"#")[0])
    transaction.scalar("REQUEST_URI", _ABSOLUTE.sub(b"", whole, count=1))
    return transaction.values["REQUEST_URI"]


def _basename(transaction: Transaction) -> list[Entry]:
    path = transaction.first("REQUEST_FILENAME")
    transaction.scalar("REQUEST_BASENAME", path[max(path.rfind(b"/"), path.rfind(b"\\")) + 1 :])
    return transaction.values["REQUEST_BASENAME"]


def _arguments_size(transaction: Transaction) -> list[Entry]:
    return [(b"", b"%d" % sum(len(name) + len(value) for name, value in transaction.entries("ARGS")))]


def _full_request(transaction: Transaction) -> list[Entry]:
    request = transaction.request
    head = b"".join(b"%s: %s\n" % header for header in request.headers)
    return [(b"", transaction.first("REQUEST_LINE") + b"\n" + head + b"\n" + request.body)]


def _full_request_length(transaction: Transaction) -> list[Entry]:
    return [(b"", b"%d" % len(_full_request(transaction)[0][1]))]


def _unique_id(transaction: Transaction) -> list[Entry]:
    transaction.scalar("UNIQUE_ID", transaction.request.unique_id or secrets.token_hex(12).encode())
    return transaction.values["UNIQUE_ID"]


def _clock(form: str) -> Callable[[Transaction], list[Entry]]:
    return lambda _: [(b"", time.strftime(form).encode())]


def _epoch(_: Transaction) -> list[Entry]:
    return [(b"", b"%d" % time.time())]


#: Variables that are made when a rule asks for them.
MADE: Final[Mapping[str, Callable[[Transaction], list[Entry]]]] = {
    "ARGS_COMBINED_SIZE": _arguments_size,
    "FULL_REQUEST": _full_request,
    "FULL_REQUEST_LENGTH": _full_request_length,
    "MATCHED_VAR": _matched_var,
    "MATCHED_VAR_NAME": _matched_name,
    "MATCHED_VARS": _matched_vars,
    "MATCHED_VARS_NAMES": _matched_names,
    "REQUEST_BASENAME": _basename,
    "REQUEST_LINE": _request_line,
    "REQUEST_URI": _request_uri,
    "UNIQUE_ID": _unique_id,
    "TIME": _clock("%H:%M:%S"),
    "TIME_DAY": _clock("%d"),
    "TIME_EPOCH": _epoch,
    "TIME_HOUR": _clock("%H"),
    "TIME_MIN": _clock("%M"),
    "TIME_MON": _clock("%m"),
    "TIME_SEC": _clock("%S"),
    "TIME_WDAY": _clock("%w"),
    "TIME_YEAR": _clock("%Y"),
}

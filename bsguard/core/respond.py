"""A refusal as an HTTP response: the envelope, or problem details (RFC 9457) where the client or setting asks.

The body holds a code, its fixed texts and the request id. Nothing that the client sent is in it.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bsguard.core.cors import refusal_headers

if TYPE_CHECKING:
    from bsguard.core.codes import Code
    from bsguard.core.request import Request
    from bsguard.core.verdict import Detail

#: Details of one refusal that a client is told.
DETAILS_COUNT_MAX: Final = 10
_PROBLEM: Final = "application/problem+json"
#: Statuses of requests whose framing cannot be trusted: whatever follows on the connection may be smuggled.
_CLOSING_TYPES: Final = frozenset({"invalid_framing", "body_broken", "malformed_header"})
_UNWANTED: Final = frozenset({"q=0", "q=0.0", "q=0.00", "q=0.000"})  # RFC 9110 §12.4.2
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus} | {413: "Content Too Large"}


def refusal(
    request: Request,
    code: Code,
    headers: tuple[tuple[str, str], ...] = (),
    details: tuple[Detail, ...] = (),
    *,
    close: bool = False,
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status line, headers and body of the refusal with *code*.

    *details* say what exactly is wrong; the first ten are told, as ``error.details`` or ``errors``.
    *close* says that the server takes ``Connection: close``; it is then sent when the framing was at fault.
    """
    told = [dict(detail) for detail in details[:DETAILS_COUNT_MAX]]
    if request.settings.error_format == "problem" or _asks_for_problem(request.header("HTTP_ACCEPT")):
        media_type = _PROBLEM
        document: dict[str, object] = {
            "type": f"urn:bsguard:error:{code.type}",
            "title": code.message,
            "status": code.status,
            "code": code.id,
            "instance": f"urn:bsguard:request:{request.id}",
        }
        if told:
            document["errors"] = told
    else:
        media_type = "application/json"
        error: dict[str, object] = {"code": code.id, "type": code.type, "message": code.message}
        if told:
            error["details"] = told
        document = {"status": "error", "error": error, "request_id": request.id}
    body = json.dumps(document).encode("ascii")
    answer = [
        ("Content-Type", media_type),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        (request.settings.request_id_header, request.id),
        *headers,
        *refusal_headers(request),
    ]
    if close and code.type in _CLOSING_TYPES:
        answer.append(("Connection", "close"))
    return f"{code.status} {_REASONS[code.status]}", answer, b"" if request.method == "HEAD" else body


def _asks_for_problem(accept: str) -> bool:
    """Whether problem details are named in Accept, and not with weight 0; a wildcard is no wish for them."""
    if _PROBLEM not in accept.lower():
        return False
    ranges = [[part.strip() for part in one.split(";")] for one in accept.lower().split(",")]
    return any(parts[0] == _PROBLEM and not _UNWANTED.intersection(parts[1:]) for parts in ranges)

"""``application/x-www-form-urlencoded`` bodies, and query strings, which have the same form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bsguard.seclang.bodies.model import Arguments, LimitPassed, ParsedBody, passed
from bsguard.seclang.transforms_escapes import url_decode

if TYPE_CHECKING:
    from bsguard.seclang.bodies.model import Limits


def parse_urlencoded(data: bytes, limits: Limits) -> ParsedBody:
    """Read ``a=1&b=2``; only ``arguments``, ``error`` and ``limit`` are set. Escapes that are none stay as they are."""
    if not data:
        return ParsedBody()
    limit = "body_bytes_max" if len(data) > limits.body_bytes_max else ""
    arguments = Arguments(limits)
    try:
        for piece in data[: limits.body_bytes_max].split(b"&"):
            if piece:
                name, _, value = piece.partition(b"=")
                arguments.add(url_decode(name), url_decode(value))
    except LimitPassed as problem:
        limit = problem.limit
    return ParsedBody(tuple(arguments.pairs), error=passed(limit) if limit else "", limit=limit)

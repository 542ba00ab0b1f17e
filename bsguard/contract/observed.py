"""What a request looked like, without its values: the material of ``contract learn``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from bsguard.contract.forms import TooMany, split_pairs
from bsguard.contract.values import NotText, scalars, unescape
from bsguard.core.events import EndpointObserved, printable
from bsguard.core.strict_json import JsonProblem

if TYPE_CHECKING:
    from bsguard.core.clock import Clock
    from bsguard.core.request import Request

#: How much of a body is described.
DEPTH_MAX: Final = 5
NAMES_COUNT_MAX: Final = 50
#: Different shapes that one process reports; the same one is reported once.
SHAPES_COUNT_MAX: Final = 2_000
_NAME_CHARS_MAX: Final = 60
_FORMATS: Final = {
    "uuid": re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"),
    "date-time": re.compile(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
    ),
    "date": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
}
_ID: Final = re.compile(r"[0-9]+|[0-9a-fA-F-]{8,}|(?=[^/]*[0-9])[A-Za-z0-9_.~-]{16,}")


def route_of(path: str) -> str:
    """*path* with everything that looks like an id replaced, so that a scan of ids is one route."""
    return printable("/".join("{id}" if _ID.fullmatch(segment) else segment for segment in path.split("/")))


def schema_of(value: Any, depth: int = 0) -> dict[str, Any]:
    """A JSON schema of the type of *value*: names of properties and types, no values."""
    if isinstance(value, dict):
        if depth >= DEPTH_MAX:
            return {"type": "object"}
        names = sorted(name for name in value if len(name) <= _NAME_CHARS_MAX)[:NAMES_COUNT_MAX]
        below = {name: schema_of(value[name], depth + 1) for name in names}
        return {"type": "object", "properties": below, "required": names}
    if isinstance(value, list):
        return {"type": "array", "items": schema_of(value[0], depth + 1)} if value else {"type": "array"}
    if isinstance(value, str):
        found = next((name for name, pattern in _FORMATS.items() if pattern.fullmatch(value)), None)
        return {"type": "string", "format": found} if found else {"type": "string"}
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number")):
        if isinstance(value, kind):
            return {"type": name}
    return {"type": "null"}


class Observer:
    """Turns successful requests into events, each shape once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: set[tuple[object, ...]] = set()

    def observed(self, request: Request, status: int, json_depth_max: int) -> EndpointObserved | None:
        """The event of a request that was answered with success; None if its shape is known."""
        import json

        query = []
        try:
            for raw, text in split_pairs(request.header("QUERY_STRING"), NAMES_COUNT_MAX):
                name, value = unescape(raw), unescape(text)
                kind = schema_of(next(scalars(value, frozenset({"integer", "number", "boolean", "string"}))))
                query.append(f"{printable(name[:_NAME_CHARS_MAX])} {kind['type']}")
        except (NotText, TooMany):
            return None
        media_type = request.media_type
        body = ""
        if media_type is not None and media_type.json and request.body.touched:
            try:
                body = json.dumps(schema_of(request.json(json_depth_max)), sort_keys=True)
            except JsonProblem:
                return None
        shape = (request.method, route_of(request.path), tuple(sorted(set(query))), body, status)
        if shape in self._seen or len(self._seen) >= SHAPES_COUNT_MAX:
            return None
        self._seen.add(shape)
        return EndpointObserved(
            time=self._clock.now(),
            method=printable(request.method),
            route=shape[1],
            query=shape[2],
            media_type=media_type.essence if media_type else "",
            body=body,
            status=status,
        )

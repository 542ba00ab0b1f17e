"""Says what requests a new document would refuse that the old one lets pass.

Compares operations, parameters, media types and schemas, keyword by keyword. It reports every place where the new
document is stricter by itself; whether a combination of several schemas makes up for it is not worked out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bsguard.contract.pointers import escape, follow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bsguard.contract.load import Document
    from bsguard.contract.operations import Compiled, Operation
    from bsguard.contract.values import Parameter

_LOWER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_HIGHER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_OTHER: Final = ("pattern", "format", "const", "multipleOf", "uniqueItems", "not", "allOf", "anyOf", "oneOf")


@dataclass(frozen=True, slots=True)
class Change:
    """One way in which the new document is stricter."""

    operation: str
    #: Where in the operation, such as ``query limit`` or ``body /credits``.
    place: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.operation, self.place, self.message) if part)


def newly_refused(old: Compiled, new: Compiled) -> list[Change]:
    """Every place where *new* refuses what *old* accepts."""
    after = {(one.method, one.template): one for one in new.operations}
    found: list[Change] = []
    for operation in old.operations:
        name = f"{operation.method} {operation.template}"
        now = after.get((operation.method, operation.template))
        if now is None:
            found.append(Change(name, "", "is no longer described"))
            continue
        found += [Change(name, place, message) for place, message in _operation(old, operation, new, now)]
    return found


def _operation(old: Compiled, was: Operation, new: Compiled, now: Operation) -> Iterator[tuple[str, str]]:
    before, after = _parameters(old, was), _parameters(new, now)
    for key, (parameter, _) in after.items():
        if parameter.required and (key not in before or not before[key][0].required):
            yield key, "is required now"
    for key, (parameter, schema) in before.items():
        if key not in after:
            if parameter.place == "query":
                yield key, "is no longer declared"
            continue
        yield from _schema(_Pair(old.document, new.document), schema, after[key][1], key)
    if was.bodies is not None and now.bodies is None:
        yield "body", "is no longer taken"
    if now.body_required and not was.body_required:
        yield "body", "is required now"
    if len(now.security) and not was.security:
        yield "", "needs credentials now"
    yield from _bodies(old, was, new, now)


def _bodies(old: Compiled, was: Operation, new: Compiled, now: Operation) -> Iterator[tuple[str, str]]:
    before, after = _content(old, was), _content(new, now)
    for media, schema in before.items():
        if now.bodies is None:
            continue
        if media in after:
            yield from _schema(_Pair(old.document, new.document), schema, after[media], "body ")
        elif "*/*" not in after and f"{media.partition('/')[0]}/*" not in after:
            yield "body", f"{media} is no longer taken"


def _parameters(compiled: Compiled, operation: Operation) -> dict[str, tuple[Parameter, Any]]:
    arranged = operation.parameters
    every = [*arranged.path, *arranged.query.values(), *arranged.spread, *arranged.deep.values()]
    every += [*arranged.header.values(), *arranged.cookie.values()]
    return {one.key: (one, compiled.schema_of(one.definition)) for one in every}


def _content(compiled: Compiled, operation: Operation) -> dict[str, Any]:
    body, _ = follow(compiled.document.data, compiled.schema(f"{operation.pointer}/requestBody"), "")
    content = body.get("content", {}) if isinstance(body, dict) else {}
    return {str(media): one.get("schema") for media, one in content.items() if isinstance(one, dict)}


class _Pair:
    """Two documents whose schemas are compared, and the pairs that were compared already."""

    def __init__(self, old: Document, new: Document) -> None:
        self.old = old
        self.new = new
        self.seen: set[tuple[int, int]] = set()


def _schema(pair: _Pair, was: Any, now: Any, place: str) -> Iterator[tuple[str, str]]:
    was, _ = follow(pair.old.data, was, "")
    now, _ = follow(pair.new.data, now, "")
    if (id(was), id(now)) in pair.seen or was == now:
        return
    pair.seen.add((id(was), id(now)))
    if now is False:
        yield place, "allows nothing now"
    if not isinstance(now, dict):
        return
    was = was if isinstance(was, dict) else {}
    yield from _keywords(was, now, place)
    yield from _members(pair, was, now, place)
    if "items" in now:
        yield from _schema(pair, was.get("items"), now["items"], f"{place}/*")


def _members(pair: _Pair, was: dict[str, Any], now: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
    for name in now.get("required", ()):
        if name not in was.get("required", ()):
            yield f"{place}/{escape(name)}", "is required now"
    before, after = was.get("properties", {}), now.get("properties", {})
    if now.get("additionalProperties") is False:
        if was.get("additionalProperties") is not False:
            yield place, "takes no further properties now"
        for name in before:
            if name not in after:
                yield f"{place}/{escape(name)}", "is no longer declared"
    for name in before:
        if name in after:
            yield from _schema(pair, before[name], after[name], f"{place}/{escape(name)}")


def _keywords(was: dict[str, Any], now: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
    lost = _types(was) - _types(now)
    if lost:
        yield place, f"may no longer be {', '.join(sorted(lost))}"
    if "enum" in now:
        gone = [value for value in was.get("enum", ()) if value not in now["enum"]]
        if "enum" not in was:
            yield place, "has a list of values now"
        elif gone:
            yield place, f"{len(gone)} of its values are gone"
    for key in (*_LOWER, *_HIGHER):
        bound, before = now.get(key), was.get(key)
        sign = 1 if key in _LOWER else -1
        if isinstance(bound, (int, float)) and (not isinstance(before, (int, float)) or sign * bound < sign * before):
            yield place, f"{key} is stricter"
    for key in _OTHER:
        if key in now and now[key] != was.get(key) and now[key] is not False:
            yield place, f"{key} is new or has changed"


def _types(schema: dict[str, Any]) -> set[str]:
    kinds = schema.get("type")
    found = (
        {kinds} if isinstance(kinds, str) else set(kinds or ("string", "number", "boolean", "object", "array", "null"))
    )
    if schema.get("nullable") is True:
        found.add("null")
    return found | ({"integer"} if "number" in found else set())

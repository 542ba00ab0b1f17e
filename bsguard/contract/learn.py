"""Makes an OpenAPI document of observed requests: a beginning to edit, not a contract."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def learned_document(observed: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """An OpenAPI 3.1 document from ``endpoint.observed`` events as mappings.

    A parameter or property is required if every request had it.
    """
    by_operation: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for event in observed:
        by_operation.setdefault((str(event["route"]), str(event["method"])), []).append(event)
    paths: dict[str, Any] = {}
    for (route, method), events in sorted(by_operation.items()):
        template, names = _numbered(route)
        paths.setdefault(template, {})[method.lower()] = _operation(method, names, events)
    return {"openapi": "3.1.0", "info": {"title": "Learned from traffic", "version": "0"}, "paths": paths}


def _numbered(route: str) -> tuple[str, list[str]]:
    """The route as a template: its ids get names of their own."""
    pieces = route.split("{id}")
    names = [f"id{number}" for number in range(1, len(pieces))]
    template = pieces[0] + "".join(f"{{{name}}}{piece}" for name, piece in zip(names, pieces[1:], strict=True))
    return template, names


def _operation(method: str, names: list[str], events: list[Mapping[str, Any]]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
    ]
    queries = [dict(str(one).rsplit(" ", 1) for one in event["query"]) for event in events]
    for name in sorted({name for query in queries for name in query}):
        kinds = {query[name] for query in queries if name in query}
        parameter: dict[str, Any] = {"name": name, "in": "query", "schema": {"type": _widest(kinds)}}
        if all(name in query for query in queries):
            parameter["required"] = True
        parameters.append(parameter)
    operation: dict[str, Any] = {"parameters": parameters} if parameters else {}
    bodies: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["media_type"] and method not in ("GET", "HEAD"):
            schema = json.loads(event["body"]) if event["body"] else {}
            known = bodies.get(event["media_type"])
            bodies[event["media_type"]] = schema if known is None else merged(known, schema)
    if bodies:
        content = {name: {"schema": schema} if schema else {} for name, schema in sorted(bodies.items())}
        operation["requestBody"] = {"required": all(event["media_type"] for event in events), "content": content}
    statuses = sorted({str(event["status"]) for event in events})
    operation["responses"] = {status: {"description": "Seen in traffic."} for status in statuses}
    return operation


def _widest(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    return "number" if kinds == {"integer", "number"} else "string"


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """A schema that allows what either allows."""
    if one == other or not other:
        return one
    kinds = sorted({*_kinds(one), *_kinds(other)})
    if kinds == ["integer", "number"]:
        return {"type": "number"}
    made: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else kinds}
    if kinds == ["object"]:
        left, right = one.get("properties", {}), other.get("properties", {})
        made["properties"] = {
            name: merged(left[name], right[name]) if name in left and name in right else left.get(name, right.get(name))
            for name in sorted({*left, *right})
        }
        made["required"] = [name for name in one.get("required", ()) if name in other.get("required", ())]
    elif kinds == ["array"] and ("items" in one or "items" in other):
        left, right = one.get("items", {}), other.get("items", {})
        made["items"] = merged(left, right) if left else right
    return made


def _kinds(schema: dict[str, Any]) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)

"""What JSON types a schema lets a value have: all that reading it from text needs to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bsguard.contract.pointers import escape, follow
from bsguard.contract.values import TEXT, Shape

if TYPE_CHECKING:
    from bsguard.contract.load import Document

#: How deep references, combinations and properties are followed: parameters are flat.
_DEPTH_MAX: Final = 6


class Shapes:
    """Shapes of one document's schemas."""

    def __init__(self, document: Document) -> None:
        self._data = document.data
        self._nullable = document.version == "3.0"

    def of(self, schema: Any, pointer: str) -> Shape:
        """The shape of the schema at *pointer*."""
        return self._shape(schema, pointer, 0) or TEXT

    def is_binary(self, schema: Any, pointer: str) -> bool:
        """Whether the schema says no more than that there are bytes."""
        node, _ = follow(self._data, schema, pointer)
        if not isinstance(node, dict):
            return True
        told = set(node) - {"description", "title", "example", "examples", "default", "externalDocs", "deprecated"}
        binary = node.get("format") == "binary" or "contentMediaType" in node or "contentEncoding" in node
        return not told or (binary and node.get("type", "string") == "string")

    def _shape(self, schema: Any, pointer: str, depth: int) -> Shape | None:
        """None where the schema says nothing of types."""
        node, pointer = follow(self._data, schema, pointer)
        if not isinstance(node, dict) or depth > _DEPTH_MAX:
            return None
        found = self._own(node, pointer, depth)
        for key in ("allOf", "anyOf", "oneOf"):
            parts = [
                self._shape(one, f"{pointer}/{key}/{index}", depth + 1) for index, one in enumerate(node.get(key) or ())
            ]
            told = [part for part in parts if part is not None]
            if told and (key == "allOf" or len(told) == len(parts)):
                found = _joined([*([found] if found else ()), *told], every=key == "allOf" or found is not None)
        return found

    def _own(self, node: dict[str, Any], pointer: str, depth: int) -> Shape | None:
        told = node.get("type")
        kinds = {told} if isinstance(told, str) else set(told or ())
        if not kinds:
            listed = node.get("enum", [node["const"]] if "const" in node else ())
            kinds = {_kind(value) for value in listed}
        if not kinds:
            kinds = {kind for key, kind in (("properties", "object"), ("items", "array")) if key in node}
        elif self._nullable and node.get("nullable") is True:
            kinds.add("null")
        if not kinds:
            return None
        properties = node.get("properties") if isinstance(node.get("properties"), dict) else {}
        extra = node.get("additionalProperties", True)
        return Shape(
            frozenset(kinds),
            items=self._shape(node.get("items"), f"{pointer}/items", depth + 1) if "array" in kinds else None,
            properties={
                name: self._shape(one, f"{pointer}/properties/{escape(name)}", depth + 1) or TEXT
                for name, one in (properties or {}).items()
            }
            if "object" in kinds
            else {},
            extra=None
            if extra is False or "object" not in kinds
            else self._shape(extra, f"{pointer}/additionalProperties", depth + 1) or TEXT,
        )


def _joined(parts: list[Shape], *, every: bool) -> Shape:
    """One shape of several: the types that all have, or that any has."""
    kinds = parts[0].kinds
    for part in parts[1:]:
        kinds = _common(kinds, part.kinds) if every else kinds | part.kinds
    properties: dict[str, Shape] = {}
    for part in parts:
        for name, one in part.properties.items():
            known = properties.get(name)
            properties[name] = one if known is None else _joined([known, one], every=every)
    return Shape(
        kinds,
        items=next((part.items for part in parts if part.items), None),
        properties=properties,
        extra=next((part.extra for part in parts if part.extra), None),
    )


def _common(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    common = one & other
    if "integer" in one | other and "number" in one | other:
        common |= {"integer"}  # an integer is a number
    return common or one


def _kind(value: object) -> str:
    for kinds, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array")):
        if isinstance(value, kinds):
            return name
    return "null" if value is None else "object"

"""JSON pointers (RFC 6901)."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote


def escape(part: str) -> str:
    """One part of a pointer, escaped."""
    return part.replace("~", "~0").replace("/", "~1")


def resolve(data: Any, pointer: str) -> Any:
    """What *pointer* leads to in *data*; None if there is nothing."""
    found = data
    for raw in pointer.split("/")[1:]:
        part = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return None
    return found


def follow(data: Any, node: Any, pointer: str) -> tuple[Any, str]:
    """*node*, or what its chain of local references ends at, with its pointer; ``({}, pointer)`` for a circle."""
    seen: set[str] = set()
    while isinstance(node, dict) and isinstance(reference := node.get("$ref"), str) and reference.startswith("#"):
        pointer = unquote(reference[1:])
        if pointer in seen:
            return {}, pointer
        seen.add(pointer)
        node = resolve(data, pointer)
    return node, pointer

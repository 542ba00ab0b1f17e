"""Translates the schemas of a document into JSON Schema 2020-12, the one dialect that requests are validated with.

Starts from the schemas that are asked for and follows their references, so that only what is used is translated. Every
schema that something refers to becomes a definition of its own, and references name definitions. What OpenAPI means
beyond JSON Schema is written out: ``nullable``, boolean exclusive bounds, ``readOnly`` and ``writeOnly``, the integer
formats, discriminators (OpenAPI 3.0.4 §4.7.24, 3.1.1 §4.8.24).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import unquote

from bsguard.contract.pointers import escape, follow, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bsguard.contract.load import Document

#: A request may not carry what is ``readOnly``, a response not what is ``writeOnly``.
Direction = Literal["request", "response"]

#: Base of every definition's address; nothing is ever fetched from it.
BASE: Final = "https://bsguard.invalid/document"
#: What a reference to a definition begins with. The whole address, so that every part of a schema can stand alone.
DEFINITION: Final = f"{BASE}#/$defs/"

_ONE: Final = ("not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties")
_ONE_LIST: Final = ("items", "additionalProperties", "additionalItems", "contentSchema")
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS: Final = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_SINGLE: Final = frozenset((*_ONE, *_ONE_LIST))
#: Assertions that are data and are taken over as they stand.
_PLAIN: Final = frozenset(
    """
    type enum const multipleOf minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength
    pattern format minItems maxItems uniqueItems minContains maxContains minProperties maxProperties
    required dependentRequired
    """.split()  # noqa: SIM905  words read better than a column of quotes
)
#: Keywords by which a schema names its parts itself; such a schema is kept in one piece.
_ADDRESSED: Final = frozenset({"$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$schema"})
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
#: Applied to the same value, so a circle through them never ends.
_IN_PLACE_ONE: Final = ("not", "if", "then", "else")
_IN_PLACE_LISTS: Final = ("allOf", "anyOf", "oneOf")

_INTEGER_BOUNDS: Final = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
#: Formats that are validated, and those that say nothing about validity.
FORMATS_CHECKED: Final = frozenset(
    """
    date date-time time duration email idn-email hostname idn-hostname ipv4 ipv6 uri uri-reference iri
    iri-reference uuid uri-template json-pointer relative-json-pointer regex byte int32 int64
    """.split()  # noqa: SIM905  words read better than a column of quotes
)
FORMATS_WITHOUT_MEANING: Final = frozenset({"float", "double", "binary", "password"})


@dataclass(slots=True)
class Translator:
    """Translates one document's schemas for one direction."""

    document: Document
    direction: Direction = "request"
    #: Finished definitions by name.
    definitions: dict[str, Any] = field(default_factory=dict)
    #: Definition names by the pointer they were made from.
    names: dict[str, str] = field(default_factory=dict)
    #: Formats that nothing validates, with a pointer where each stands first.
    formats: dict[str, str] = field(default_factory=dict)
    #: Names of all declared properties: they may be shown to a client.
    properties: set[str] = field(default_factory=set)
    #: Definitions that are not translated exactly, by name, with what stands in the way.
    unsupported: dict[str, str] = field(default_factory=dict)
    _waiting: list[str] = field(default_factory=list)
    _current: str = ""

    def define(self, pointer: str) -> str:
        """The name of the definition made from the schema at *pointer*."""
        name = self._name(pointer)
        while self._waiting:
            waiting = self._waiting.pop()
            schema = resolve(self.document.data, waiting)
            self._current = self.names[waiting]
            self.definitions[self._current] = self._definition(schema, waiting)
        return name

    def _name(self, pointer: str) -> str:
        if pointer not in self.names:
            self.names[pointer] = str(len(self.names))
            self._waiting.append(pointer)
        return self.names[pointer]

    def _definition(self, schema: Any, pointer: str) -> Any:
        if addressed(schema):
            kept = self._schema(schema, pointer, in_one_piece=True)
            return {**kept, "$id": kept.get("$id", f"{BASE}/{self.names[pointer]}")} if isinstance(kept, dict) else kept
        return self._schema(schema, pointer)

    def _schema(self, schema: Any, pointer: str, *, in_one_piece: bool = False) -> Any:
        if isinstance(schema, bool) or not isinstance(schema, dict):
            return schema if isinstance(schema, bool) else True
        made: dict[str, Any] = {}
        if isinstance(schema.get("$ref"), str):
            reference = schema["$ref"]
            if in_one_piece or not reference.startswith("#"):
                made["$ref"] = reference
            elif reference.startswith("#/") or reference == "#":
                made["$ref"] = self._reference(reference)
            else:
                self.unsupported.setdefault(self._current, "a reference by anchor")
            if self.document.version == "3.0":
                return made  # its siblings have no meaning there

        if "$recursiveRef" in schema:
            self.unsupported.setdefault(self._current, "$recursiveRef, which is of another dialect")
        made |= self._keywords(schema, pointer, in_one_piece=in_one_piece)
        self.properties.update(schema.get("properties", ()) if isinstance(schema.get("properties"), dict) else ())
        self.properties.update(one for one in _listed(schema.get("required")) if isinstance(one, str))
        if self.document.version == "3.0":
            _as_2020(made, schema)
        self._formats(made, pointer)
        self._directions(made, schema, pointer)
        if not in_one_piece:
            self._discriminator(made, schema)
        return made

    def _keywords(self, schema: dict[str, Any], pointer: str, *, in_one_piece: bool) -> dict[str, Any]:
        """The assertions of *schema*, and its parts translated; what JSON Schema does not know is left out."""
        made: dict[str, Any] = {}

        def translate(below: Any, *way: str) -> Any:
            return self._schema(below, "/".join((pointer, *(escape(part) for part in way))), in_one_piece=in_one_piece)

        for key, value in schema.items():
            if key in _PLAIN or (in_one_piece and key in _ADDRESSED):
                made[key] = value
            elif key in _SINGLE and not isinstance(value, list):
                made[key] = translate(value, key)
            elif (key in _LISTS or key in _SINGLE) and isinstance(value, list):
                made[key] = [translate(item, key, str(index)) for index, item in enumerate(value)]
            elif key in _MAPS and isinstance(value, dict):
                if key in ("$defs", "definitions") and not in_one_piece:
                    continue  # what is used of them becomes a definition of its own
                made[key] = {name: translate(item, key, name) for name, item in value.items()}
        return made

    def _reference(self, reference: str) -> str:
        return f"{DEFINITION}{self._name(unquote(reference[1:]))}"

    def _formats(self, made: dict[str, Any], pointer: str) -> None:
        name = made.get("format")
        if not isinstance(name, str):
            return
        bounds = _INTEGER_BOUNDS.get(name)
        if bounds is not None:
            del made["format"]
            numbers = made.get("type")
            if numbers is None or not {"integer", "number"}.isdisjoint(
                [numbers] if isinstance(numbers, str) else numbers
            ):
                low, high = made.get("minimum"), made.get("maximum")
                made["minimum"] = bounds[0] if low is None else max(low, bounds[0])
                made["maximum"] = bounds[1] if high is None else min(high, bounds[1])
        elif name == "binary":
            # Lengths would count bytes of a file, and files are not looked into.
            for key in ("format", "minLength", "maxLength", "pattern"):
                made.pop(key, None)
        elif name not in FORMATS_CHECKED:
            del made["format"]
            if name not in FORMATS_WITHOUT_MEANING:
                self.formats.setdefault(name, pointer)

    def _directions(self, made: dict[str, Any], schema: dict[str, Any], pointer: str) -> None:
        """Properties that may not be sent in this direction: refused, and not required."""
        keyword = "readOnly" if self.direction == "request" else "writeOnly"
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return
        barred = []
        for name, one in properties.items():
            target, _ = follow(self.document.data, one, f"{pointer}/properties/{escape(name)}")
            if any(isinstance(part, dict) and part.get(keyword) is True for part in (one, target)):
                barred.append(name)
        for name in barred:
            made["properties"][name] = False
        if barred and isinstance(made.get("required"), list):
            made["required"] = [name for name in made["required"] if name not in barred]

    def _discriminator(self, made: dict[str, Any], schema: dict[str, Any]) -> None:
        """The discriminator selects a branch, and that branch alone decides."""
        told = schema.get("discriminator")
        branches = next((schema[key] for key in ("oneOf", "anyOf") if isinstance(schema.get(key), list)), None)
        if not isinstance(told, dict) or not isinstance(told.get("propertyName"), str):
            return
        name = told["propertyName"]
        self.properties.add(name)
        if not branches or not all(isinstance(one, dict) and isinstance(one.get("$ref"), str) for one in branches):
            return  # without named branches it is a hint for people, and oneOf decides
        named = {one["$ref"].rpartition("/")[2]: one["$ref"] for one in branches}
        mapping = told.get("mapping")
        if isinstance(mapping, dict):
            for value, target in mapping.items():
                reference = target if str(target).startswith("#") else f"#/components/schemas/{target}"
                if reference in named.values():
                    named[str(value)] = reference
        for key in ("oneOf", "anyOf"):
            made.pop(key, None)
        choices = [
            {"if": {"properties": {name: {"const": value}}, "required": [name]}, "then": {"$ref": self._reference(to)}}
            for value, to in named.items()
        ]
        known = {"type": "object", "required": [name], "properties": {name: {"enum": list(named)}}}
        default = self._branch(told.get("defaultMapping"), named)
        chosen: dict[str, Any] = {**known, "allOf": choices}
        if default is not None:  # OpenAPI 3.2 §4.25: for an object that names no branch, or one that there is not
            chosen = {"type": "object", "if": known, "then": {"allOf": choices}, "else": {"$ref": default}}
        made["allOf"] = [*made.get("allOf", ()), chosen]

    def _branch(self, target: Any, named: dict[str, str]) -> str | None:
        """The reference to a branch that is told by its name or reference; None if there is none."""
        reference = named.get(str(target), target)
        return self._reference(reference) if reference in named.values() else None


def _listed(node: Any) -> list[Any]:
    return node if isinstance(node, list) else []


def addressed(schema: Any) -> bool:
    """Whether *schema* names parts of itself, such as by ``$id``, anywhere."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if any(isinstance(node.get(key), str) and node[key] != _DIALECT for key in _ADDRESSED):
                return True
            waiting += [value for key, value in node.items() if key not in ("enum", "const", "example", "default")]
        elif isinstance(node, list):
            waiting += node
    return False


def _as_2020(made: dict[str, Any], schema: dict[str, Any]) -> None:
    """What OpenAPI 3.0 writes in its own way (3.0.4 §4.7.24.2)."""
    if schema.get("nullable") is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]  # an enum still has to list null
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(made.get(exclusive), bool) and made.pop(exclusive) and bound in made:
            made[exclusive] = made.pop(bound)
    for key in ("const", "if", "then", "else", "contains", "prefixItems", "patternProperties", "propertyNames"):
        made.pop(key, None)  # not in that dialect


def endless(definitions: dict[str, Any]) -> set[str]:
    """Definitions that would be applied to the same value again and again: ``A: {allOf: [A]}``."""
    return _in_circles({name: set(_targets(one, _in_place)) for name, one in definitions.items()})


def references(schema: Any) -> Iterable[str]:
    """Names of the definitions that *schema* refers to, at any depth."""
    return _targets(schema, _anywhere)


def formats(schema: Any) -> Iterable[str]:
    """The formats that *schema* names, at any depth, references apart."""
    return (str(node["format"]) for node in _nodes(schema, _anywhere) if "format" in node)


def reached(names: Iterable[str], edges: Mapping[str, set[str]]) -> set[str]:
    """*names*, and everything that the graph leads to from there, as far as it is in the graph."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in edges and name not in found:
            found.add(name)
            waiting += edges[name]
    return found


def leading_to(found: set[str], edges: Mapping[str, set[str]]) -> set[str]:
    """*found*, and all nodes of the graph from which one of them can be reached."""
    found = set(found)
    while True:
        more = {name for name, targets in edges.items() if name not in found and targets & found}
        if not more:
            return found
        found |= more


def _in_circles(edges: dict[str, set[str]]) -> set[str]:
    """Nodes of a graph that lead back to themselves: what is left when all dead ends are taken away, both ways."""
    left = set(edges)
    while True:
        reached = {target for name in left for target in edges[name] & left}
        kept = {name for name in left & reached if edges[name] & left}
        if kept == left:
            return left
        left = kept


def _targets(schema: Any, below: Callable[[dict[str, Any]], Iterable[Any]]) -> Iterable[str]:
    for node in _nodes(schema, below):
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith(DEFINITION):
            yield reference[len(DEFINITION) :]


def _nodes(schema: Any, below: Callable[[dict[str, Any]], Iterable[Any]]) -> Iterable[dict[str, Any]]:
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += below(node)


def _in_place(node: dict[str, Any]) -> Iterable[Any]:
    yield from (node[key] for key in _IN_PLACE_ONE if key in node)
    for key in _IN_PLACE_LISTS:
        yield from node.get(key, ())
    yield from node.get("dependentSchemas", {}).values()


def _anywhere(node: dict[str, Any]) -> Iterable[Any]:
    for key, value in node.items():
        if key in _SINGLE and not isinstance(value, list):
            yield value
        elif key in _LISTS or (key in _SINGLE and isinstance(value, list)):
            yield from value
        elif key in _MAPS and isinstance(value, dict):
            yield from value.values()

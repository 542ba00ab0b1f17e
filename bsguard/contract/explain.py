"""Says where a value breaks a schema, and by which keyword, by asking about ever smaller parts of both.

The engine is only ever asked whether something is valid, which takes linear time and makes no message. What engines
say of errors by themselves is not bounded: they list all of them, each with a copy of what is wrong, and they try every
branch of a schema that contains itself at every depth.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bsguard.contract.schemas import DEFINITION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    IsValid = Callable[[Any], bool]
    #: A part that refuses a value, and the way there.
    _Waiting = tuple["_Part", Any, "Way"]

Way = tuple[str | int, ...]

#: Errors of one value that are told.
ERRORS_COUNT_MAX: Final = 10
#: Pairs of a schema and a value that are looked into. Each costs no more than a few verdicts on the whole value.
STEPS_COUNT_MAX: Final = 32

_COUNTS: Final = ("minContains", "maxContains")
#: Keywords that nothing is said about but that they are broken.
_REST: Final = ("unevaluatedProperties", "unevaluatedItems")
#: Keywords that are looked into, or that only count together with others; the rest is asked about one by one.
_INTO: Final = frozenset(
    """
    $ref $defs required properties patternProperties additionalProperties prefixItems items allOf if then else
    dependentSchemas unevaluatedProperties unevaluatedItems minContains maxContains
    """.split()  # noqa: SIM905  words read better than a column of quotes
)


class SchemaError(NamedTuple):
    """One place of a value that a schema refuses: the way there, and the keyword."""

    path: Way
    keyword: str


class Explainer:
    """Explains by the *definitions* of one document. *make* compiles a schema that may refer to them."""

    def __init__(self, definitions: Mapping[str, Any], make: Callable[[Any], IsValid]) -> None:
        self.make = make
        self._definitions = definitions
        self._parts: dict[int, _Part] = {}
        self._by_name: dict[str, _Part] = {}

    def errors(self, name: str, value: Any) -> list[SchemaError]:
        """At most :data:`ERRORS_COUNT_MAX` of what is wrong with *value*, which breaks the definition *name*."""
        found: list[SchemaError] = []
        waiting: list[_Waiting] = [(self._named(name), value, ())]
        for step, (part, inner, path) in enumerate(waiting, 1):
            if step > STEPS_COUNT_MAX or len(found) >= ERRORS_COUNT_MAX:
                break
            # What waits is known to be wrong, so no more of it need wait than there is room for.
            if not part.inside.look(inner, path, found, waiting, step + ERRORS_COUNT_MAX):
                found.append(SchemaError(path, part.inside.rest))
        return found[:ERRORS_COUNT_MAX] or [SchemaError(waiting[-1][2], "schema")]

    def _named(self, name: str) -> _Part:
        if name not in self._by_name:
            self._by_name[name] = self.part({"$ref": f"{DEFINITION}{name}"})
        return self._by_name[name]

    def part(self, schema: Any) -> _Part:
        """The part for *schema*, or for the definition that it only names."""
        named: set[str] = set()
        while isinstance(schema, dict) and list(schema) == ["$ref"] and schema["$ref"].startswith(DEFINITION):
            name = schema["$ref"][len(DEFINITION) :]
            if name in named:
                break
            named.add(name)
            schema = self._definitions[name]
        if id(schema) not in self._parts:
            self._parts[id(schema)] = _Part(schema, self)
        return self._parts[id(schema)]


class _Part:
    """One schema, which is taken apart when something is looked into with it for the first time."""

    def __init__(self, schema: Any, explainer: Explainer) -> None:
        #: Judges a value by the whole of it.
        self.is_valid = explainer.make(schema)
        self._schema = schema
        self._explainer = explainer

    @cached_property
    def inside(self) -> _Inside:
        """What it is made of."""
        return _Inside(self._schema, self._explainer)

    def takes(self, value: Any) -> bool:
        """Whether *value* is of one of the types that it names."""
        inside = self.inside
        return inside.typed is None or inside.typed(value)


class _Inside:
    """The keywords of a schema by what they apply to."""

    def __init__(self, schema: Any, explainer: Explainer) -> None:
        node: dict[str, Any] = schema if isinstance(schema, dict) else {}
        part, make = explainer.part, explainer.make
        #: What is said where nothing else explains it.
        self.rest = "forbidden" if schema is False else next((key for key in _REST if key in node), "schema")
        self.typed = make({"type": node["type"]}) if "type" in node else None
        asked = {key: {key: one} for key, one in node.items() if key not in _INTO}
        if "contains" in asked:
            asked["contains"] |= {key: node[key] for key in _COUNTS if key in node}
        #: The keywords that are asked about, all together, and each by itself.
        self._together = make({key: one for group in asked.values() for key, one in group.items()})
        self._alone = {key: make(group) for key, group in asked.items()}
        #: Whether there are no others, so that what is known to be wrong breaks one of these.
        self._bare = node.keys() <= asked.keys()
        self._required: list[str] = node.get("required", [])
        self._properties = {name: (part(one),) for name, one in node.get("properties", {}).items()}
        self._patterns = [
            (_matches(pattern, make), part(one)) for pattern, one in node.get("patternProperties", {}).items()
        ]
        further = node.get("additionalProperties", True)
        self._closed = further is False
        self._further = (part(further),) if isinstance(further, dict) else ()
        #: Gives the parts for a property.
        self._on = self._matching if self._patterns or self._further else self._properties.get
        self._prefix = [part(one) for one in node.get("prefixItems", ())]
        self._items = (part(node["items"]),) if isinstance(node.get("items"), (dict, bool)) else ()
        #: What applies to the value as the schema itself does.
        self._every = [part(one) for one in node.get("allOf", ())]
        if "$ref" in node:
            self._every.append(part({"$ref": node["$ref"]}))
        self._dependent = {name: part(one) for name, one in node.get("dependentSchemas", {}).items()}
        self._condition = part(node["if"]) if "if" in node else None
        self._branches = {True: part(node.get("then", True)), False: part(node.get("else", True))}
        self._choices: dict[str, list[_Part]] = {
            key: [part(one) for one in node[key]] for key in ("anyOf", "oneOf") if key in node
        }
        self._again = bool(self._every or self._dependent or self._choices or self._condition)

    def look(self, value: Any, path: Way, found: list[SchemaError], waiting: list[_Waiting], room: int) -> bool:
        """Add to *found* what *value* breaks by itself, and to *waiting* the parts that refuse what is in it.

        *waiting* need not become longer than *room*. False if nothing explains what is wrong.
        """
        before = len(found) + len(waiting)
        self._look_at(value, path, found)
        members: Iterable[tuple[Any, Any]] = ()
        parts: Callable[[Any], tuple[_Part, ...] | None] = self._at
        if isinstance(value, dict):
            members, parts = value.items(), self._on
        elif isinstance(value, list):
            members = enumerate(value)
        for key, member in members:
            for part in parts(key) or ():
                if not part.is_valid(member):
                    waiting.append((part, member, (*path, key)))
                    if len(waiting) >= room:
                        return True
        refusing = [part for part in self._applied(value) if not part.is_valid(value)] if self._again else []
        for part in refusing:
            if not any(part is other and path == way for other, _, way in waiting):
                waiting.append((part, value, path))
        return bool(refusing) or len(found) + len(waiting) > before

    def _look_at(self, value: Any, path: Way, found: list[SchemaError]) -> None:
        """Add what *value* breaks by itself."""
        if self._alone and (self._bare or not self._together(value)):
            for key, holds in self._alone.items():
                if not holds(value) and (key not in self._choices or self._chosen(key, value) is None):
                    found.append(SchemaError(path, key))
        if isinstance(value, dict):
            for name in self._required:
                if name not in value:
                    found.append(SchemaError((*path, name), "required"))
            if self._closed and not value.keys() <= self._properties.keys() and any(map(self._unknown, value)):
                found.append(SchemaError(path, "additionalProperties"))

    def _at(self, index: int) -> tuple[_Part, ...]:
        """The parts for an item."""
        return (self._prefix[index],) if index < len(self._prefix) else self._items

    def _matching(self, name: str) -> tuple[_Part, ...]:
        """The parts for a property where its declared name does not decide alone."""
        own = self._properties.get(name, ())
        matching = tuple(part for matches, part in self._patterns if matches(name))
        return (*own, *matching) or self._further

    def _unknown(self, name: str) -> bool:
        return name not in self._properties and not any(matches(name) for matches, _ in self._patterns)

    def _applied(self, value: Any) -> Iterator[_Part]:
        """The parts that apply to *value* as the schema itself does."""
        yield from self._every
        if self._condition is not None:
            yield self._branches[self._condition.is_valid(value)]
        if isinstance(value, dict):
            yield from (part for name, part in self._dependent.items() if name in value)
        for key in self._choices:
            chosen = self._chosen(key, value)
            if chosen is not None:
                yield chosen

    def _chosen(self, key: str, value: Any) -> _Part | None:
        """Of the alternatives under *key*, the only one that takes values of this type; None if there are more."""
        fitting = [part for part in self._choices.get(key, ()) if part.takes(value)]
        return fitting[0] if len(fitting) == 1 else None


def _matches(pattern: str, make: Callable[[Any], IsValid]) -> Callable[[str], bool]:
    """Whether a name matches *pattern*, by the engine's own reading of it."""
    lacks = make({"patternProperties": {pattern: False}})
    return lambda name: not lacks({name: None})

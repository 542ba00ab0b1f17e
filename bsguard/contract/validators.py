"""Validators of JSON values: ``jsonschema-rs`` where its wheel is installed, else ``jsonschema``, far slower.

Both get the same translated definitions. The slower one's patterns are run by Python's ``re``, which can be made to
take very long by a pattern that was written carelessly; that is said when it is used.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from bsguard.contract.schemas import BASE, inexact, recursive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

try:
    import jsonschema_rs
except ImportError:  # no wheel for this platform
    jsonschema_rs = None  # type: ignore[assignment]

#: Errors of one value that are told.
ERRORS_COUNT_MAX: Final = 10


class SchemaUnusable(ValueError):
    """A schema cannot be compiled; the message says why."""


@dataclass(frozen=True, slots=True)
class SchemaError:
    """One place of a value that a schema refuses: the way there, and the keyword."""

    path: tuple[str | int, ...]
    keyword: str


class Validator(Protocol):
    """Validates values against one schema."""

    def is_valid(self, value: Any) -> bool:
        """The verdict alone; linear in the value, whatever the schema."""

    def errors(self, value: Any) -> list[SchemaError]:
        """At most :data:`ERRORS_COUNT_MAX` of what is wrong with *value*, which is not valid."""


class Schemas:
    """The definitions of one document, ready to make validators from. One registry is shared by all of them."""

    def __init__(
        self,
        definitions: Mapping[str, Any],
        *,
        unsupported: Mapping[str, str] | None = None,
        remotes: Mapping[str, Any] | None = None,
        formats: bool = True,
    ) -> None:
        """*unsupported* definitions, by name with a reason, are unusable, and so is what contains them.

        *remotes* are schemas by address that definitions may refer to; nothing else is ever fetched.

        *formats* says whether a wrong format is an error, as OpenAPI understands it, or a mere annotation.
        """
        self._recursive = recursive(dict(definitions))
        self._inexact = inexact(dict(definitions), dict(unsupported or {}))
        self._made: dict[str, Validator] = {}
        whole = {"$id": BASE, "$defs": dict(definitions)}
        make = _fast if jsonschema_rs is not None else _slow
        self._make = make(whole, dict(remotes or {}), formats)

    def of(self, name: str) -> Validator:
        """The validator of a definition; raises :class:`SchemaUnusable`."""
        if name in self._inexact:
            raise SchemaUnusable(self._inexact[name])
        if name not in self._made:
            self._made[name] = self._make({"$ref": f"{BASE}#/$defs/{name}"}, name in self._recursive)
        return self._made[name]

    def combined(self, properties: Mapping[str, str]) -> Validator:
        """One validator for an object whose properties have these definitions; no property is required of it.

        Raises :class:`SchemaUnusable`.
        """
        for name in properties.values():
            if name in self._inexact:
                raise SchemaUnusable(self._inexact[name])
        schema = {"properties": {key: {"$ref": f"{BASE}#/$defs/{name}"} for key, name in properties.items()}}
        return self._make(schema, not self._recursive.isdisjoint(properties.values()))


def is_base64(value: str) -> bool:
    """Whether *value* is what the format ``byte`` stands for (RFC 4648 §4)."""
    try:
        base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return False
    return True


def _fast(whole: dict[str, Any], remotes: dict[str, Any], formats: bool) -> Callable[[dict[str, Any], bool], Validator]:
    registry: Any = None

    def make(schema: dict[str, Any], circular: bool) -> Validator:
        nonlocal registry
        try:
            if registry is None:
                resources = [(BASE, whole), *remotes.items()]
                registry = jsonschema_rs.Registry(resources, draft=jsonschema_rs.Draft202012, retriever=_refuse)
            made = jsonschema_rs.Draft202012Validator(
                schema, registry=registry, retriever=_refuse, validate_formats=formats, formats={"byte": is_base64}
            )
        except (ValueError, TypeError, jsonschema_rs.ReferencingError) as error:
            raise SchemaUnusable(_first_line(error)) from None
        return _Fast(made, circular)

    return make


class _Fast:
    """``jsonschema-rs``. Its verdict is linear; what it says about errors is not where a schema contains itself."""

    __slots__ = ("_circular", "_made", "is_valid")

    def __init__(self, made: Any, circular: bool) -> None:
        self._made = made
        self._circular = circular
        self.is_valid = made.is_valid

    def errors(self, value: Any) -> list[SchemaError]:
        if self._circular:
            # It tries every branch at every depth to find the reasons: seconds for a hundred bytes.
            return [SchemaError((), "schema")]
        found = islice(self._made.iter_errors(value), ERRORS_COUNT_MAX)
        return [
            _told(tuple(error.instance_path), error.kind.name, error.kind.as_dict().get("property")) for error in found
        ]


def _told(path: tuple[str | int, ...], keyword: str, missing: object) -> SchemaError:
    if keyword == "required" and isinstance(missing, str):
        return SchemaError((*path, missing), keyword)
    return SchemaError(path, "forbidden" if keyword == "falseSchema" else keyword)


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is not fetched")


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


def _slow(whole: dict[str, Any], remotes: dict[str, Any], formats: bool) -> Callable[[dict[str, Any], bool], Validator]:
    import jsonschema
    import referencing
    from referencing.jsonschema import DRAFT202012

    resources = [
        (uri, referencing.Resource.from_contents(one, default_specification=DRAFT202012))
        for uri, one in [(BASE, whole), *remotes.items()]
    ]
    registry: Any = referencing.Registry().with_resources(resources)
    checker = jsonschema.FormatChecker()
    checker.checks("byte")(lambda value: not isinstance(value, str) or is_base64(value))
    extend: Any = jsonschema.validators.extend
    cls = extend(jsonschema.Draft202012Validator, {"pattern": _pattern})

    def make(schema: dict[str, Any], circular: bool) -> Validator:
        del circular  # slow throughout
        validator = cls(schema, registry=registry, format_checker=checker if formats else None)
        try:
            validator.is_valid("")  # resolves what it begins with
            for pattern in _patterns(schema, whole["$defs"]):
                _ecma(pattern)
        except (re.error, referencing.exceptions.Unresolvable, ValueError) as error:
            raise SchemaUnusable(_first_line(error)) from None
        return _Slow(validator)

    return make


class _Slow:
    """``jsonschema``, in Python."""

    __slots__ = ("_made", "is_valid")

    def __init__(self, made: Any) -> None:
        self._made = made
        self.is_valid = made.is_valid

    def errors(self, value: Any) -> list[SchemaError]:
        found = islice(self._made.iter_errors(value), ERRORS_COUNT_MAX)
        return [_reported(error) for error in found]


def _reported(error: Any) -> SchemaError:
    path = tuple(error.absolute_path)
    if error.validator == "required":
        missing = next((name for name in error.validator_value if name not in error.instance), None)
        return _told(path, "required", missing)
    return SchemaError(path, str(error.validator) if error.validator is not None else "forbidden")


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[Any]:
    import jsonschema

    if isinstance(value, str) and _ecma(pattern).search(value) is None:
        yield jsonschema.ValidationError("does not match")


def _ecma(pattern: str) -> re.Pattern[str]:
    """*pattern* as ECMA-262 means it: ``$`` is the very end, and ``\\d`` and ``\\w`` are ASCII."""
    return re.compile(re.sub(r"(\\.)|\$", lambda match: match[1] or r"\Z", pattern, flags=re.DOTALL), re.ASCII)


def _patterns(schema: Any, definitions: dict[str, Any]) -> Iterator[str]:
    """The patterns of *schema* and of the definitions that it leads to."""
    seen: set[str] = set()
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            if isinstance(node.get("pattern"), str):
                yield node["pattern"]
            if isinstance(node.get("patternProperties"), dict):
                yield from node["patternProperties"]
            name = str(node.get("$ref", "")).rpartition("#/$defs/")[2]
            if name in definitions and name not in seen:
                seen.add(name)
                waiting.append(definitions[name])
            waiting += node.values()

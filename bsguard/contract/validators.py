"""Validators of JSON values: ``jsonschema-rs`` where its wheel is installed, else ``jsonschema``, far slower.

Both get the same translated definitions. The slower one's patterns are run by Python's ``re``, which can be made to
take very long by a pattern that was written carelessly; that is said when it is used.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from bsguard.contract.explain import Explainer, SchemaError
from bsguard.contract.schemas import BASE, DEFINITION, addressed, leading_to, reached, references
from bsguard.contract.schemas import formats as formats_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bsguard.contract.explain import IsValid

    #: Compiles a schema, and is told whether it has a format that is none of JSON Schema's.
    _Compile = Callable[[Any, bool], IsValid]

try:
    import jsonschema_rs
except ImportError:  # no wheel for this platform
    jsonschema_rs = None  # type: ignore[assignment]


#: Steps back that one look of a pattern with look-around or back-references may take; then the text does not match.
PATTERN_STEPS_MAX: Final = 10_000


class SchemaUnusable(ValueError):
    """A schema cannot be compiled; the message says why."""


@dataclass(frozen=True, slots=True)
class Validator:
    """Validates values against one schema."""

    #: The verdict alone; linear in the value, whatever the schema.
    is_valid: IsValid
    #: Some of what is wrong with a value that is not valid.
    errors: Callable[[Any], list[SchemaError]]


class Schemas:
    """The definitions of one document, ready to make validators from."""

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
        self._definitions = definitions
        self._references = {name: set(references(one)) for name, one in definitions.items()}
        self._inexact = {
            name: reason
            for cause, reason in (unsupported or {}).items()
            for name in leading_to({cause}, self._references)
        }
        named = {name for name, one in definitions.items() if addressed(one)}
        #: Those that lead to schemas which name their parts themselves, so that no part can be judged alone.
        self._addressed = leading_to(named, self._references)
        self._bytes = {name for name, one in definitions.items() if "byte" in formats_of(one)}
        self._made: dict[str, Validator] = {}
        whole = {"$id": BASE, "$defs": dict(definitions)}
        engine = _fast if jsonschema_rs is not None else _slow
        self._compile = engine(whole, dict(remotes or {}), formats)
        self._explainer = Explainer(definitions, self._make)

    def of(self, name: str) -> Validator:
        """The validator of a definition; raises :class:`SchemaUnusable`."""
        if name in self._inexact:
            raise SchemaUnusable(self._inexact[name])
        if name not in self._made:
            is_valid = self._make({"$ref": f"{DEFINITION}{name}"})
            explain = _unexplained if name in self._addressed else partial(self._explainer.errors, name)
            self._made[name] = Validator(is_valid, explain)
        return self._made[name]

    def combined(self, properties: Mapping[str, str]) -> IsValid:
        """Judges an object whose properties have these definitions; no property is required of it.

        Raises :class:`SchemaUnusable`.
        """
        for name in properties.values():
            if name in self._inexact:
                raise SchemaUnusable(self._inexact[name])
        return self._make({"properties": {key: {"$ref": f"{DEFINITION}{name}"} for key, name in properties.items()}})

    def _make(self, schema: Any) -> IsValid:
        """Compile a *schema* that may refer to definitions; raises :class:`SchemaUnusable`."""
        names = reached(references(schema), self._references)
        # A format of ours makes the engine slower, whether or not it meets it.
        own_format = not names.isdisjoint(self._bytes) or "byte" in formats_of(schema)
        return self._compile(schema, own_format)


def _unexplained(_value: Any) -> list[SchemaError]:
    return [SchemaError((), "schema")]


def is_base64(value: str) -> bool:
    """Whether *value* is what the format ``byte`` stands for (RFC 4648 §4)."""
    try:
        base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return False
    return True


def _fast(whole: dict[str, Any], remotes: dict[str, Any], formats: bool) -> _Compile:
    """``jsonschema-rs``."""
    registry: Any = None

    def compile_(schema: Any, own_format: bool) -> IsValid:
        nonlocal registry
        try:
            if registry is None:
                resources = [(BASE, whole), *remotes.items()]
                registry = jsonschema_rs.Registry(resources, draft=jsonschema_rs.Draft202012, retriever=_refuse)
            own = {"byte": is_base64} if own_format else None
            made = jsonschema_rs.Draft202012Validator(
                schema,
                registry=registry,
                retriever=_refuse,
                validate_formats=formats,
                formats=own,
                # Without look-around and back-references the engine is linear, and this has no meaning.
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=PATTERN_STEPS_MAX),
            )
        except (ValueError, TypeError, jsonschema_rs.ReferencingError) as error:
            raise SchemaUnusable(_first_line(error)) from None
        is_valid: IsValid = made.is_valid
        return is_valid

    return compile_


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is not fetched")


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


def _slow(whole: dict[str, Any], remotes: dict[str, Any], formats: bool) -> _Compile:
    """``jsonschema``, in Python."""
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
    cls = extend(jsonschema.Draft202012Validator, {"pattern": _pattern, "$ref": _reference})

    def compile_(schema: Any, _own_format: bool) -> IsValid:
        validator = cls(schema, registry=registry, format_checker=checker if formats else None)
        try:
            validator.is_valid("")  # resolves what it begins with
            for pattern in _patterns(schema, whole["$defs"]):
                _ecma(pattern)
        except (re.error, referencing.exceptions.Unresolvable, ValueError) as error:
            raise SchemaUnusable(_first_line(error)) from None
        return partial(_remembering, validator.is_valid)

    return compile_


class _Verdicts(threading.local):
    """What references to definitions were found to say of parts of the value that this thread judges."""

    by_part: dict[tuple[str, int], bool] | None = None


_verdicts: Final = _Verdicts()


def _remembering(is_valid: IsValid, value: Any) -> bool:
    """The verdict of an engine that asks the same of the same part but once, so that circles cost no power of depth."""
    _verdicts.by_part = {}
    try:
        return is_valid(value)
    finally:
        _verdicts.by_part = None


def _reference(validator: Any, reference: str, value: Any, schema: Any) -> Iterator[Any]:
    import jsonschema

    follow = jsonschema.Draft202012Validator.VALIDATORS["$ref"]
    known, part = _verdicts.by_part, (reference, id(value))
    if known is None or not reference.startswith(DEFINITION):
        yield from follow(validator, reference, value, schema)
        return
    if part not in known:
        known[part] = next(iter(follow(validator, reference, value, schema)), None) is None
    if not known[part]:
        yield jsonschema.ValidationError("is not what is referred to")


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
            name = str(node.get("$ref", "")).removeprefix(DEFINITION)
            if name in definitions and name not in seen:
                seen.add(name)
                waiting.append(definitions[name])
            waiting += node.values()

"""What is said of a value that breaks a schema: true, at most ten, and found in a bounded number of questions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from bsguard.contract.explain import ERRORS_COUNT_MAX, STEPS_COUNT_MAX, Explainer
from bsguard.contract.schemas import DEFINITION
from bsguard.contract.validators import Schemas
from tests.contract.support import needs
from tests.contract.test_suite import files, validator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def said(schema: Any, value: Any, **definitions: Any) -> list[tuple[str, str]]:
    """Pointers and keywords."""
    schemas = Schemas({"A": schema, **definitions})
    assert not schemas.of("A").is_valid(value)
    return [("".join(f"/{part}" for part in path), keyword) for path, keyword in schemas.of("A").errors(value)]


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"{DEFINITION}{name}"}


TEXT, NUMBER = {"type": "string"}, {"type": "integer", "minimum": 5}
OBJECT = {"type": "object", "properties": {"a": TEXT}}
EXPLAINED: dict[str, tuple[Any, Any, list[tuple[str, str]]]] = {
    "a type": (TEXT, 3, [("", "type")]),
    "several keywords": ({"minimum": 5, "multipleOf": 2}, 3, [("", "minimum"), ("", "multipleOf")]),
    "nothing is allowed": (False, 3, [("", "forbidden")]),
    "a property that is barred": ({"properties": {"a": False}}, {"a": 1}, [("/a", "forbidden")]),
    "missing properties": ({"required": ["a", "b"]}, {"a": 1}, [("/b", "required")]),
    "properties": ({"properties": {"a": TEXT, "b": NUMBER}}, {"a": 1, "b": 2}, [("/a", "type"), ("/b", "minimum")]),
    "an unknown property": (
        {**OBJECT, "additionalProperties": False},
        {"x": 1, "y": 2},
        [("", "additionalProperties")],
    ),
    "further properties": ({**OBJECT, "additionalProperties": NUMBER}, {"a": "", "x": 2}, [("/x", "minimum")]),
    "patterns of names": (
        {"patternProperties": {"^n": NUMBER}, "properties": {"no": TEXT}, "additionalProperties": False},
        {"n1": 2, "no": 7, "x": 1},
        [("", "additionalProperties"), ("/n1", "minimum"), ("/no", "type")],
    ),
    "names": ({"propertyNames": {"maxLength": 2}}, {"abc": 1}, [("", "propertyNames")]),
    "items": ({"items": TEXT}, ["a", 1, "b", 2], [("/1", "type"), ("/3", "type")]),
    "a tuple": ({"prefixItems": [TEXT, NUMBER], "items": False}, [1, 9, 1], [("/0", "type"), ("/2", "forbidden")]),
    "contains": ({"contains": TEXT, "minContains": 2}, ["a", 1], [("", "contains")]),
    "at most so many": ({"contains": TEXT, "maxContains": 1}, ["a", "b"], [("", "contains")]),
    "all of": ({"allOf": [TEXT, {"maxLength": 1}]}, "ab", [("", "maxLength")]),
    "the same twice": ({"allOf": [ref("B"), ref("B")]}, 1, [("", "type")]),
    "the same two ways": ({"allOf": [{"allOf": [ref("B")]}, {"allOf": [ref("B")]}]}, 1, [("", "type")]),
    "then": ({"if": TEXT, "then": {"minLength": 3}, "else": NUMBER}, "ab", [("", "minLength")]),
    "else": ({"if": TEXT, "then": {"minLength": 3}, "else": NUMBER}, 1, [("", "minimum")]),
    "not": ({"not": TEXT}, "a", [("", "not")]),
    "a dependent schema": ({"dependentSchemas": {"a": {"required": ["b"]}}}, {"a": 1}, [("/b", "required")]),
    "dependent names": ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, [("", "dependentRequired")]),
    "the one alternative of its type": ({"anyOf": [OBJECT, {"type": "null"}]}, {"a": 1}, [("/a", "type")]),
    "the same of oneOf": ({"oneOf": [ref("B"), {"type": "null"}, NUMBER]}, 3, [("", "minimum")]),
    "several alternatives": ({"anyOf": [OBJECT, {"type": "object", "required": ["b"]}]}, {"a": 1}, [("", "anyOf")]),
    "no alternative": ({"anyOf": [TEXT, OBJECT]}, 1, [("", "anyOf")]),
    "more than one": ({"oneOf": [{"type": "integer"}, {"minimum": 1}]}, 3, [("", "oneOf")]),
    "unevaluated": ({"allOf": [OBJECT], "unevaluatedProperties": False}, {"x": 1}, [("", "unevaluatedProperties")]),
    "by reference": ({"properties": {"a": ref("B")}}, {"a": 1}, [("/a", "type")]),
    "by reference and more": ({**ref("B"), "maxLength": 1}, "ab", [("", "maxLength")]),
    "base64": ({"properties": {"a": {"format": "byte"}}}, {"a": "?"}, [("/a", "format")]),
}


@pytest.mark.parametrize("case", EXPLAINED)
def test_what_is_wrong_is_said(case: str) -> None:
    schema, value, expected = EXPLAINED[case]

    assert said(schema, value, B=TEXT) == expected
    assert len(EXPLAINED) == 31


def test_ten_errors_are_said_and_no_more_is_asked_for_them() -> None:
    asked: list[Any] = []
    explainer = Explainer({"A": {"items": TEXT}}, counting(asked))

    assert len(explainer.errors("A", [1] * 100_000)) == ERRORS_COUNT_MAX
    assert len(asked) < 100


def test_what_can_only_be_broken_by_its_own_keywords_is_asked_about_each_of_them_once() -> None:
    asked: list[Any] = []

    assert Explainer({"A": NUMBER}, counting(asked)).errors("A", 2) == [((), "minimum")]
    assert asked == [2, 2]


def counting(asked: list[Any]) -> Callable[[Any], Callable[[Any], bool]]:
    """An engine that notes what it is asked."""
    schemas = Schemas({"A": {"items": TEXT}, "N": CIRCLE})

    def make(schema: Any) -> Callable[[Any], bool]:
        is_valid = schemas._make(schema)

        def counted(value: Any) -> bool:
            asked.append(value)
            return is_valid(value)

        return counted

    return make


BRANCHES = [{"type": kind, "properties": {"c": ref("N")}, "items": ref("N")} for kind in ("object", "array")]
#: A schema that contains itself four times over.
CIRCLE = {"allOf": [{"anyOf": BRANCHES}, {"properties": {"c": ref("N")}}, {"items": ref("N")}, {"anyOf": BRANCHES}]}


@pytest.mark.parametrize(("opening", "closing"), [('{"c":', "}"), ("[", "]"), ('{"c":[', "]}")])
def test_a_schema_that_contains_itself_is_explained_in_bounded_steps(opening: str, closing: str) -> None:
    """A tree of branches at every depth would be 4 to the power of 60 questions."""
    counts = {}
    for depth in (5, 30):
        asked: list[Any] = []
        value = json.loads(opening * depth + "3" + closing * depth)
        found = Explainer({"N": CIRCLE}, counting(asked)).errors("N", value)
        assert 1 <= len(found) <= ERRORS_COUNT_MAX
        counts[depth] = len(asked)

    assert counts[30] <= 10 * STEPS_COUNT_MAX, counts
    assert counts[30] <= 8 * counts[5], counts


def flat(errors: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    for error in errors:
        path = tuple(error.absolute_path)
        yield path, str(error.validator)
        if error.validator == "required":
            yield from (((*path, name), "required") for name in error.validator_value if name not in error.instance)
        yield from flat(error.context)


def same(way: tuple[Any, ...], keyword: str, path: tuple[Any, ...], key: str) -> bool:
    """Whether both engines mean the same; for some facts they have other names."""
    if keyword == "schema":
        return True  # of what is referred to by address, which is not looked into
    if keyword == "forbidden":
        return path in (way, way[:-1]) and key in ("items", "None")
    others = {
        "contains": ("minContains", "maxContains"),
        "propertyNames": ("maxLength", "pattern", "enum", "const", "None"),
    }
    return way == path and key in (keyword, *others.get(keyword, ()))


@needs("jsonschema")
def test_it_says_nothing_that_another_engine_does_not_find_too() -> None:
    """Over everything invalid in the JSON-Schema-Test-Suite; unevaluated parts are told by their name alone."""
    compared, different = 0, []
    for path in files("."):
        for group in json.loads(path.read_text(encoding="utf-8")):
            text = json.dumps(group["schema"]).replace('"https://json-schema.org/draft/2020-12/schema"', "")
            if any(word in text for word in ("http", '"$id"', "$anchor", "$dynamic", "\\\\p")):
                continue  # not explained, or not known to the other engine
            for test in group["tests"]:
                if test["valid"]:
                    continue
                theirs = set(flat(jsonschema.Draft202012Validator(group["schema"]).iter_errors(test["data"])))
                if not theirs:
                    continue  # where that engine is wrong
                compared += 1
                for way, keyword in validator(group["schema"], False).errors(test["data"]):
                    if not any(same(way, keyword, *one) for one in theirs):
                        different.append((path.name, test["description"], way, keyword, theirs))

    assert different == [], "\n".join(map(str, different))
    assert compared > 300

"""What the versions of OpenAPI mean in their own ways: 3.0 and 3.1 side by side, and what is new in 3.2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bsguard.contract.check import check
from bsguard.contract.load import Document, DocumentError
from tests.contract.support import Guarded, compiled, operation, query, spec

if TYPE_CHECKING:
    from pathlib import Path

JSON = {"Content-Type": "application/json"}
TEXT = {"type": "string"}
S = {"$ref": "#/components/schemas/S"}
READ_ONLY = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer", "readOnly": True}}}
A = {"type": "object", "properties": {"k": TEXT, "n": {"type": "integer"}}}
B = {"type": "object", "properties": {"k": TEXT, "n": TEXT}}
BRANCHES = [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/B"}]
PET = {"oneOf": BRANCHES, "discriminator": {"propertyName": "k"}}
LEAP, NO_LEAP = "2016-12-31T23:59:60Z", "2016-12-31T23:58:60Z"

#: A schema, then values with their verdicts in 3.0 and in 3.1.
MEANT: dict[str, tuple[Any, list[tuple[Any, bool, bool]]]] = {
    "nullable": ({"type": "string", "nullable": True}, [(None, True, False), ("a", True, True), (1, False, False)]),
    "nullable, not in the enum": ({**TEXT, "nullable": True, "enum": ["a"]}, [(None, False, False), ("a", True, True)]),
    "nullable, in the enum": (
        {**TEXT, "nullable": True, "enum": ["a", None]},
        [(None, True, False), ("b", False, False)],
    ),
    "nullable without a type": ({"nullable": True, "maxLength": 1}, [(None, True, True), ("ab", False, False)]),
    "nullable beside a reference": ({**S, "nullable": True}, [(None, False, False), ("a", True, True)]),
    "nullable around a reference": ({"nullable": True, "allOf": [S]}, [(None, False, False), ("a", True, True)]),
    "an exclusive bound": ({"minimum": 5, "exclusiveMinimum": True}, [(5, False, False), (6, True, False)]),
    "no exclusive bound": ({"maximum": 5, "exclusiveMaximum": False}, [(5, True, False), (6, False, False)]),
    "a number for a bound": ({"exclusiveMinimum": 5}, [(5, True, False), (6, True, True)]),
    "siblings of a reference": ({**S, "maxLength": 1}, [("ab", True, False), ("a", True, True)]),
    "const": ({"const": 1}, [(2, True, False), (1, True, True)]),
    "an integer with zeros": ({"type": "integer"}, [(1.0, True, True), (1.5, False, False)]),
    "read-only": (READ_ONLY, [({}, True, True), ({"id": 1}, False, False)]),
    "read-only through a reference": (
        {"properties": {"a": {"$ref": "#/components/schemas/R"}}},
        [({"a": 1}, False, False)],
    ),
    "write-only": ({"properties": {"a": {"writeOnly": True}}}, [({"a": 1}, True, True)]),
    "int32": ({"type": "integer", "format": "int32"}, [(2**31 - 1, True, True), (-(2**31) - 1, False, False)]),
    "int64": ({"type": "integer", "format": "int64"}, [(2**63 - 1, True, True), (2**63, False, False)]),
    "int32 within a bound": (
        {"type": "integer", "format": "int32", "maximum": 9},
        [(10, False, False), (9, True, True)],
    ),
    "float, which says nothing": ({"type": "number", "format": "float"}, [(1e300, True, True)]),
    "byte": (
        {"type": "string", "format": "byte"},
        [("YQ==", True, True), ("YQ=", False, False), ("Y Q==", False, False)],
    ),
    "uuid": ({"format": "uuid"}, [("4a0b8f6e-4a2f-4f2b-8c3e-0d3c5f6a7b8c", True, True), ("4a0b8f6e", False, False)]),
    "email": ({"format": "email"}, [("a@b.example", True, True), ("a@@b", False, False), ("a", False, False)]),
    "uri": ({"format": "uri"}, [("https://a.example/", True, True), ("a b", False, False)]),
    "hostname": ({"format": "hostname"}, [("a.example", True, True), ("-a", False, False)]),
    "duration": ({"format": "duration"}, [("P1D", True, True), ("1 day", False, False)]),
    "a leap second": ({"format": "date-time"}, [(LEAP, True, True), (NO_LEAP, False, False)]),
    "cents": ({"multipleOf": 0.01}, [(1.13, True, True), (1.135, False, False)]),
    "the end of a text": ({"pattern": "^a$"}, [("a\n", False, False), ("a", True, True)]),
    "digits": ({"pattern": r"^\d$"}, [("٧", False, False), ("7", True, True)]),
    "letters": ({"pattern": r"^\p{L}+$"}, [("é", True, True), ("7", False, False)]),
    "a discriminated object": (PET, [({"k": "A", "n": 1}, True, True), ({"k": "B", "n": 1}, False, False)]),
    "one that fits both branches": (PET, [({"k": "A"}, True, True), ({"k": "B"}, True, True)]),
    "a branch that there is not": (PET, [({"k": "C"}, False, False), ({"n": 1}, False, False), ("A", False, False)]),
    "a discriminator that is no text": (PET, [({"k": ["A"]}, False, False), ({"k": {}}, False, False)]),
    "huge integers": ({"type": "integer"}, [(10**4000, True, True), (-(10**4000), True, True)]),
    "a multiple of a huge integer": ({"multipleOf": 3}, [(10**400 - 1, True, True), (10**400, False, False)]),
    "a number with a huge exponent": ({"maximum": 10}, [(1e308, False, False), (-1e308, True, True)]),
}
SCHEMAS = {"S": TEXT, "A": A, "B": B, "R": {"type": "integer", "readOnly": True}}


@pytest.mark.parametrize("case", MEANT)
@pytest.mark.parametrize("version", ["3.0.4", "3.1.1"])
def test_schemas_mean_what_their_version_says(case: str, version: str) -> None:
    schema, values = MEANT[case]
    if version == "3.1.1" and "exclusive" in case:
        with_number = {key: one for key, one in schema.items() if not isinstance(one, bool)}
        assert with_number != schema
        assert compiled({"/x": {"post": operation(body=schema)}}, version).operations[0].reference
        return
    if version == "3.0.4" and case == "a number for a bound":
        return  # not in that version, and the checker says so
    made = compiled({"/x": {"post": operation(body=schema)}}, version, components={"schemas": SCHEMAS})
    (rule,) = made.operations[0].bodies or ()

    assert rule.validator is not None
    for value, in_30, in_31 in values:
        assert rule.validator.is_valid(value) is (in_30 if version == "3.0.4" else in_31), value
    assert len(MEANT) == 37


def test_methods_of_3_2(tmp_path: Path) -> None:
    paths = {"/x": {"query": operation(body={"type": "object"}), "additionalOperations": {"COPY": operation()}}}
    assert check(Document("api.json", spec(paths, "3.2.0"))) == []
    guarded = Guarded(tmp_path, spec(paths, "3.2.0"))

    assert guarded.ask("QUERY", "/x", headers=JSON, body=b"{}").status == 200
    assert guarded.ask("QUERY", "/x", headers=JSON, body=b"3").status == 400
    assert guarded.ask("COPY", "/x").status == 200
    refused = guarded.ask("GET", "/x")
    assert (refused.status, refused.header("Allow")) == (405, "COPY, OPTIONS, QUERY")


def whole_query(schema: Any, media: str = "application/x-www-form-urlencoded", **more: Any) -> dict[str, Any]:
    return {"name": "all", "in": "querystring", "content": {media: {"schema": schema}}, **more}


FILTER = {
    "type": "object",
    "properties": {"limit": {"type": "integer"}, "tag": {"type": "array", "items": TEXT}},
    "required": ["limit"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("limit=3", 200),
        ("limit=3&tag=a&tag=b", 200),
        ("limit=x", 400),
        ("tag=a", 400),
        ("limit=3&limit=4", 400),
        ("limit=3&x=1", 400),
        ("", 400),
        ("%6cimit=3", 200),
        ("limit=%FF", 400),
    ],
)
def test_a_parameter_that_is_the_whole_query(text: str, status: int, tmp_path: Path) -> None:
    document = spec({"/x": {"get": operation(whole_query(FILTER, required=True))}}, "3.2.0")

    assert Guarded(tmp_path, document).ask("GET", f"/x?{text}").status == status


@pytest.mark.parametrize(
    "parameter",
    [
        whole_query(FILTER, "application/json"),
        whole_query({"type": "string"}),
        whole_query({"type": "object", "properties": {"a": {"type": "object"}}}),
        {"name": "c", "in": "cookie", "style": "cookie", "schema": {"type": "array", "items": TEXT}},
    ],
    ids=["as JSON", "that is no object", "with objects in it", "a list in the style of cookies"],
)
def test_what_no_engine_knows_of_3_2_is_a_problem_of_the_document(parameter: dict[str, Any]) -> None:
    with pytest.raises(DocumentError, match="is not known; describe it in another way"):
        compiled({"/x": {"get": operation(parameter)}}, "3.2.0")


def test_a_single_value_in_the_style_of_cookies(tmp_path: Path) -> None:
    cookie = {"name": "c", "in": "cookie", "style": "cookie", "schema": {"type": "integer"}}
    guarded = Guarded(tmp_path, spec({"/x": {"get": operation(cookie)}}, "3.2.0"))

    assert guarded.ask("GET", "/x", headers={"Cookie": "c=3"}).status == 200
    assert guarded.ask("GET", "/x", headers={"Cookie": "c=x"}).status == 400


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ({"k": "A", "n": 1}, True),
        ({"k": "A", "n": "1"}, False),
        ({"k": "X", "n": "1"}, True),
        ({"n": "1"}, True),
        ({"n": 1}, False),
        ("x", False),
    ],
)
@pytest.mark.parametrize("default", ["B", "#/components/schemas/B"])
def test_the_branch_for_objects_that_name_none(value: Any, right: bool, default: str) -> None:
    pet = {"oneOf": BRANCHES, "discriminator": {"propertyName": "k", "defaultMapping": default}}
    made = compiled({"/x": {"post": operation(body=pet)}}, "3.2.0", components={"schemas": SCHEMAS})
    (rule,) = made.operations[0].bodies or ()

    assert rule.validator is not None
    assert rule.validator.is_valid(value) is right


def test_bodies_of_items_are_said_not_to_be_judged() -> None:
    body = {"required": True, "content": {"application/jsonl": {"itemSchema": {"type": "object"}}}}
    made = compiled({"/x": {"post": operation(requestBody=body)}}, "3.2.0")

    assert made.operations[0].notes == ("the items of application/jsonl are not judged",)


def test_the_checker_knows_3_2() -> None:
    problems = check(Document("api.json", spec({"/x": {"get": operation(query("a", TEXT), colour="red")}}, "3.2.0")))

    assert ["colour" in one.message for one in problems] == [True]

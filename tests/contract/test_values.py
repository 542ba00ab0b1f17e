"""Every style and explode of every place, as the specification has them in its table, and what is no value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.support import Guarded, operation, query, spec

if TYPE_CHECKING:
    from pathlib import Path

ARRAY = {"type": "array", "items": {"type": "string"}, "const": ["blue", "black", "brown"]}
NUMBERS = {"type": "array", "items": {"type": "integer"}, "const": [3, 4]}
OBJECT = {
    "type": "object",
    "properties": {"R": {"type": "integer"}, "G": {"type": "integer"}, "B": {"type": "integer"}},
    "const": {"R": 100, "G": 200, "B": 150},
    "additionalProperties": False,
}
TEXT = {"type": "string", "const": "blue"}
EMPTY = {"type": "string", "const": ""}

# place, style, explode, schema, what is sent, whether that is the value.
STYLES: list[tuple[str, str, bool, Any, str, bool]] = [
    ("query", "form", True, TEXT, "color=blue", True),
    ("query", "form", True, EMPTY, "color=", True),
    ("query", "form", True, EMPTY, "color", True),
    ("query", "form", True, ARRAY, "color=blue&color=black&color=brown", True),
    ("query", "form", True, ARRAY, "color=blue,black,brown", False),
    ("query", "form", True, NUMBERS, "color=3&color=4", True),
    ("query", "form", True, OBJECT, "R=100&G=200&B=150", True),
    ("query", "form", True, OBJECT, "R=100&G=200", False),
    ("query", "form", False, TEXT, "color=blue", True),
    ("query", "form", False, ARRAY, "color=blue,black,brown", True),
    ("query", "form", False, ARRAY, "color=blue%2Cblack%2Cbrown", False),
    ("query", "form", False, ARRAY, "color=blue&color=black&color=brown", False),
    ("query", "form", False, NUMBERS, "color=3,4", True),
    ("query", "form", False, OBJECT, "color=R,100,G,200,B,150", True),
    ("query", "form", False, OBJECT, "color=R,100,G", False),
    ("query", "spaceDelimited", False, ARRAY, "color=blue%20black%20brown", True),
    ("query", "spaceDelimited", False, ARRAY, "color=blue+black+brown", True),
    ("query", "spaceDelimited", False, OBJECT, "color=R%20100%20G%20200%20B%20150", True),
    ("query", "pipeDelimited", False, ARRAY, "color=blue%7Cblack%7Cbrown", True),
    ("query", "pipeDelimited", False, ARRAY, "color=blue|black|brown", True),
    ("query", "pipeDelimited", False, OBJECT, "color=R%7C100%7CG%7C200%7CB%7C150", True),
    ("query", "deepObject", True, OBJECT, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150", True),
    ("query", "deepObject", True, OBJECT, "color[R]=100&color[G]=200&color[B]=150", True),
    ("query", "deepObject", True, OBJECT, "color[R]=100&color[G]=200&color[X]=150", False),
    ("query", "deepObject", True, OBJECT, "color[R]=100&color[R]=100&color[G]=200&color[B]=150", False),
    ("path", "simple", False, TEXT, "blue", True),
    ("path", "simple", False, ARRAY, "blue,black,brown", True),
    ("path", "simple", True, ARRAY, "blue,black,brown", True),
    ("path", "simple", False, OBJECT, "R,100,G,200,B,150", True),
    ("path", "simple", True, OBJECT, "R=100,G=200,B=150", True),
    ("path", "label", False, TEXT, ".blue", True),
    ("path", "label", False, ARRAY, ".blue,black,brown", True),
    ("path", "label", True, ARRAY, ".blue.black.brown", True),
    ("path", "label", False, OBJECT, ".R,100,G,200,B,150", True),
    ("path", "label", True, OBJECT, ".R=100.G=200.B=150", True),
    ("path", "matrix", False, TEXT, ";color=blue", True),
    ("path", "matrix", False, ARRAY, ";color=blue,black,brown", True),
    ("path", "matrix", True, ARRAY, ";color=blue;color=black;color=brown", True),
    ("path", "matrix", False, OBJECT, ";color=R,100,G,200,B,150", True),
    ("path", "matrix", True, OBJECT, ";R=100;G=200;B=150", True),
    ("header", "simple", False, TEXT, "blue", True),
    ("header", "simple", False, ARRAY, "blue, black,brown", True),
    ("header", "simple", False, OBJECT, "R,100,G,200,B,150", True),
    ("header", "simple", True, OBJECT, "R=100,G=200,B=150", True),
    ("cookie", "form", True, TEXT, "color=blue; other=1", True),
    ("cookie", "form", True, TEXT, 'other=1; color="blue"', True),
    ("cookie", "form", False, ARRAY, "color=blue,black,brown", True),
]


@pytest.mark.parametrize(("place", "style", "explode", "schema", "sent", "right"), STYLES)
def test_styles(tmp_path: Path, place: str, style: str, explode: bool, schema: Any, sent: str, right: bool) -> None:
    parameter = {"name": "color", "in": place, "style": style, "explode": explode, "schema": schema, "required": True}
    template = "/x/{color}" if place == "path" else "/x"
    guarded = Guarded(tmp_path, spec({template: {"get": operation(parameter)}}))
    target = {"path": f"/x/{sent}", "query": f"/x?{sent}"}.get(place, "/x")
    headers = {"header": {"Color": sent}, "cookie": {"Cookie": sent}}.get(place, {})

    answer = guarded.ask("GET", target, headers=headers)

    assert (answer.status == 200) is right, answer.body
    assert guarded.calls == right


def test_the_table_of_styles_is_whole() -> None:
    assert len(STYLES) == 47
    assert {row[1] for row in STYLES} == set(
        "form spaceDelimited pipeDelimited deepObject simple label matrix".split()  # noqa: SIM905
    )


INTEGER, NUMBER, BOOLEAN = {"type": "integer"}, {"type": "number"}, {"type": "boolean"}
# Schema, text in the query, whether it is a value of that schema. Readers differ in what they make of the others.
SCALARS: list[tuple[dict[str, Any], str, bool]] = [
    *[(INTEGER, text, True) for text in ("0", "7", "-7", "-0", "99999999999999999999")],
    *[
        (INTEGER, text, False)
        for text in ("", "+7", "%2B7", "007", "1_000", "%207", "7%20", "7%0A", "1.0", "1e3", "0x7")
    ],
    *[(INTEGER, text, False) for text in ("%D9%A7", "NaN", "true", "null", "7,8", "9" * 401)],
    *[(NUMBER, text, True) for text in ("0", "1.5", "-1.5e3", "1E-2", "7")],
    *[(NUMBER, text, False) for text in ("NaN", "inf", "-Infinity", "1e400", "1_0.5", ".5", "5.", "+1.5", "0x1p3", "")],
    *[(BOOLEAN, text, True) for text in ("true", "false")],
    *[(BOOLEAN, text, False) for text in ("True", "TRUE", "yes", "on", "1", "0", "t", "", "null")],
    ({"type": "string", "pattern": "^[a-z]+$"}, "abc", True),
    ({"type": "string", "pattern": "^[a-z]+$"}, "abc%0A", False),
    ({"type": "string", "pattern": r"^\d+$"}, "%D9%A7", False),
    ({"type": "string", "pattern": r"^\p{L}+$"}, "caf%C3%A9", True),
    ({"type": "string", "maxLength": 4}, "caf%C3%A9", True),
    ({"type": "string"}, "%FF", False),
    ({"type": "string"}, "%C0%AE", False),
    ({"type": "string", "format": "uuid"}, "4a0b8f6e-4a2f-4f2b-8c3e-0d3c5f6a7b8c", True),
    ({"type": "string", "format": "uuid"}, "4a0b8f6e", False),
    ({"type": "integer", "format": "int32"}, "2147483647", True),
    ({"type": "integer", "format": "int32"}, "2147483648", False),
    ({"type": "integer", "format": "int64"}, "9223372036854775808", False),
    ({"type": ["integer", "null"]}, "null", True),
    ({"type": ["integer", "string"], "pattern": "^0"}, "007", True),
    ({"oneOf": [{"type": "integer", "maximum": 5}, {"type": "string", "pattern": "^9$"}]}, "9", True),
    ({"enum": [1, 2]}, "2", True),
    ({"enum": [1, 2]}, "3", False),
    ({"anyOf": [{"type": "string", "const": "a"}, {"type": "array", "items": {"const": "b"}}]}, "a", True),
]


@pytest.mark.parametrize(("schema", "text", "right"), SCALARS)
def test_scalars(tmp_path: Path, schema: dict[str, Any], text: str, right: bool) -> None:
    guarded = Guarded(tmp_path, spec({"/x": {"get": operation(query("v", schema))}}))

    assert (guarded.ask("GET", f"/x?v={text}").status == 200) is right


def test_the_table_of_scalars_is_whole() -> None:
    assert len(SCALARS) == 66


def test_json_in_a_parameter(tmp_path: Path) -> None:
    content = {"application/json": {"schema": {"type": "object", "required": ["a"]}}}
    guarded = Guarded(tmp_path, spec({"/x": {"get": operation({"name": "f", "in": "query", "content": content})}}))

    assert guarded.ask("GET", "/x?f=%7B%22a%22%3A1%7D").status == 200
    for wrong in ("%7B%7D", "%7B", "%7B%22a%22%3ANaN%7D", "[" * 100):
        assert guarded.ask("GET", f"/x?f={wrong}").status == 400


def test_a_value_may_be_empty_where_that_is_allowed(tmp_path: Path) -> None:
    flag = query("flag", {"type": "integer"}, allowEmptyValue=True)
    guarded = Guarded(tmp_path, spec({"/x": {"get": operation(flag)}}))

    assert guarded.ask("GET", "/x?flag").status == 200
    assert guarded.ask("GET", "/x?flag=").status == 200
    assert guarded.ask("GET", "/x?flag=a").status == 400

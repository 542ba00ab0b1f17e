"""Documents: what is wrong with one is told with file, pointer and remedy, and a good one is loaded once."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import ConfigError, guard
from bsguard.contract import prepared
from bsguard.contract.check import check
from bsguard.contract.compiler import compile_document
from bsguard.contract.load import DocumentError, load
from bsguard.contract.prepared import prepare_document
from bsguard.stores.folder import open_folder
from tests.contract.support import DATA, OURS, compiled, needs, operation, query, spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = 'openapi: 3.1.0\ninfo: {title: t, version: "1"}\npaths: {}\n'
REF = {"$ref": "#/components/schemas/A"}


def schemas(**named: Any) -> dict[str, Any]:
    """A document whose only operation takes the schema ``A``."""
    return spec({"/x": {"post": operation(body=REF)}}, components={"schemas": named})


# The file, then pointer, words of the message, and words of the remedy of the one problem.
BROKEN: dict[str, tuple[str | dict[str, Any], str, str, str]] = {
    "broken YAML": ("openapi: [", "", "is not YAML", "at that line"),
    "a doubled key": (GOOD + "paths: {}\n", "", "the key 'paths' twice", "at that line"),
    "a list": ("[]", "", "wanted a mapping", ""),
    "Swagger 2.0": ('swagger: "2.0"', "", "Swagger 2.0", "convert it"),
    "no version": ("info: {}", "", "names no version", "begin it with"),
    "a future version": (GOOD.replace("3.1.0", "4.0.0"), "", "names no version", "begin it with"),
    "aliases that explode": (
        "openapi: 3.1.0\na: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in ("ab", "bc", "cd", "de", "ef", "fg")
        ),
        "",
        "too large",
        "",
    ),
    "an alias of itself": ("openapi: 3.1.0\na: &a [*a]", "", "recursive", "at that line"),
    "a remote reference": (
        schemas(A={"$ref": "https://x.example/a.json"}),
        "/components/schemas/A",
        "another place",
        "copy",
    ),
    "a reference to a drive": (
        schemas(A={"$ref": "file:///etc/passwd"}),
        "/components/schemas/A",
        "another place",
        "copy",
    ),
    "an absolute reference": (
        schemas(A={"$ref": "/etc/passwd"}),
        "/components/schemas/A",
        "outside",
        "copy",
    ),
    "a reference to a host": (schemas(A={"$ref": "//x.example/a"}), "/components/schemas/A", "another place", "copy"),
    "a reference out of it in escapes": (
        schemas(A={"$ref": "%2e%2e%2fa.json"}),
        "/components/schemas/A",
        "outside",
        "copy",
    ),
    "a link out of the folder": (schemas(A={"$ref": "link.json"}), "/components/schemas/A", "outside", "copy"),
    "a reference out of the folder": (schemas(A={"$ref": "../../a.json"}), "/components/schemas/A", "outside", "copy"),
    "a reference to nothing": (schemas(A={"$ref": "#/nothing"}), "/components/schemas/A", "does not exist", "mend"),
    "a name that is spelled otherwise": (
        schemas(A={"items": {"$ref": "#/components/schemas/Bok"}}, Book={}),
        "/components/schemas/A/items",
        "does not exist",
        "did you mean #/components/schemas/Book?",
    ),
    "a file that is not there": (schemas(A={"$ref": "b.json"}), "", "cannot be read", "existing file"),
    "a schema that is itself": (schemas(A={"allOf": [REF]}), "/components/schemas/A", "again and again", "properties"),
    "a reference to itself": (schemas(A=REF), "/components/schemas/A", "again and again", "properties"),
    "colliding paths": (
        spec(
            {"/a/{x}": {"get": operation({"name": "x", "in": "path", "required": True, "schema": {}})}}
            | {"/a/{y}": {"put": operation({"name": "y", "in": "path", "required": True, "schema": {}})}}
        ),
        "/paths/~1a~1{y}",
        "the same requests as /a/{x}",
        "keep one",
    ),
    "no path": (spec({"a": {"get": operation()}}), "/paths/a", "is no path", 'begin it with "/"'),
    "an undeclared path parameter": (
        spec({"/{x}": {"get": operation()}}),
        "/paths/~1{x}/get",
        "path parameter x",
        "add it",
    ),
    "an undeclared scheme": (
        spec({"/x": {"get": operation(security=[{"nope": []}])}}),
        "/paths/~1x/get",
        "not declared",
        "securitySchemes",
    ),
    "a server that is none": (
        spec({"/x": {"get": operation()}}, servers=[{"url": "ftp://x/"}]),
        "/servers/0",
        "no web address",
        "servers",
    ),
    "a body type that is none": (
        spec({"/x": {"post": {"responses": {}, "requestBody": {"content": {"json": {}}}}}}),
        "/paths/~1x/post/requestBody/content/json",
        "no media type",
        "type/subtype",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_told_with_pointer_and_remedy(case: str, tmp_path: Path) -> None:
    text, pointer, message, remedy = BROKEN[case]
    path = tmp_path / "api.yaml"
    (tmp_path / "link.json").symlink_to("/etc/hostname")
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")

    with pytest.raises(DocumentError) as caught:
        compile_document(load(path))

    (problem,) = caught.value.problems
    assert problem.pointer == pointer
    assert message in problem.message
    assert remedy in problem.remedy
    assert problem.file in ("api.yaml", "b.json")


def test_the_table_is_whole() -> None:
    assert len(BROKEN) == 26


CHECKED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a missing key": (spec({"/x": {"get": {"responses": {"200": {}}}}}), "/paths/~1x/get/responses/200", "description"),
    "an unknown key": (spec({"/x": {"get": operation(colour="red")}}), "/paths/~1x/get", "colour"),
    "a doubled operationId": (
        spec({"/x": {"get": operation(operationId="a"), "put": operation(operationId="a")}}),
        "/paths/~1x/put",
        "not unique",
    ),
    "a schema that is none": (
        spec({"/x": {"get": operation(query("a", {"type": "int"}))}}),
        "/paths/~1x/get/parameters/0/schema/type",
        "'int'",
    ),
    "a path parameter that is not declared": (
        spec({"/x/{a}": {"get": operation()}}),
        "/paths/~1x~1{a}/get",
        "was not resolved",
    ),
    "a default that does not fit": (
        spec({"/x": {"get": operation(query("a", {"type": "integer", "default": "x"}))}}),
        "/paths/~1x/get/parameters/0/schema/default",
        "'x' is not of type 'integer'",
    ),
}


@pytest.mark.parametrize("case", CHECKED)
def test_what_breaks_the_specification_is_found(case: str, tmp_path: Path) -> None:
    data, pointer, words = CHECKED[case]
    (tmp_path / "api.json").write_text(json.dumps(data))
    problems = check(load(tmp_path / "api.json"))

    assert (pointer, True) in [(problem.pointer, words in problem.message) for problem in problems], problems


def test_our_own_document_is_right() -> None:
    document = load(OURS)

    assert check(document) == []
    assert len(compile_document(document).operations) == 15


def test_all_problems_of_all_documents_come_in_one_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("[]")
    (tmp_path / "b.json").write_text(json.dumps(schemas(A={"$ref": "#/nope"})))
    files = [str(tmp_path / name) for name in ("a.yaml", "b.json", "c.yaml")]

    with pytest.raises(ConfigError) as caught:
        guard(lambda *_: [], {"CONTRACT_DOCUMENTS": files, "STATE_DIR": tmp_path / "state"})

    assert [problem.id for problem in caught.value.problems] == ["bsguard.E006"] * 3
    assert [problem.key for problem in caught.value.problems] == files


def test_files_of_the_folder_are_read_with_the_document(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    main = spec({"/x": {"$ref": "parts/paths.yaml#/x"}}, components={"schemas": {"Own": {"type": "integer"}}})
    (tmp_path / "api.json").write_text(json.dumps(main))
    (tmp_path / "parts" / "paths.yaml").write_text(
        "x:\n  post:\n    responses: {200: {description: ok}}\n    requestBody:\n      content:\n"
        "        application/json: {schema: {$ref: 'body%20of.json#/a~1b'}}\n"
    )
    body = {
        "a/b": {
            "properties": {"n": {"$ref": "../api.json#/components/schemas/Own"}, "m": {"$ref": "#/m"}},
            "required": ["n"],
        }
    }
    (tmp_path / "parts" / "body of.json").write_text(json.dumps(body | {"m": {"type": "string"}}))
    document = load(tmp_path / "api.json")
    made = compile_document(document)
    (body_rule,) = made.operations[0].bodies or ()

    assert [name for name, _ in document.files] == ["api.json", "parts/paths.yaml", "parts/body of.json"]
    assert check(document) == []
    assert body_rule.validator is not None
    verdicts = {json.dumps(one): body_rule.validator.is_valid(one) for one in ({"n": 1, "m": "x"}, {"n": "x"}, {})}
    assert list(verdicts.values()) == [True, False, False], verdicts
    assert not body_rule.validator.is_valid({"n": 1, "m": 1})


def test_yaml_is_read_as_json_would_be(tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text(GOOD + "x-a: {on: 2020-01-01, 200: yes, y: off, t: true, n: 0x10, f: 1.5}\n")

    assert load(tmp_path / "api.yaml").data["x-a"] == {
        "on": "2020-01-01", "200": "yes", "y": "off", "t": True, "n": 16, "f": 1.5,
    }  # fmt: skip


def test_a_checked_document_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = open_folder(tmp_path / "state")
    path = tmp_path / "api.json"
    path.write_text(json.dumps(schemas(A={"$ref": "b.json"})))
    (tmp_path / "b.json").write_text('{"type": "integer"}')
    loads: list[Path] = []
    monkeypatch.setattr(prepared, "load", lambda one: loads.append(one) or load(one))

    first = prepare_document(path, state, strict=True)
    again = prepare_document(path, state, strict=True)
    assert (first, len(loads)) == (again, 1)
    (kept,) = state.glob("contract-*.json")
    assert kept.stat().st_mode & 0o777 == 0o600

    (tmp_path / "b.json").write_text('{"type": "string"}')
    prepare_document(path, state, strict=True)
    assert len(loads) == 2, "a file that it refers to has changed"
    for damage in ("{", "[]", '{"files": 3}', '{"files": [["../../etc/passwd", "x"]], "problems": [], "data": {}}'):
        kept.write_text(damage)
        before = len(loads)
        assert prepare_document(path, state, strict=True)[0].data["paths"]
        assert len(loads) == before + 1, damage
    kept.unlink()
    kept.symlink_to(tmp_path / "elsewhere.json")
    prepare_document(path, state, strict=True)
    assert not kept.is_symlink()
    assert not list(state.glob("*.tmp*"))


def test_problems_are_kept_too_and_strict_decides(tmp_path: Path) -> None:
    state = open_folder(tmp_path / "state")
    path = tmp_path / "api.json"
    path.write_text(json.dumps(CHECKED["an unknown key"][0]))

    for _ in range(2):
        with pytest.raises(DocumentError, match="colour"):
            prepare_document(path, state, strict=True)
        _, warnings = prepare_document(path, state, strict=False)
        assert "colour" in warnings[0]


def test_a_second_start_imports_neither_checker_nor_reference_nor_yaml(tmp_path: Path) -> None:
    code = (
        "import sys; from bsguard import guard; guard(lambda e, s: [], "
        f"{{'STATE_DIR': {str(tmp_path / 'state')!r}, 'CONTRACT_DOCUMENTS': [{str(OURS)!r}]}}); "
        "print([one for one in ('openapi_spec_validator', 'openapi_core', 'jsonschema', 'yaml') if one in sys.modules])"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]

    assert "openapi_spec_validator" in runs[0].stdout
    assert runs[1].stdout == "[]\n"


SERVERS: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str]]]] = {
    "none": ([], [("", "")]),
    "relative": ([{"url": "/v2/"}], [("", "/v2")]),
    "hosts": (
        [{"url": "https://A.example.com:8443/v1"}, {"url": "//b.example.com"}],
        [("a.example.com", "/v1"), ("b.example.com", "")],
    ),
    "lists of values": (
        [{"url": "https://{r}.example.com/{v}", "variables": {"r": {"enum": ["us", "eu"]}, "v": {"default": "v1"}}}],
        [("us.example.com", "/v1"), ("eu.example.com", "/v1")],
    ),
    "a label without values": (
        [{"url": "https://{t}.example.com", "variables": {"t": {"default": "x"}}}],
        [("*.example.com", "")],
    ),
}


@pytest.mark.parametrize("case", SERVERS)
def test_servers(case: str) -> None:
    servers, expected = SERVERS[case]
    made = compiled({"/x": {"get": operation()}}, servers=servers)

    assert [(mount.host, mount.prefix) for mount in made.mounts] == expected


def test_what_cannot_be_compiled_exactly_names_its_reason() -> None:
    made = compiled(
        {
            "/a": {"get": operation(query("q", {"type": "array", "items": {"type": "array"}}))},
            "/b": {"post": operation(body={"pattern": "(?<name"})},
            "/c": {"get": operation({"name": "q", "in": "query", "content": {"text/xml": {"schema": {}}}})},
            "/d": {
                "post": {
                    "responses": {},
                    "requestBody": {"content": {"application/xml": {"schema": {"type": "object"}}}},
                }
            },
            "/e": {"get": operation(query("q", {"type": "string", "format": "colour"}))},
        }
    )
    reasons = {one.template: one.reference for one in made.operations}

    assert "arrays or objects inside" in reasons["/a"]
    assert "the schema of application/json" in reasons["/b"]
    assert "text/xml" in reasons["/c"]
    assert reasons["/d"] == reasons["/e"] == ""
    assert made.operations[3].notes == ("bodies of application/xml are not judged by their schema",)
    assert set(made.formats) == {"colour"}


@needs("openapi")
@pytest.mark.parametrize(("name", "operations", "exact"), [("openai", 288, 277), ("box", 296, 295)])
def test_real_documents_compile(name: str, operations: int, exact: int) -> None:
    made = compile_document(load(DATA / "openapi" / name / "openapi.json"))

    assert len(made.operations) == operations
    assert sum(not one.reference for one in made.operations) == exact


@pytest.mark.parametrize("make", [lambda: {"type": "object"}, lambda: {"anyOf": [{"type": "integer"}, REF]}])
def test_schemas_that_contain_themselves_within_properties_are_fine(make: Callable[[], dict[str, Any]]) -> None:
    made = compiled(
        {"/x": {"post": operation(body=REF)}},
        components={"schemas": {"A": {"properties": {"a": REF, "b": make()}, "items": REF}}},
    )
    (rule,) = made.operations[0].bodies or ()

    assert rule.validator is not None
    assert rule.validator.is_valid({"a": {"a": {"b": {}}}}) is (make() == {"type": "object"} or True)

"""``bsguard contract …``: each command, its output as words and as JSON, and its exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from bsguard import guard
from bsguard.cli import main
from bsguard.contract.compiler import compile_document
from bsguard.contract.diff import newly_refused
from bsguard.contract.load import load
from bsguard.testing import environ, run
from tests.contract.support import OURS, compiled, operation, query, spec

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = query("limit", {"type": "integer", "maximum": 9})
DOCUMENT = spec({"/v1/a": {"get": operation(LIMIT, operationId="listA")}}, servers=[{"url": "https://one.example"}])


def fine(request: Any, start_response: Any) -> list[bytes]:
    request["wsgi.input"].read()
    start_response("200 OK", [])
    return [b"fine"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "api.json").write_text(json.dumps(DOCUMENT))
    values = {"MODE": "enforce", "STATE_DIR": str(tmp_path / "state"), "CONTRACT_LEARN": True}
    values["CONTRACT_DOCUMENTS"] = [str(tmp_path / "api.json")]
    (tmp_path / "guard.json").write_text(json.dumps(values))
    return tmp_path / "guard.json"


def command(config: Path, *words: str, sent: str = "") -> tuple[int, list[str]]:
    done = CliRunner().invoke(main, ["--config", str(config), "contract", *words], input=sent)
    return done.exit_code, done.output.splitlines()


def send(config: Path, *requests: tuple[Any, ...]) -> None:
    made = guard(fine, json.loads(config.read_text()))
    for method, target, headers, body in requests:
        run(made, environ(method, target, headers=headers, body=body))
    assert made.store is not None
    made.store.close()


ONE = {"Host": "one.example"}


def test_operations_are_listed_with_their_counts(config: Path) -> None:
    send(config, ("GET", "/v1/a?limit=10", ONE, b""), ("GET", "/v1/a?limit=x", ONE, b""), ("GET", "/v1/a", ONE, b""))
    code, lines = command(config, "operations")
    _, as_json = command(config, "operations", "--json")

    assert code == 0
    assert lines == [
        "block  GET     one.example/v1/a  (listA; plan; 2 refused, 0 reported)",
        "1 operations",
    ]
    assert json.loads(as_json[0])["refused"] == 2


def test_further_hosts_are_listed_where_something_was_violated(config: Path) -> None:
    values = json.loads(config.read_text())
    values["CONTRACT_DOCUMENTS"] = [{"file": values["CONTRACT_DOCUMENTS"][0], "hosts": ["localhost", "other.example"]}]
    config.write_text(json.dumps(values))
    send(config, ("GET", "/v1/a?limit=10", {"Host": "localhost"}, b""))

    assert command(config, "operations")[1] == [
        "block  GET     one.example/v1/a  (listA; plan; 0 refused, 0 reported)",
        "block  GET     localhost/v1/a  (listA; plan; 1 refused, 0 reported)",
        "1 operations",
    ]


def test_a_document_that_breaks_the_specification_is_not_called_ok(config: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text(json.dumps(spec({"/x": {"get": operation(colour="red")}})))
    _, lines = command(config, "check", str(tmp_path / "wrong.json"))

    assert [line[:5] for line in lines] == ["fail ", "warn "]
    assert "BSGUARD_CONTRACT_STRICT = False" in lines[1]


def test_a_document_is_checked(config: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text(json.dumps(spec({"/x": {"get": operation(colour="red")}})))

    assert command(config, "check", str(OURS)) == (0, [f"ok    {OURS}: 15 operations at 3 servers"])
    code, lines = command(config, "check", str(tmp_path / "wrong.json"))
    assert code == 1
    assert lines[0].startswith("fail  wrong.json#/paths/~1x/get: ")
    code, lines = command(config, "check", "--json", str(OURS), str(tmp_path / "wrong.json"))
    assert (code, [json.loads(line)["kind"] for line in lines]) == (1, ["compiled", "problem", "compiled"])


def test_a_request_is_explained(config: Path) -> None:
    head = "GET /v1/a?limit=10 HTTP/1.1\nHost: one.example\n\n"
    code, lines = command(config, "explain", "-", sent=head)

    assert code == 1
    assert lines[0] == "operation=listA route=/v1/a action=block falls=on an operation"
    assert "contract.parameter.invalid: a parameter breaks its schema: query limit maximum" in lines[1]
    assert lines[2] == "refused"
    assert command(config, "explain", "-", sent=head.replace("10", "9"))[0] == 0
    code, lines = command(config, "explain", "--json", "-", sent=head)
    assert json.loads(lines[-1])["details"] == [{"in": "query", "name": "limit", "rule": "maximum"}]
    for broken in ("nothing", "GET x HTTP/1.1\n\n", "GET /a HTTP/1.1\nno colon\n\n"):
        assert command(config, "explain", "-", sent=broken)[0] == 2


def test_a_document_is_learned(config: Path, tmp_path: Path) -> None:
    code, lines = command(config, "learn")
    assert (code, "BSGUARD_CONTRACT_LEARN" in lines[0], len(lines)) == (1, True, 1)
    media = {"Content-Type": "application/json"}
    send(
        config,
        ("GET", "/users/17?page=1", {}, b""),
        ("GET", "/users/18?page=2&sort=a", {}, b""),
        ("POST", "/users", media, b'{"name": "x", "age": 3}'),
        ("POST", "/users", media, b'{"name": "y", "at": "2026-01-01"}'),
    )
    code, lines = command(config, "learn", "--output", str(tmp_path / "learned.yaml"))
    document = yaml.safe_load((tmp_path / "learned.yaml").read_text())

    assert (code, lines[0].endswith("2 paths from 4 shapes of requests")) == (0, True)
    parameters = document["paths"]["/users/{id1}"]["get"]["parameters"]
    assert [(one["name"], one.get("required", False), one["schema"]["type"]) for one in parameters] == [
        ("id1", True, "string"),
        ("page", True, "integer"),
        ("sort", False, "string"),
    ]
    body = document["paths"]["/users"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert (sorted(body["properties"]), body["required"]) == (["age", "at", "name"], ["name"])
    assert len(compile_document(load(tmp_path / "learned.yaml")).operations) == 2


STRICTER: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({"/a": {"get": operation()}}, {}, ["is no longer described"]),
    ({"/a": {"get": operation()}}, {"/a": {"get": operation(query("q", {}, required=True))}}, ["is required now"]),
    ({"/a": {"get": operation(query("q", {}))}}, {"/a": {"get": operation()}}, ["is no longer declared"]),
    (
        {"/a": {"get": operation(query("q", {"type": "integer", "maximum": 9}))}},
        {"/a": {"get": operation(query("q", {"type": "integer", "maximum": 5}))}},
        ["maximum is stricter"],
    ),
    (
        {"/a": {"get": operation(query("q", {"enum": ["a", "b"]}))}},
        {"/a": {"get": operation(query("q", {"enum": ["a"]}))}},
        ["1 of its values are gone"],
    ),
    ({"/a": {"post": operation()}}, {"/a": {"post": operation(body={})}}, ["is required now"]),
    (
        {"/a": {"post": operation(body={"properties": {"x": {"type": ["string", "null"]}, "y": {}}})}},
        {
            "/a": {
                "post": operation(
                    body={"properties": {"x": {"type": "string"}}, "additionalProperties": False, "required": ["x"]}
                )
            }
        },
        ["is required now", "takes no further properties now", "is no longer declared", "may no longer be null"],
    ),
    (
        {"/a": {"get": operation(query("q", {"maxLength": 5}))}},
        {"/a": {"get": operation(query("q", {"maxLength": 6}))}},
        [],
    ),
]


@pytest.mark.parametrize(("old", "new", "messages"), STRICTER)
def test_what_is_newly_refused(old: dict[str, Any], new: dict[str, Any], messages: list[str]) -> None:
    assert [change.message for change in newly_refused(compiled(old), compiled(new))] == messages


def test_documents_are_compared(config: Path, tmp_path: Path) -> None:
    (tmp_path / "new.json").write_text(json.dumps(DOCUMENT).replace('"maximum": 9', '"maximum": 8'))

    assert command(config, "diff", str(tmp_path / "api.json"), str(tmp_path / "new.json")) == (
        1,
        ["GET /v1/a: query limit: maximum is stricter"],
    )
    assert command(config, "diff", str(tmp_path / "new.json"), str(tmp_path / "api.json"))[0] == 0


def test_commands_without_a_document_say_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "guard.json").write_text("{}")
    code, lines = command(tmp_path / "guard.json", "operations")

    assert code == 2
    assert "BSGUARD_CONTRACT_DOCUMENTS" in lines[0]

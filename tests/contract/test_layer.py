"""The layer among its settings: actions, override, fallthrough, hosts, modes, engines, learning."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from bsguard import BSGuard, ConfigError, Contract, guard
from bsguard.contract.values import Parameter, Shape
from bsguard.core import strict_json
from bsguard.core.request import Request
from bsguard.core.settings import Settings
from bsguard.testing import environ, run
from tests.contract.support import OURS, Guarded, operation, query, spec

if TYPE_CHECKING:
    from pathlib import Path

JSON = {"Content-Type": "application/json"}
LIMIT = query("limit", {"type": "integer", "maximum": 9})
DOCUMENT = spec(
    {
        "/v1/a": {
            "get": operation(LIMIT, operationId="listA"),
            "post": operation(body={"type": "object"}, operationId="makeA"),
        },
        "/v1/b": {"get": operation(LIMIT, operationId="listB")},
    },
    servers=[{"url": "https://one.example"}, {"url": "https://two.example/api"}],
)
ONE, TWO = {"Host": "one.example"}, {"Host": "two.example"}
WRONG = "/v1/a?limit=10"


def act(tmp_path: Path, target: str, headers: dict[str, str], **config: Any) -> tuple[int, list[str]]:
    guarded = Guarded(tmp_path, DOCUMENT, **config)
    status = guarded.ask("GET", target, headers=headers).status
    return status, [event.action for event in guarded.events if hasattr(event, "code")]  # type: ignore[attr-defined]


ACTED: dict[str, tuple[dict[str, Any], str, dict[str, str], int, list[str]]] = {
    "block by default": ({}, WRONG, ONE, 400, ["denied"]),
    "log everywhere": ({"ACTION": "log"}, WRONG, ONE, 200, ["logged"]),
    "none everywhere": ({"ACTION": "none"}, WRONG, ONE, 200, []),
    "one operation by id": ({"ACTIONS": {"listA": "log"}}, WRONG, ONE, 200, ["logged"]),
    "the others as before": ({"ACTIONS": {"listA": "log"}}, "/v1/b?limit=10", ONE, 400, ["denied"]),
    "one operation by path": ({"ACTIONS": {"GET /v1/a": "none"}}, WRONG, ONE, 200, []),
    "by host": ({"ACTIONS": {"GET two.example/api/v1/a": "log"}}, f"/api{WRONG}", TWO, 200, ["logged"]),
    "not at the other host": ({"ACTIONS": {"GET two.example/api/v1/a": "log"}}, WRONG, ONE, 400, ["denied"]),
    "the most special name": (
        {"ACTIONS": {"listA": "none", "GET one.example/v1/a": "block"}},
        WRONG,
        ONE,
        400,
        ["denied"],
    ),
    "an override": ({"ACTIONS": {"listA": "block"}, "OVERRIDE": "log"}, WRONG, ONE, 200, ["logged"]),
    "an override to none": ({"OVERRIDE": "none"}, WRONG, ONE, 200, []),
    "a rule's own mode": ({"RULE_MODES": {"contract.parameter.invalid": "monitor"}}, WRONG, ONE, 200, ["would_deny"]),
    "undeclared, refused": ({}, "/v1/a?x=1", ONE, 400, ["denied"]),
    "undeclared, reported": ({"UNSPECIFIED_PARAMETERS": "log"}, "/v1/a?x=1", ONE, 200, ["logged"]),
    "undeclared, passed over": ({"UNSPECIFIED_PARAMETERS": "none"}, "/v1/a?x=1", ONE, 200, []),
    "undeclared, never stricter than the operation": ({"ACTION": "log"}, "/v1/a?x=1", ONE, 200, ["logged"]),
    "ignored names": ({"PARAMETERS_IGNORED": ["utm_*", "_"]}, "/v1/a?utm_source=1&_=2&limit=3", ONE, 200, []),
    "unknown endpoints, reported": ({}, "/v1/zzz", ONE, 200, ["logged"]),
    "unknown endpoints, refused": ({"FALLTHROUGH": "block"}, "/v1/zzz", ONE, 404, ["denied"]),
    "unknown endpoints, passed over": ({"FALLTHROUGH": "none"}, "/v1/zzz", ONE, 200, []),
    "at the other server": ({"FALLTHROUGH": "block"}, "/api/v1/zzz", TWO, 404, ["denied"]),
    "outside the documents": ({"FALLTHROUGH": "block"}, "/static/x.css", ONE, 200, []),
    "outside, by its prefix": ({"FALLTHROUGH_ACTIONS": {"/admin/**": "block"}}, "/admin/x", ONE, 404, ["denied"]),
    "inside, by its prefix": (
        {"FALLTHROUGH": "block", "FALLTHROUGH_ACTIONS": {"/v1/internal/**": "none"}},
        "/v1/internal/x",
        ONE,
        200,
        [],
    ),
    "the other server's prefix": ({"FALLTHROUGH": "block"}, "/v1/a", TWO, 404, ["denied"]),
    "an unknown host": ({}, "/v1/a", {"Host": "three.example"}, 421, ["denied"]),
    "an unknown host under an override": ({"OVERRIDE": "log"}, "/v1/a", {"Host": "three.example"}, 200, ["logged"]),
}


@pytest.mark.parametrize("case", ACTED)
def test_actions(case: str, tmp_path: Path) -> None:
    config, target, headers, status, actions = ACTED[case]

    assert act(tmp_path, target, headers, **config) == (status, actions)
    assert len(ACTED) == 27


def test_monitoring_refuses_nothing(tmp_path: Path) -> None:
    assert act(tmp_path, WRONG, ONE, MODE="monitor") == (200, ["would_deny"])


def test_options_can_be_refused(tmp_path: Path) -> None:
    passing, refusing = Guarded(tmp_path, DOCUMENT), Guarded(tmp_path, DOCUMENT, OPTIONS="refuse")

    assert passing.ask("OPTIONS", "/v1/a", headers=ONE).status == 200
    answer = refusing.ask("OPTIONS", "/v1/a", headers=ONE)
    assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD, POST")


def test_unknown_endpoints_are_told_by_route(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, DOCUMENT)
    for path, route in {
        "/v1/users/17/x": "/v1/users/{id}/x",
        "/v1/users/4a0b8f6e-4a2f-4f2b-8c3e-0d3c5f6a7b8c": "/v1/users/{id}",
        "/v1/models": "/v1/models",
        "/v1/gen_0123456789abcdef": "/v1/{id}",
    }.items():
        guarded.ask("GET", path, headers=ONE)
        (event,) = [event for event in guarded.events if event.name == "endpoint.unknown"]
        assert event.route == route  # type: ignore[attr-defined]


def test_an_action_for_an_operation_that_does_not_exist_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean listA"):
        Guarded(tmp_path, DOCUMENT, ACTIONS={"listAs": "log"})


WRONG_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "a document without a file": ({"DOCUMENTS": [{"servers": []}]}, '"file"'),
    "a document with an unknown key": ({"DOCUMENTS": [{"file": "a", "server": "b"}]}, 'only "file"'),
    "a document that is a number": ({"DOCUMENTS": [3]}, "a path"),
    "a server that is none": ({"DOCUMENTS": [{"file": "a", "servers": ["ftp://x"]}]}, "an address"),
    "a host with a port": ({"DOCUMENTS": [{"file": "a", "hosts": ["x:1"]}]}, "without port"),
    "an action that is none": ({"ACTION": "deny"}, '"block"'),
    "actions that are a list": ({"ACTIONS": ["listA"]}, "from operations to actions"),
    "a share over one": ({"SHADOW_RATIO": 2}, "from 0 to 1"),
    "a depth over the safe one": ({"JSON_DEPTH_MAX": 101}, "from 1 to 100"),
}


@pytest.mark.parametrize("case", WRONG_SETTINGS)
def test_wrong_settings_are_told(case: str) -> None:
    config, words = WRONG_SETTINGS[case]

    with pytest.raises(ConfigError, match=words):
        Contract(lambda *_: [], config)


def test_servers_of_the_settings_take_the_place_of_the_documents(tmp_path: Path) -> None:
    (tmp_path / "api.json").write_text(json.dumps(DOCUMENT))
    entry = {"file": tmp_path / "api.json", "servers": ["https://staging.example/x"], "hosts": ["localhost"]}
    contract = Contract(_fine, {"DOCUMENTS": [entry], "FALLTHROUGH": "block"})

    def status(host: str, target: str) -> int:
        return run(contract, environ("GET", target, headers={"Host": host})).status

    assert status("staging.example", "/x/v1/a") == status("localhost", "/x/v1/a") == 200
    assert status("one.example", "/x/v1/a") == 421


def _fine(_request: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"fine"]


def test_without_documents_a_guard_leaves_the_layer_out(tmp_path: Path) -> None:
    made = guard(_fine, {"STATE_DIR": tmp_path, "MODE": "enforce"})

    assert "contract" not in made.plan.used
    assert run(Contract(_fine), environ()).status == 200


def test_all_45_operations_of_the_control_plane_are_served(tmp_path: Path) -> None:
    served = list(Guarded(tmp_path, OURS).layer.assembly.served())

    assert len(served) == 45
    assert {one.host for one in served} == {f"api.{region}.babysea.ai" for region in ("us", "eu", "jp")}
    assert {one.action for one in served} == {"block"}


@pytest.mark.parametrize("rules", [("/a/<x>", "/a/b", "/a/<x>/c", "/<y>/b")])
def test_the_router_finds_what_flask_finds(rules: tuple[str, ...], tmp_path: Path) -> None:
    """On a corpus of odd paths, either both find the same route, or both find none."""
    app = Flask("routes", static_folder=None)
    for rule in rules:
        app.add_url_rule(rule, rule, lambda **_: "ok")
    app.url_map.merge_slashes = False
    paths = {}
    for rule in rules:
        template = rule.replace("<", "{").replace(">", "}")
        names = [piece.split("}")[0] for piece in template.split("{")[1:]]
        declared = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
        paths[template] = {"get": operation(*declared)}
    assembly = Guarded(tmp_path, spec(paths)).layer.assembly
    pieces = ["", "a", "b", "c", "x", "é", "a b", "%", ".", "..", "a;b", "*"]
    corpus = [
        "/" + "/".join(parts) for one in pieces for two in pieces for parts in ([one], [one, two], [one, two, "c"])
    ]
    adapter = app.url_map.bind("localhost")
    compared = 0
    for path in corpus:
        request, _ = Request.of(environ("GET", PATH_INFO=path.encode().decode("latin-1")), Settings())
        place = assembly.place(request)
        try:
            rule, _ = adapter.match(path)
        except Exception:
            rule = None
        template = place.entry.template if place.entry else None
        expected = rule.replace("<", "{").replace(">", "}") if rule else None
        assert template == expected, path
        compared += 1

    assert compared == 432


def test_reasons_of_a_circular_schema_take_no_time(tmp_path: Path) -> None:
    """jsonschema-rs would look through 2 to the power of 60 combinations for them."""
    node = {"$ref": "#/components/schemas/N"}
    branches = [{"properties": {"c": node, name: {"type": "string"}}} for name in "xyd"]
    document = spec({"/x": {"post": operation(body=node)}}, components={"schemas": {"N": {"oneOf": branches}}})
    guarded = Guarded(tmp_path, document)

    answer = guarded.ask("POST", "/x", headers=JSON, body=b'{"c":' * 60 + b'{"d": 2}' + b"}" * 60)

    assert json.loads(answer.body)["error"]["details"] == [{"in": "body", "pointer": "", "rule": "oneOf"}]


def test_catastrophic_patterns_take_no_time(tmp_path: Path) -> None:
    patterns = ["^(a+)+$", "^(a|a)*$", r"^(\w+\s?)*$", "^(?=(a+)+$).*b", "(x+x+)+y"]
    guarded = Guarded(
        tmp_path,
        spec(
            {
                f"/{index}": {"get": operation(query("v", {"type": "string", "pattern": pattern}))}
                for index, pattern in enumerate(patterns)
            }
        ),
    )

    for index in range(len(patterns)):
        for letter in "ax":
            assert guarded.ask("GET", f"/{index}?v={letter * 5_000}!").status == 400


def test_patterns_with_back_references_stop_after_so_many_steps(tmp_path: Path) -> None:
    """The engine is linear for all others; these it lets match a text of this length only with a hundred times more."""
    guarded = Guarded(tmp_path, spec({"/x": {"post": operation(body={"pattern": r"^(\w+)\1$"})}}))

    for text, status in (("abab", 200), ("aba", 400), ("a" * 2_000, 200), ("a" * 100_000, 400)):
        assert guarded.ask("POST", "/x", headers=JSON, body=json.dumps(text).encode()).status == status, len(text)


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_engines_agree_on_plain_requests(engine: str, tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, OURS, ENGINE=engine)
    key = {"Authorization": "Bearer x"}
    asked = [
        ("GET", "/v1/models?kind=image", key, b"", 200),
        ("GET", "/v1/models?kind=sound", key, b"", 400),
        ("GET", "/v1/generations?limit=101", key, b"", 400),
        ("GET", "/v1/generations?limit=7&limit=7", key, b"", 400),
        ("GET", "/v1/models?x=1", key, b"", 400),
        ("GET", "/v1/models", {}, b"", 401),
        ("POST", "/v1/estimate", key | JSON, b'{"model": "reef-1"}', 200),
        ("POST", "/v1/estimate", key | JSON, b'{"model": 5}', 400),
        ("POST", "/v1/estimate", key | JSON, b"[" * 1000, 400),
        ("POST", "/v1/files", key | {"Content-Type": "image/png"}, b"\x89PNG", 200),
    ]
    for method, target, headers, body, status in asked:
        assert guarded.ask(method, target, headers=headers, body=body).status == status, target


@pytest.mark.parametrize("hostile", [b"\xff\xfe", b"[" * 5_000, b'{"kind": ["Cat"]}', b"{", b"", b"null"])
def test_the_reference_engine_raises_nothing(hostile: bytes, tmp_path: Path) -> None:
    cat = {"type": "object", "properties": {"kind": {"type": "string", "pattern": r"^\p{L}+$"}}}
    pet = {"oneOf": [{"$ref": "#/components/schemas/Cat"}], "discriminator": {"propertyName": "kind"}}
    document = spec(
        {"/x": {"post": operation(body={"$ref": "#/components/schemas/Pet"})}},
        components={"schemas": {"Cat": cat, "Pet": pet}},
    )
    guarded = Guarded(tmp_path, document, ENGINE="reference")

    for media_type in ("application/json", "application/json;charset", "text/plain"):
        assert guarded.ask("POST", "/x", headers={"Content-Type": media_type}, body=hostile).status in (400, 415)
    assert not [event for event in guarded.events if event.name == "layer.failed"]


def test_what_cannot_be_compiled_is_said_and_judged_by_the_reference(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    document = spec({"/x": {"get": operation(LIMIT, query("q", {"type": "array", "items": {"type": "array"}}))}})
    with caplog.at_level(logging.WARNING, logger="bsguard"):
        guarded = Guarded(tmp_path, document)

    assert "judged by the reference engine: a parameter with arrays" in caplog.text
    assert guarded.ask("GET", "/x?limit=3").status == 200
    assert guarded.ask("GET", "/x?limit=10").status == 400


def test_the_shadow_tells_where_the_engines_disagree(tmp_path: Path) -> None:
    body = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^a$"}}}
    guarded = Guarded(tmp_path, spec({"/x": {"post": operation(body=body)}}), SHADOW_RATIO=1.0)

    assert guarded.ask("POST", "/x", headers=JSON, body=b'{"a": "a\\n"}').status == 400
    (event,) = [event for event in guarded.events if event.name == "operation.disagreed"]
    assert (event.plan, event.reference) == (("body /a pattern",), ())  # type: ignore[attr-defined]
    assert guarded.ask("POST", "/x", headers=JSON, body=b'{"a": "a"}').status == 200
    assert not [event for event in guarded.events if event.name == "operation.disagreed"]


def test_shapes_are_learned_once_and_without_values(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, spec({}), LEARN=True)
    guarded.ask(
        "POST", "/v1/users/17?page=2", headers=JSON, body=b'{"name": "c4nary", "at": "2026-01-01", "tags": ["x"]}'
    )
    (event,) = [event for event in guarded.events if event.name == "endpoint.observed"]
    guarded.ask(
        "POST", "/v1/users/18?page=3", headers=JSON, body=b'{"name": "other", "at": "2026-01-02", "tags": ["y"]}'
    )

    assert not [event for event in guarded.events if event.name == "endpoint.observed"]
    assert (event.route, event.query) == ("/v1/users/{id}", ("page integer",))  # type: ignore[attr-defined]
    assert "c4nary" not in repr(event)
    assert json.loads(event.body)["properties"]["at"] == {"type": "string", "format": "date"}  # type: ignore[attr-defined]


def test_a_body_is_parsed_once_for_all_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "api.json").write_text(json.dumps(DOCUMENT))
    parsed: list[int] = []
    loads = strict_json.loads
    monkeypatch.setattr(strict_json, "loads", lambda *some: parsed.append(len(some[0])) or loads(*some))
    layers = ["protocol", "limiter", "contract", "tenant"]
    config = {"MODE": "enforce", "STATE_DIR": tmp_path / "state", "LAYERS": layers, "STORE": "memory"}
    made = guard(_fine, {**config, "CONTRACT_DOCUMENTS": [str(tmp_path / "api.json")]})

    for body, status in ((b"{}", 200), (b'{"a": 1}', 200), (b"[]", 400)):
        parsed.clear()
        assert run(made, environ("POST", "/v1/a", headers={**ONE, **JSON}, body=body)).status == status
        assert parsed == [len(body)]


METHODS = spec(
    {
        "/x": {"get": operation(), "head": operation(LIMIT)},
        "/y": {"options": operation(LIMIT)},
        "/z": {"post": operation()},
    }
)
#: A request, its status while OPTIONS passes, and while it is refused, and the methods that a 405 allows then.
ANSWERED: list[tuple[str, str, int, int, str]] = [
    ("HEAD", "/x?limit=1", 200, 200, ""),
    ("HEAD", "/x?limit=x", 400, 400, ""),
    ("HEAD", "/z", 405, 405, "POST"),
    ("HEAD", "/y", 405, 405, "OPTIONS"),
    ("OPTIONS", "/x", 200, 405, "GET, HEAD"),
    ("OPTIONS", "/y?limit=1", 200, 200, ""),
    ("OPTIONS", "/y?limit=x", 400, 400, ""),
    ("TRACE", "/x", 405, 405, "GET, HEAD"),
    ("get", "/x", 405, 405, "GET, HEAD"),
    ("PURGE", "/z", 405, 405, "POST"),
]


@pytest.mark.parametrize(("method", "target", "passing", "refusing", "allow"), ANSWERED)
def test_methods(method: str, target: str, passing: int, refusing: int, allow: str, tmp_path: Path) -> None:
    open_, closed = Guarded(tmp_path, METHODS), Guarded(tmp_path, METHODS, OPTIONS="refuse")

    assert open_.ask(method, target).status == passing
    answer = closed.ask(method, target)
    assert (answer.status, answer.header("Allow") or "") == (refusing, allow)
    assert method != "HEAD" or answer.body == b""
    assert len(ANSWERED) == 10


def test_with_flask(tmp_path: Path) -> None:
    (tmp_path / "api.json").write_text(json.dumps(spec({"/hello": {"get": operation(LIMIT)}})))
    app = Flask("site", instance_path=str(tmp_path / "instance"))
    app.add_url_rule("/hello", "hello", lambda: "hello")
    app.config |= {"BSGUARD_MODE": "enforce", "BSGUARD_CONTRACT_DOCUMENTS": [str(tmp_path / "api.json")]}
    BSGuard(app)
    client = app.test_client()

    assert client.get("/hello?limit=3").data == b"hello"
    assert client.get("/hello?limit=x").get_json()["error"]["code"] == "BSE1505"
    assert client.head("/hello").status_code == client.options("/hello").status_code == 200


def test_a_parameter_knows_its_key() -> None:
    assert Parameter("a", "query", False, "form", True, Shape(frozenset({"string"})), "0").key == "query a"

"""One request after another against one document: what openapi-core lets pass and a contract must not, and the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.contract.rules import CODE_OF, RULES
from tests.contract.support import OURS, Guarded, operation, query, spec

if TYPE_CHECKING:
    from pathlib import Path

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PARTS = {"Content-Type": "multipart/form-data; boundary=XX"}

NODE = {"$ref": "#/components/schemas/Node"}
COMPONENTS = {
    "schemas": {
        "Node": {
            "type": "object",
            "properties": {"next": NODE, "v": {"type": "integer"}},
            "additionalProperties": False,
        },
        "Cat": {
            "type": "object",
            "required": ["kind", "lives"],
            "properties": {"kind": {"type": "string"}, "lives": {"type": "integer"}},
        },
        "Dog": {
            "type": "object",
            "required": ["kind", "bark"],
            "properties": {"kind": {"type": "string"}, "bark": {"type": "boolean"}},
        },
        "Pet": {
            "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
            "discriminator": {"propertyName": "kind", "mapping": {"puppy": "#/components/schemas/Dog"}},
        },
    },
    "securitySchemes": {
        "bearer": {"type": "http", "scheme": "Bearer"},
        "basic": {"type": "http", "scheme": "basic"},
        "oauth": {"type": "oauth2", "flows": {}},
        "oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://x.example/"},
        "key": {"type": "apiKey", "in": "query", "name": "api_key"},
        "head": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
    },
}
FIELDS = {
    "type": "object",
    "required": ["n"],
    "properties": {
        "n": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "file": {"type": "string", "format": "binary"},
        "meta": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
    },
    "additionalProperties": False,
}
PATHS: dict[str, Any] = {
    "/items": {
        "get": operation(
            query("limit", {"type": "integer", "maximum": 9}), query("tag", {"type": "array"}), operationId="items"
        ),
        "post": operation(
            body={
                "type": "object",
                "required": ["name", "id"],
                "properties": {
                    "name": {"type": "string", "pattern": "^a$"},
                    "id": {"type": "string", "readOnly": True},
                    "price": {"type": "number", "multipleOf": 0.01},
                    "data": {"type": "string", "format": "byte"},
                    "n": {"type": "integer", "format": "int32"},
                },
                "additionalProperties": False,
            }
        ),
    },
    "/items/{id}": {
        "get": operation({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}),
        "put": operation({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}),
    },
    "/items/submit": {"post": operation()},
    "/items/{id}.json": {
        "get": operation({"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}})
    },
    "/node": {"post": operation(body=NODE)},
    "/pet": {"post": operation(body={"$ref": "#/components/schemas/Pet"})},
    "/form": {"post": {"responses": {}, "requestBody": {"content": {FORM["Content-Type"]: {"schema": FIELDS}}}}},
    "/parts": {"post": {"responses": {}, "requestBody": {"content": {"multipart/form-data": {"schema": FIELDS}}}}},
    "/text": {"post": {"responses": {}, "requestBody": {"content": {"text/plain": {"schema": {"maxLength": 3}}}}}},
    "/any": {"post": {"responses": {}, "requestBody": {"content": {"image/*": {}, "application/json": {}}}}},
    "/headers": {"get": operation({"name": "X-N", "in": "header", "required": True, "schema": {"type": "integer"}})},
    "/cookies": {"get": operation({"name": "c", "in": "cookie", "required": True, "schema": {"type": "integer"}})},
    **{f"/with-{name}": {"get": operation(security=[{name: []}])} for name in COMPONENTS["securitySchemes"]},
    "/with-two": {"get": operation(security=[{"bearer": [], "head": []}, {"cookie": []}])},
    "/with-any": {"get": operation(security=[{}, {"bearer": []}])},
}
DOCUMENT = spec(PATHS, components=COMPONENTS)


def part(name: str, text: str, extra: str = "") -> str:
    return f'--XX\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n{text}\r\n'


def parts(*all_of_them: str) -> bytes:
    return ("".join(all_of_them) + "--XX--\r\n").encode()


FILE = '; filename="a.bin"\r\nContent-Type: application/octet-stream'
AUTH = "Authorization"
# What is asked, and the rules that fire; none if it passes.
ASKED: dict[str, tuple[tuple[Any, ...], list[str]]] = {
    "a plain request": (("GET", "/items"), []),
    "a declared parameter": (("GET", "/items?limit=3&tag=a&tag=b"), []),
    "an undeclared parameter": (("GET", "/items?admin=1"), ["contract.parameter.undeclared"]),
    "an undeclared parameter in escapes": (("GET", "/items?%61dmin=1"), ["contract.parameter.undeclared"]),
    "a declared one in escapes": (("GET", "/items?%6cimit=3"), []),
    "a name with brackets": (("GET", "/items?limit%5B%5D=3"), ["contract.parameter.undeclared"]),
    "a second copy": (("GET", "/items?limit=1&limit=abc"), ["contract.parameter.duplicate"]),
    "a second copy in escapes": (("GET", "/items?limit=1&%6cimit=1"), ["contract.parameter.duplicate"]),
    "a value over its bound": (("GET", "/items?limit=10"), ["contract.parameter.invalid"]),
    "a name that is not UTF-8": (("GET", "/items?%FF=1"), ["contract.parameter.invalid"]),
    "an empty path parameter": (("GET", "/items/"), ["contract.endpoint"]),
    "a path parameter": (("GET", "/items/7"), []),
    "a line break in it": (("GET", "/items/7%0A"), []),
    "a line break after a fixed path": (("GET", "/items%0A"), ["contract.endpoint"]),
    "a trailing slash": (("GET", "/items/7/"), ["contract.endpoint"]),
    "a slash too many, which Werkzeug passes over": (("GET", "//items?limit=3"), []),
    "and what is wrong there": (("GET", "///items?limit=10"), ["contract.parameter.invalid"]),
    "a double slash": (("GET", "/items//7"), ["contract.endpoint"]),
    "an encoded slash": (("GET", "/items/a%2Fb"), ["contract.endpoint"]),
    "a path parameter that is not UTF-8": (("GET", "/items/%FF"), ["contract.parameter.invalid"]),
    "the concrete path before the template": (("POST", "/items/submit"), []),
    "its undeclared method": (("GET", "/items/submit"), ["contract.method"]),
    "a template within a segment": (("GET", "/items/7.json"), []),
    "a wrong one": (("GET", "/items/a.json"), ["contract.parameter.invalid"]),
    "a method that no operation has": (("DELETE", "/items"), ["contract.method"]),
    "HEAD follows GET": (("HEAD", "/items?limit=3"), []),
    "HEAD with what GET refuses": (("HEAD", "/items?limit=99"), ["contract.parameter.invalid"]),
    "OPTIONS": (("OPTIONS", "/items"), []),
    "an unknown path": (("GET", "/nothing"), ["contract.endpoint"]),
    "a body where none is declared": (("GET", "/items", JSON, b"{}"), ["contract.body.undeclared"]),
    "no body where one is needed": (("POST", "/items", JSON), ["contract.body.missing"]),
    "a body": (("POST", "/items", JSON, b'{"name": "a"}'), []),
    "a body that misses a field": (("POST", "/items", JSON, b"{}"), ["contract.body.invalid"]),
    "a body with an unknown field": (("POST", "/items", JSON, b'{"name": "a", "x": 1}'), ["contract.body.invalid"]),
    "a read-only field": (("POST", "/items", JSON, b'{"name": "a", "id": "1"}'), ["contract.body.invalid"]),
    "a line break at the end": (("POST", "/items", JSON, b'{"name": "a\\n"}'), ["contract.body.invalid"]),
    "cents": (("POST", "/items", JSON, b'{"name": "a", "price": 1.13}'), []),
    "half cents": (("POST", "/items", JSON, b'{"name": "a", "price": 1.135}'), ["contract.body.invalid"]),
    "base64": (("POST", "/items", JSON, b'{"name": "a", "data": "YQ=="}'), []),
    "wrong base64": (("POST", "/items", JSON, b'{"name": "a", "data": "Y"}'), ["contract.body.invalid"]),
    "an int32": (("POST", "/items", JSON, b'{"name": "a", "n": 2147483647}'), []),
    "more than an int32": (("POST", "/items", JSON, b'{"name": "a", "n": 2147483648}'), ["contract.body.invalid"]),
    "an integer with zeros": (("POST", "/items", JSON, b'{"name": "a", "n": 1.0}'), []),
    "a boolean for an integer": (("POST", "/items", JSON, b'{"name": "a", "n": true}'), ["contract.body.invalid"]),
    "a doubled key": (("POST", "/items", JSON, b'{"name": "a", "name": "b"}'), ["contract.body.json"]),
    "NaN": (("POST", "/items", JSON, b'{"name": "a", "price": NaN}'), ["contract.body.json"]),
    "a byte order mark": (("POST", "/items", JSON, b'\xef\xbb\xbf{"name": "a"}'), ["contract.body.json"]),
    "UTF-16": (("POST", "/items", JSON, '{"name": "a"}'.encode("utf-16")), ["contract.body.json"]),
    "not UTF-8": (("POST", "/items", JSON, b"\xff\xfe"), ["contract.body.json"]),
    "a lone surrogate": (("POST", "/items", JSON, b'{"name": "\\ud800"}'), ["contract.body.json"]),
    "too deep": (("POST", "/node", JSON, b'{"next":' * 65 + b"{}" + b"}" * 65), ["contract.body.json"]),
    "far too deep": (("POST", "/node", JSON, b"[" * 60_000), ["contract.body.json"]),
    "deep": (("POST", "/node", JSON, b'{"next":' * 63 + b"{}" + b"}" * 63), []),
    "wrong deep down": (
        ("POST", "/node", JSON, b'{"next":' * 40 + b'{"v": "x"}' + b"}" * 40),
        ["contract.body.invalid"],
    ),
    "no media type": (("POST", "/items", {}, b"{}"), ["contract.media-type"]),
    "another media type": (("POST", "/items", FORM, b"a=b"), ["contract.media-type"]),
    "half a parameter": (
        ("POST", "/items", {"Content-Type": "application/json;charset"}, b"{}"),
        ["contract.media-type"],
    ),
    "another charset": (
        ("POST", "/items", {"Content-Type": "application/json; charset=utf-7"}, b"{}"),
        ["contract.media-type"],
    ),
    "UTF-8 by name": (("POST", "/items", {"Content-Type": "application/json; charset=UTF-8"}, b'{"name": "a"}'), []),
    "a coded body": (("POST", "/items", {**JSON, "Content-Encoding": "gzip"}, b"\x1f\x8b"), ["contract.media-type"]),
    "a media range": (("POST", "/any", {"Content-Type": "image/png"}, b"\x89"), []),
    "JSON without a schema": (("POST", "/any", JSON, b"[1]"), []),
    "what is no JSON, without a schema": (("POST", "/any", JSON, b"["), ["contract.body.json"]),
    "a discriminated body": (("POST", "/pet", JSON, b'{"kind": "Cat", "lives": 9}'), []),
    "by its mapping": (("POST", "/pet", JSON, b'{"kind": "puppy", "bark": true}'), []),
    "of another branch": (("POST", "/pet", JSON, b'{"kind": "Dog", "lives": 9}'), ["contract.body.invalid"]),
    "of no branch": (("POST", "/pet", JSON, b'{"kind": "Fish", "lives": 9}'), ["contract.body.invalid"]),
    "a discriminator that is a list": (("POST", "/pet", JSON, b'{"kind": ["Cat"]}'), ["contract.body.invalid"]),
    "no discriminator": (("POST", "/pet", JSON, b"{}"), ["contract.body.invalid"]),
    "a form": (("POST", "/form", FORM, b"n=3&tags=a&tags=b&meta=%7B%22a%22%3A1%7D"), []),
    "a form without a field": (("POST", "/form", FORM, b"tags=a"), ["contract.body.invalid"]),
    "a form with a wrong field": (("POST", "/form", FORM, b"n=x"), ["contract.body.invalid"]),
    "a form with an unknown field": (("POST", "/form", FORM, b"n=1&x=1"), ["contract.body.invalid"]),
    "a form with a doubled field": (("POST", "/form", FORM, b"n=1&n=2"), ["contract.parameter.duplicate"]),
    "a form that is not UTF-8": (("POST", "/form", FORM, b"n=%FF"), ["contract.body.malformed"]),
    "a form with broken JSON": (("POST", "/form", FORM, b"n=1&meta=%7B"), ["contract.body.json"]),
    "parts": (("POST", "/parts", PARTS, parts(part("n", "3"), part("file", "\x00\x01", FILE))), []),
    "parts that repeat for a list": (("POST", "/parts", PARTS, parts(part("n", "3"), *[part("tags", "a")] * 2)), []),
    "a doubled part": (("POST", "/parts", PARTS, parts(*[part("n", "3")] * 2)), ["contract.parameter.duplicate"]),
    "a wrong part": (("POST", "/parts", PARTS, parts(part("n", "x"))), ["contract.body.invalid"]),
    "an unknown part": (("POST", "/parts", PARTS, parts(part("n", "3"), part("x", "3"))), ["contract.body.invalid"]),
    "parts without an end": (("POST", "/parts", PARTS, part("n", "3").encode()), ["contract.body.malformed"]),
    "no parts at all": (("POST", "/parts", PARTS, b"nothing"), ["contract.body.malformed"]),
    "no boundary": (("POST", "/parts", {"Content-Type": "multipart/form-data"}, b"x"), ["contract.body.malformed"]),
    "a part without a name": (
        ("POST", "/parts", PARTS, b"--XX\r\nX: y\r\n\r\n1\r\n--XX--\r\n"),
        ["contract.body.malformed"],
    ),
    "text": (("POST", "/text", {"Content-Type": "text/plain"}, b"abc"), []),
    "text that is too long": (("POST", "/text", {"Content-Type": "text/plain"}, b"abcd"), ["contract.body.invalid"]),
    "text that is none": (("POST", "/text", {"Content-Type": "text/plain"}, b"\xff"), ["contract.body.malformed"]),
    "a header": (("GET", "/headers", {"X-N": "3"}), []),
    "a wrong header": (("GET", "/headers", {"X-N": "+3"}), ["contract.parameter.invalid"]),
    "a missing header": (("GET", "/headers"), ["contract.parameter.missing"]),
    "a cookie": (("GET", "/cookies", {"Cookie": "a=b; c=3"}), []),
    "a wrong cookie": (("GET", "/cookies", {"Cookie": "c=x"}), ["contract.parameter.invalid"]),
    "a doubled cookie": (("GET", "/cookies", {"Cookie": "c=3; c=4"}), ["contract.parameter.duplicate"]),
    "a missing cookie": (("GET", "/cookies"), ["contract.parameter.missing"]),
    **{
        f"no {name}": (("GET", f"/with-{name}"), ["contract.security"])
        for name in ("bearer", "basic", "oauth", "oidc", "key", "head", "cookie", "two")
    },
    "a bearer": (("GET", "/with-bearer", {AUTH: "bearer x"}), []),
    "an empty bearer": (("GET", "/with-bearer", {AUTH: "Bearer "}), ["contract.security"]),
    "another scheme": (("GET", "/with-bearer", {AUTH: "Basic x"}), ["contract.security"]),
    "basic": (("GET", "/with-basic", {AUTH: "Basic eDp5"}), []),
    "an OAuth token": (("GET", "/with-oauth", {AUTH: "Bearer x"}), []),
    "an OpenID token": (("GET", "/with-oidc", {AUTH: "Bearer x"}), []),
    "a key in the query, which is declared by that": (("GET", "/with-key?api_key=x"), []),
    "an empty key": (("GET", "/with-key?api_key="), ["contract.security"]),
    "a blank key": (("GET", "/with-key?api_key=%20+"), ["contract.security"]),
    "a key that is not UTF-8": (("GET", "/with-key?api_key=%FF"), ["contract.security"]),
    "a key by an escaped name": (("GET", "/with-key?api%5Fkey=x"), []),
    "an empty key in a cookie": (("GET", "/with-cookie", {"Cookie": 'sid=""'}), ["contract.security"]),
    "a key of another cookie": (("GET", "/with-cookie", {"Cookie": "xsid=x; SID=x"}), ["contract.security"]),
    "a blank key in a header": (("GET", "/with-head", {"X-Key": " "}), ["contract.security"]),
    "a scheme that only begins alike": (("GET", "/with-bearer", {AUTH: "Bearerx y"}), ["contract.security"]),
    "a doubled key in the query": (("GET", "/with-key?api_key=x&api_key=y"), ["contract.parameter.duplicate"]),
    "a key in a header": (("GET", "/with-head", {"X-Key": "x"}), []),
    "a key in a cookie": (("GET", "/with-cookie", {"Cookie": "sid=x"}), []),
    "half of two": (("GET", "/with-two", {AUTH: "Bearer x"}), ["contract.security"]),
    "both of two": (("GET", "/with-two", {AUTH: "Bearer x", "X-Key": "x"}), []),
    "the alternative": (("GET", "/with-two", {"Cookie": "sid=x"}), []),
    "none where none is needed": (("GET", "/with-any"), []),
}


@pytest.fixture(scope="module")
def guards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Guarded]:
    return {
        version: Guarded(tmp_path_factory.mktemp("api"), DOCUMENT | {"openapi": version}, FALLTHROUGH="block")
        for version in ("3.0.3", "3.1.0")
    }


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize("case", ASKED)
def test_each_request_gets_its_rules(case: str, version: str, guards: dict[str, Guarded]) -> None:
    asked, rules = ASKED[case]
    guarded = guards[version]
    guarded.calls = 0

    answer = guarded.ask(*asked[:2], headers=asked[2] if asked[2:] else {}, body=asked[3] if asked[3:] else b"")

    assert guarded.rules() == rules
    assert guarded.calls == (not rules)
    assert answer.status == (CODE_OF[rules[0]].status if rules else 200)
    if not rules and asked[3:]:
        assert answer.body == asked[3]


def test_chunked_bodies_show_at_their_end(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, DOCUMENT)

    for target, body, rules in (
        ("/items", b'{"name": "a"}', []),
        ("/items", b"{}", ["contract.body.invalid"]),
        ("/items", b"", ["contract.body.missing"]),
        ("/items/submit", b"", []),
        ("/items/submit", b"x", ["contract.body.undeclared"]),
        ("/parts", parts(part("n", "3")), []),
    ):
        headers = PARTS if target == "/parts" else JSON
        guarded.ask("POST", target, headers=headers, body=body, chunked=True)
        assert guarded.rules() == rules, (target, body)


def test_the_table_is_whole_and_knows_all_rules_but_two() -> None:
    provoked = {rule for _, rules in ASKED.values() for rule in rules}

    assert len(ASKED) == 125
    assert set(RULES) - provoked == {"contract.host", "contract.fields", "contract.shadow"}


def test_too_many_fields(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, DOCUMENT, FIELDS_COUNT_MAX=20)

    for method, target, headers, body in (
        ("GET", "/items?" + "&".join("tag=a" for _ in range(21)), {}, b""),
        ("POST", "/form", FORM, b"&".join([b"tags=a"] * 21)),
        ("POST", "/parts", PARTS, parts(*[part("tags", "a")] * 21)),
        ("POST", "/any", JSON, json.dumps(list(range(21))).encode()),
        ("POST", "/any", JSON, json.dumps([[[1] * 7] * 3]).encode()),
    ):
        guarded.ask(method, target, headers=headers, body=body)
        assert guarded.rules() == ["contract.fields"], target
    for method, target, headers, body in (
        ("GET", "/items?" + "&".join("tag=a" for _ in range(20)), {}, b""),
        ("POST", "/any", JSON, json.dumps(["," * 100]).encode()),
    ):
        guarded.ask(method, target, headers=headers, body=body)
        assert guarded.rules() == []


def test_an_undeclared_host_is_refused_where_documents_have_hosts(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, OURS)

    for host, target, status in (
        ("api.us.babysea.ai", "/v1/health", 200),
        ("api.jp.babysea.ai:8443", "/v1/health", 200),
        ("API.EU.babysea.ai.", "/v1/health", 200),
        ("localhost", "/v1/health", 200),
        ("evil.example", "/v1/health", 421),
        ("evil.example", "/v1/nothing", 421),
        ("", "/v1/health", 421),
        ("a@api.us.babysea.ai", "/v1/health", 421),
        ("evil.example", "/elsewhere", 200),
    ):
        assert guarded.ask("GET", target, headers={"Host": host}).status == status, (host, target)


def test_a_refusal_tells_places_and_rules_and_repeats_nothing(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, DOCUMENT)
    body = b'{"name": "c4nary", "c4nary": 1, "price": "c4nary", "data": "c4nary!"}'

    answer = guarded.ask("POST", "/items", headers=JSON, body=body)
    problem = guarded.ask("POST", "/items", headers={**JSON, "Accept": "application/problem+json"}, body=body)

    details = json.loads(answer.body)["error"]["details"]
    assert sorted((one["pointer"], one["rule"]) for one in details) == [
        ("", "additionalProperties"),
        ("/data", "format"),
        ("/name", "pattern"),
        ("/price", "type"),
    ]
    assert json.loads(problem.body)["errors"] == details
    assert b"c4nary" not in answer.body + problem.body
    assert "c4nary" not in repr(guarded.events)


def test_keys_that_only_the_client_knows_are_not_repeated(tmp_path: Path) -> None:
    free = {"type": "object", "additionalProperties": {"type": "integer"}}
    guarded = Guarded(tmp_path, spec({"/x": {"post": operation(body=free)}}))

    answer = guarded.ask("POST", "/x", headers=JSON, body=b'{"c4nary": "x"}')

    assert json.loads(answer.body)["error"]["details"] == [{"in": "body", "pointer": "/*", "rule": "type"}]


def test_ten_violations_are_told_at_most(tmp_path: Path) -> None:
    body = {"type": "array", "items": {"type": "integer"}}
    guarded = Guarded(tmp_path, spec({"/x": {"post": operation(body=body)}}))

    answer = guarded.ask("POST", "/x", headers=JSON, body=json.dumps(["x"] * 50).encode())

    assert len(json.loads(answer.body)["error"]["details"]) == 10


def test_names_that_are_not_declared_are_told_to_the_operator_alone(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, DOCUMENT)

    answer = guarded.ask("GET", "/items?utm_source=x&%0Aforged=1&limit=3")

    (event,) = [event for event in guarded.events if event.name == "operation.violated"]
    assert event.undeclared == ("utm_source", "\\nforged")  # type: ignore[attr-defined]
    assert b"utm_source" not in answer.body


def test_a_401_names_the_schemes_and_a_405_the_methods(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, DOCUMENT)

    assert guarded.ask("GET", "/with-basic").header("WWW-Authenticate") == 'Basic realm="api"'
    assert guarded.ask("GET", "/with-head").header("WWW-Authenticate") == 'ApiKey realm="api"'
    assert guarded.ask("DELETE", "/items").header("Allow") == "GET, HEAD, OPTIONS, POST"


def test_a_mounted_application_is_judged_by_its_whole_path(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, spec({"/shop/items": {"get": operation()}}), FALLTHROUGH="block")

    assert guarded.ask("GET", "/items", SCRIPT_NAME="/shop").status == 200
    assert guarded.ask("GET", "/items").status == 200, "outside what documents describe"
    assert guarded.ask("GET", "/other", SCRIPT_NAME="/shop").status == 404
    assert guarded.ask("GET", "//items?x=1", SCRIPT_NAME="/shop").status == 400

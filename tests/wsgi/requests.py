"""One table of requests with what each layer makes of them; several tests send them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bsguard.testing import environ
from tests.wsgi.support import API, SURFACES, WEB, Breaking

if TYPE_CHECKING:
    from collections.abc import Callable

JSON = {"Host": API, "Content-Type": "application/json"}
FORM = {"Host": WEB, "Content-Type": "application/x-www-form-urlencoded"}

#: What the table is judged by.
SETTINGS: dict[str, Any] = {"SURFACES": SURFACES, "INSPECT_BYTES_MAX": 2048, "BODY_BYTES_MAX": 4096}


@dataclass(frozen=True)
class Case:
    """A request, the status and code it is answered with, and the rule that says so; no rule for one that passes.

    ``phase`` says whether the head alone decides. Each refused request breaks the rules of one layer only.
    """

    id: str
    make: Callable[[], dict[str, Any]]
    status: int = 200
    code: str = ""
    rule: str = ""
    phase: str = "head"


def _get(target: str, host: str = API, method: str = "GET", **more: Any) -> Callable[[], dict[str, Any]]:
    headers = {"Host": host, **more.pop("headers", {})}
    return lambda: environ(method, target, headers=headers, **more)


def _post(body: bytes, headers: dict[str, str], target: str = "/v1/items", **more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: environ("POST", target, headers=headers, body=body, **more)


def _broken_chunks() -> dict[str, Any]:
    return environ("POST", "/v1/items", headers=JSON, chunked=True) | {"wsgi.input": Breaking(b'{"a":')}


#: The layer with rules reads every body, and so refuses forms that are larger than what is inspected; leave it out.
WITHOUT_WAF = {"LAYERS": ["protocol", "limiter", "managed", "contract", "session", "tenant"]}

PASSING = (
    Case("a GET", _get("/v1/items")),
    Case("a GET with a query", _get("/v1/items?q=caf%C3%A9+au+lait&n=1")),
    Case("a GET of an escaped path", _get("/v1/caf%C3%A9")),
    Case("a HEAD", _get("/v1/items", method="HEAD")),
    Case("a preflight", _get("/v1/items", method="OPTIONS", headers={"Origin": "https://app.test"})),
    Case("a DELETE", _get("/v1/items/1", method="DELETE")),
    Case("JSON", _post(b'{"a": [1, 2]}', JSON)),
    Case("chunked JSON", _post(b'{"a": [1, 2]}', JSON, chunked=True)),
    Case("a POST without a body", _post(b"", {"Host": API})),
    Case("an HTML form on the site", _post(b"title=Reefs&body=text", FORM, "/posts")),
    Case("a chunked form", _post(b"title=Reefs", FORM, "/posts", chunked=True)),
    Case("a form larger than what is inspected", _post(b"a" * 4000, FORM, "/posts")),
    Case("a claimed account", _get("/v1/items", headers={"X-Account-Id": "victim"})),
    Case("a proxy header", _get("/v1/items", headers={"Proxy": "http://evil.test"})),
)

REFUSED_BY_PROTOCOL = (
    Case("an unknown method", _get("/v1/items", method="BREW"), 405, "BSE1102", "protocol.method"),
    Case("plain HTTP", _get("/v1/items", peer="203.0.113.9"), 403, "BSE1101", "protocol.https"),
    Case("an encoded slash", _get("/v1/a%2Fb"), 400, "BSE1114", "protocol.target.encoded-slash"),
    Case(
        "a path that is not the one on the wire",
        _get("/v1/items", PATH_INFO="/v1/admin"),
        400,
        "BSE1114",
        "protocol.target.mismatch",
    ),
    Case(
        "an oversized credential",
        _get("/v1/items", headers={"Authorization": "Bearer " + "a" * 9000}),
        431,
        "BSE1110",
        "protocol.authorization.size",
    ),
    Case("an expectation", _get("/v1/items", headers={"Expect": "tea"}), 417, "BSE1112", "protocol.expect"),
    Case(
        "two ways to end a body",
        _get("/v1/items", method="POST", headers={**JSON, "Transfer-Encoding": "chunked", "Content-Length": "2"}),
        400,
        "BSE1105",
        "protocol.framing.te-with-cl",
    ),
    Case(
        "a length that is no number",
        _get("/v1/items", method="POST", headers={**JSON, "Content-Length": "2, 2"}),
        400,
        "BSE1105",
        "protocol.framing.content-length",
    ),
    Case(
        "a form on the API",
        _post(b"a=1", {"Host": API, "Content-Type": "application/x-www-form-urlencoded"}),
        415,
        "BSE1108",
        "protocol.content-type.not-json",
    ),
    Case(
        "a coded body", _post(b"{}", {**JSON, "Content-Encoding": "gzip"}), 415, "BSE1109", "protocol.content-encoding"
    ),
    Case(
        "a body on a GET",
        lambda: environ("GET", "/v1/x", headers=JSON, body=b"{}"),
        400,
        "BSE1117",
        "protocol.body.method",
    ),
    Case("a length over the maximum", _post(b"a" * 5000, FORM, "/posts"), 413, "BSE1119", "protocol.body.size"),
    Case("a doubled key", _post(b'{"a":1,"a":2}', JSON), 400, "BSE1121", "protocol.json.duplicate-key", "body"),
    Case("a body that is no JSON", _post(b"{", JSON, chunked=True), 400, "BSE1121", "protocol.json.syntax", "body"),
    Case("JSON over the inspection limit", _post(b'"' + b"a" * 3000 + b'"', JSON), 413, "BSE1119", "body.size", "body"),
    Case(
        "chunked JSON over the inspection limit",
        _post(b'"' + b"a" * 3000 + b'"', JSON, chunked=True),
        413,
        "BSE1119",
        "body.size",
        "body",
    ),
    Case("broken chunks", _broken_chunks, 400, "BSE1120", "body.broken", "body"),
)

REFUSED_BY_TENANT = (
    Case("an undeclared host", _get("/v1/items", host="evil.test"), 421, "BSE1002", "tenant.host"),
    Case("the API host outside its prefix", _get("/admin"), 404, "BSE1001", "tenant.path"),
    Case("a prefix that only looks alike", _get("/v10/items"), 404, "BSE1001", "tenant.path"),
    Case("the API under the site's host", _get("/v1/items", host=WEB), 404, "BSE1001", "tenant.path"),
)

REFUSED = (*REFUSED_BY_PROTOCOL, *REFUSED_BY_TENANT)
ALL = (*PASSING, *REFUSED)
PASSING_COUNT, REFUSED_COUNT = 14, 21

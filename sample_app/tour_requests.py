"""The requests of the tour, as bytes, each with the answer that it must get."""

from __future__ import annotations

import json
from dataclasses import dataclass

_HOST = "Host: api.us.babysea.ai"
_JSON = "Content-Type: application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it stands on the wire, and what must come of it; no code means served, or refused by gunicorn."""

    name: str
    wire: bytes
    status: int
    code: str = ""
    #: How many of them are sent, one after another; the last one's answer counts.
    times: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: 0 and nothing if the connection was closed without an answer."""

    status: int = 0
    code: str = ""
    request_id: str = ""

    @classmethod
    def parse(cls, received: bytes) -> Answer:
        """Read status, error code and request id of the first answer in *received*."""
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        if not lines[0].startswith("HTTP/1."):
            return cls()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        return cls(int(lines[0].split(" ")[1]), _error_code(body), headers.get("x-request-id", ""))


def _error_code(body: bytes) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    error = document.get("error") if isinstance(document, dict) else None
    return str(error.get("code", "")) if isinstance(error, dict) else ""


def wire(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request as bytes: the request line, header lines, and a body with its length if there is one."""
    lines = [line + " HTTP/1.1", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def requests(secret: str, playground: str) -> list[Request]:
    """All of them, in the order in which they are sent, with a working API key and a key for the playground."""
    key = f"Authorization: Bearer {secret}"
    parts = (_served, _identity, _line_and_headers, _bodies, _paths, _contract)
    refused = [request for part in parts for request in part(key)]
    return [*refused, *_limits(key, f"Authorization: Bearer {playground}"), _out_of_order()]


def _out_of_order() -> Request:
    """Somebody with a credential that has never made a generation, nor asked for one, cancels one."""
    line = f"POST /v1/generations/gen_{'0' * 32}/cancel"
    return Request("cancel before anything was made", wire(line, _HOST, "Authorization: Bearer none"), 401, "BSE2002")


def _served(key: str) -> list[Request]:
    estimate = json.dumps({"model": "reef-1", "generation_output_number": 2}).encode()
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(estimate), estimate)
    post = ("POST /v1/estimate", _HOST, key, _JSON)
    return [
        Request("health, no key", wire("GET /v1/health", _HOST), 200),
        Request("models", wire("GET /v1/models", _HOST, key), 200),
        Request("generations", wire("GET /v1/generations?limit=2", _HOST, key), 200),
        Request("estimate", wire(*post, body=estimate), 200),
        Request("estimate, chunked", wire(*post, "Transfer-Encoding: chunked") + chunks, 200),
        Request("an image", _generate(key), 202),
        Request("models without a key", wire("GET /v1/models", _HOST), 401, "BSE1504"),
    ]


def _generate(key: str) -> bytes:
    body = json.dumps({"generation_prompt": "a lighthouse in fog"}).encode()
    line = "POST /v1/generate/image/reef-1"
    return wire(line, _HOST, key, _JSON, "Idempotency-Key: 01934f5e-tour", body=body)


def _identity(key: str) -> list[Request]:
    """A client names another account in every spelling; where it is served at all, it is served as itself."""
    line = "GET /v1/generations?limit=1"
    stripped = ("X-Account-Id", "x-account-id", "X-AccountId", "X-Account--Id", "XAccount-Id", "X-ACCOUNT-ID-")
    refused = ("X_Account_Id", "X-Account_Id", "X-Account-Id ", "X-Account-Id\t", " X-Account-Id")
    return [
        *(Request(f"spoofed {name}, stripped", wire(line, _HOST, key, f"{name}: victim"), 200) for name in stripped),
        *(Request(f"spoofed {name!r}", wire(line, _HOST, key, f"{name}: victim"), 400) for name in refused),
        Request("spoofed twice, stripped", wire(line, _HOST, key, *["X-Account-Id: victim"] * 2), 200),
        Request("two credentials", wire(line, _HOST, key, "Authorization: Bearer other"), 400, "BSE1111"),
    ]


def _line_and_headers(key: str) -> list[Request]:
    line = "GET /v1/models"
    proxied = ("X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https")
    both = ("Content-Length: 4", "Transfer-Encoding: chunked")
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    return [
        Request("method TRACE", wire("TRACE /v1/models", _HOST, key), 405, "BSE1102"),
        Request("HTTPS claimed by an untrusted proxy header", wire(line, _HOST, key, *proxied), 403, "BSE1101"),
        Request(
            "Authorization of 9,000 bytes", wire(line, _HOST, "Authorization: Bearer " + "a" * 9000), 431, "BSE1110"
        ),
        Request("host that is not served", wire(line, "Host: evil.example", key), 421, "BSE1503"),
        Request("host with a user name", wire(line, "Host: a@api.us.babysea.ai", key), 400, "BSE1106"),
        Request("upgrade to h2c", wire(line, _HOST, key, *upgrade), 400, "BSE1113"),
        Request("method override", wire(line, _HOST, key, "X-HTTP-Method-Override: DELETE"), 400, "BSE1118"),
        Request("Transfer-Encoding: gzip, chunked", _chunked("gzip, chunked", key), 400, "BSE1105"),
        Request("Content-Length and Transfer-Encoding", wire("POST /v1/estimate", _HOST, key, _JSON, *both), 400),
    ]


def _chunked(coding: str, key: str) -> bytes:
    return wire("POST /v1/estimate", _HOST, key, _JSON, f"Transfer-Encoding: {coding}") + b"2\r\n{}\r\n0\r\n\r\n"


def _bodies(key: str) -> list[Request]:
    def post(body: bytes, media_type: str = _JSON) -> bytes:
        return wire("POST /v1/estimate", _HOST, key, media_type, body=body)

    broken = wire("POST /v1/estimate", _HOST, key, _JSON, "Transfer-Encoding: chunked") + b"+5\r\nabcde\r\n0\r\n\r\n"
    gzip = wire("POST /v1/estimate", _HOST, key, _JSON, "Content-Encoding: gzip", body=b"\x1f\x8b")
    return [
        Request(
            "POST of a form", post(b"model=reef-1", "Content-Type: application/x-www-form-urlencoded"), 415, "BSE1108"
        ),
        Request("POST of plain text", post(b"{}", "Content-Type: text/plain"), 415, "BSE1108"),
        Request("JSON cut off", post(b'{"model": '), 400, "BSE1121"),
        Request("JSON with the same key twice", post(b'{"model": "reef-1", "model": "lagoon-3"}'), 400, "BSE1121"),
        Request("JSON with NaN", post(b'{"model": NaN}'), 400, "BSE1121"),
        Request("JSON in UTF-16", post('{"model": 1}'.encode("utf-16")), 400, "BSE1121"),
        Request("JSON 5,000 deep", post(b"[" * 5000 + b"]" * 5000), 400, "BSE1121"),
        Request("body of 200 KB", post(b'{"a": "' + b"a" * 200_000 + b'"}'), 413, "BSE1119"),
        Request("body in gzip", gzip, 415, "BSE1109"),
        Request("body on a GET", wire("GET /v1/models", _HOST, key, _JSON, body=b"{}"), 400, "BSE1117"),
        Request("chunk size +5", broken, 400, "BSE1120"),
        Request("estimate with an unknown model", post(b'{"model": "nope"}'), 404, "BSE2201"),
    ]


def _paths(key: str) -> list[Request]:
    def get(path: str) -> bytes:
        return wire(f"GET {path}", _HOST, key)

    tricks = {
        "..": "/v1/../admin",
        "%2e%2e": "/v1/%2e%2e/admin",
        "..;": "/v1/..;/admin",
        "double slash": "/v1//models",
        "%2f": "/v1%2fmodels",
        "backslash": "/v1/..\\admin",
        "NUL": "/v1/models%00.json",
        "double escape": "/v1/%252e%252e/admin",
        "overlong UTF-8": "/v1/%c0%ae%c0%ae/admin",
        "fragment": "/v1/models#x",
        "another host's URL": "http://evil.example/v1/models",
    }
    return [
        *(Request(f"path with {name}", get(path), 400, "BSE1114") for name, path in tricks.items()),
        Request("path outside the API", get("/admin"), 404, "BSE1001"),
        Request("path that does not exist", get("/v1/nothing"), 404, "BSE2101"),
    ]


def _limits(key: str, trying: str) -> list[Request]:
    """Each up to its limit, and once more."""
    prompt = json.dumps({"generation_prompt": "a reef"}).encode()
    trial = json.dumps({"model": "reef-1", "generation_prompt": "a reef"}).encode()
    playground = wire("POST /v1/playground", _HOST, trying, _JSON, "Idempotency-Key: 01934f5e-trial", body=trial)
    webhook = wire("POST /v1/webhooks/replicate", _HOST, _JSON, body=b"{}")
    cron = wire("POST /v1/cron/sweep", _HOST, "X-Cron-Secret: guessed")
    line = "POST /v1/generate/video/current-1"
    video = wire(line, _HOST, key, _JSON, "Idempotency-Key: 01934f5e-tour", body=prompt)
    return [
        Request("playground: 10 in a row", playground, 202, times=10),
        Request("playground: one too many", playground, 429, "BSE1301"),
        Request("webhooks: a flood of 700 in a minute", webhook, 429, "BSE1301", times=700),
        Request("webhooks: still no ban", wire("GET /v1/health", _HOST), 200),
        Request("cron: the fourth in a minute, with a wrong secret", cron, 401, "BSE2006", times=3),
        Request("cron: one too many, whoever asks", cron, 429, "BSE1301"),
        Request("videos: what the account's plan allows", video, 202, times=6),
        Request("videos: one too many for the plan", video, 429, "BSE2204"),
    ]


def _contract(key: str) -> list[Request]:
    """What `openapi/control-plane.yaml` does not allow; the details of each answer are in its body."""

    def get(target: str, *headers: str) -> bytes:
        return wire(f"GET {target}", _HOST, key, *headers)

    def post(line: str, document: object, *headers: str) -> bytes:
        return wire(line, _HOST, key, _JSON, *headers, body=json.dumps(document).encode())

    image = "POST /v1/generate/image/reef-1"
    return [
        Request("parameter that is not declared", get("/v1/models?kind=image&admin=1"), 400, "BSE1506"),
        Request("parameter sent twice", get("/v1/generations?limit=2&limit=9999"), 400, "BSE1505"),
        Request("limit=+7", get("/v1/generations?limit=+7"), 400, "BSE1505"),
        Request("limit over its maximum", get("/v1/generations?limit=101"), 400, "BSE1505"),
        Request("id that is none", get("/v1/generations/1%20OR%201=1"), 400, "BSE1505"),
        Request("method that the path does not have", wire("PUT /v1/models", _HOST, key), 405, "BSE1502"),
        Request("body without a required field", post(image, {"generation_ratio": "1:1"}), 400, "BSE1510"),
        Request("body with an unknown field", post(image, {"generation_prompt": "x", "price": 0}), 400, "BSE1510"),
        Request("top-up without Idempotency-Key", post("POST /v1/billing/topups", {"credits": 5}), 400, "BSE1505"),
        Request("body where none is taken", post(f"POST /v1/generations/gen_{'0' * 32}/cancel", {}), 400, "BSE1509"),
        Request("cron without its secret", wire("POST /v1/cron/sweep", _HOST, key), 401, "BSE1504"),
    ]

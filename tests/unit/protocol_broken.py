"""Requests that break one rule of the protocol layer each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bsguard.core import codes
from bsguard.testing import environ
from tests.unit.support import API, SURFACES, WEB

if TYPE_CHECKING:
    from bsguard.core.codes import Code

JSON = {"Content-Type": "application/json"}
ON_API = {"SURFACES": SURFACES}


@dataclass(frozen=True)
class Broken:
    """A request that breaks exactly the named rules."""

    rules: tuple[str, ...]
    code: Code
    sent: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def breaks(rule: str, code: Code, sent: dict[str, Any], *also: str, **more: Any) -> Broken:
    return Broken(tuple(f"protocol.{name}" for name in (rule, *also)), code, sent, **more)


def at(target: str, **more: Any) -> dict[str, Any]:
    return environ("GET", target, **more)


def body(data: bytes, headers: dict[str, str] | None = None, target: str = "/", **more: Any) -> dict[str, Any]:
    return environ(more.pop("method", "POST"), target, headers=JSON | (headers or {}), body=data, **more)


def on_api(data: bytes, headers: dict[str, str], target: str = "/v1/a", **more: Any) -> dict[str, Any]:
    return environ("POST", target, headers={"Host": API, **headers}, body=data, **more)


def wrong_target(name: str, sent: dict[str, Any], *also: str, **more: Any) -> Broken:
    also = tuple(f"target.{one}" for one in also)
    return breaks(f"target.{name}", codes.INVALID_TARGET, sent, *also, **more)


def wrong_json(name: str, data: bytes, **more: Any) -> Broken:
    return breaks(f"json.{name}", codes.INVALID_JSON, body(data), **more)


LONG = "x" * 8192

BROKEN: dict[str, Broken] = {
    # The request line.
    "a method that is not allowed": breaks("method", codes.METHOD_NOT_ALLOWED, environ("TRACE")),
    "a method in small letters": breaks("method", codes.METHOD_NOT_ALLOWED, environ("get")),
    "a method of another protocol": breaks("method", codes.METHOD_NOT_ALLOWED, environ("PROPFIND")),
    "an empty method": breaks("method", codes.METHOD_NOT_ALLOWED, environ("")),
    "HTTP/0.9": breaks("version", codes.VERSION_NOT_SUPPORTED, environ(SERVER_PROTOCOL="HTTP/0.9")),
    "HTTP/9.9": breaks("version", codes.VERSION_NOT_SUPPORTED, environ(SERVER_PROTOCOL="HTTP/9.9")),
    "a version in small letters": breaks("version", codes.VERSION_NOT_SUPPORTED, environ(SERVER_PROTOCOL="http/1.1")),
    "plain HTTP": breaks("https", codes.HTTPS_REQUIRED, environ(peer="9.9.9.9")),
    "HTTPS by word of a stranger": breaks(
        "https", codes.HTTPS_REQUIRED, environ(peer="9.9.9.9", headers={"X-Forwarded-Proto": "https"})
    ),
    "HTTPS by word of an undeclared proxy": breaks(
        "https",
        codes.HTTPS_REQUIRED,
        environ(headers={"X-Forwarded-Proto": "https"}, **{"wsgi.url_scheme": "https"}),
    ),
    "plain HTTP beside an exempt path": breaks(
        "https",
        codes.HTTPS_REQUIRED,
        environ("GET", "/healthz", peer="9.9.9.9"),
        config={"HTTPS_PATHS_EXEMPT": "/health"},
    ),
    # Header lines.
    "a header name with a space": breaks("header.name", codes.MALFORMED_HEADER, environ(**{"HTTP_X_A ": "1"})),
    "a header name in small letters": breaks("header.name", codes.MALFORMED_HEADER, environ(HTTP_x_a="1")),
    "a header without a name": breaks("header.name", codes.MALFORMED_HEADER, environ(HTTP_="1")),
    "a header name with a hyphen left": breaks("header.name", codes.MALFORMED_HEADER, environ(**{"HTTP_X-A": "1"})),
    "a second Content-Length": breaks("header.name", codes.MALFORMED_HEADER, environ(HTTP_CONTENT_LENGTH="1")),
    "a second Content-Type": breaks("header.name", codes.MALFORMED_HEADER, environ(HTTP_CONTENT_TYPE="a/b")),
    "a line end in a value": breaks("header.value", codes.MALFORMED_HEADER, environ(headers={"X-A": "1\r\nX-B: 2"})),
    "a NUL in a value": breaks("header.value", codes.MALFORMED_HEADER, environ(headers={"X-A": "1\0"})),
    "a DEL in a value": breaks("header.value", codes.MALFORMED_HEADER, environ(headers={"Cookie": "\x7f"})),
    "an escape in a value": breaks("header.value", codes.MALFORMED_HEADER, environ(headers={"User-Agent": "\x1b[2J"})),
    "the mount point by header": breaks("header.mount", codes.MALFORMED_HEADER, environ(headers={"Script-Name": "/a"})),
    "the path by header": breaks("header.mount", codes.MALFORMED_HEADER, environ(headers={"Path-Info": "/a"})),
    "too many headers": breaks(
        "header.count", codes.HEADERS_TOO_LARGE, environ(headers={f"X-{number}": "1" for number in range(100)})
    ),
    "too many headers by setting": breaks(
        "header.count",
        codes.HEADERS_TOO_LARGE,
        environ(headers={f"X-{number}": "1" for number in range(8)}),
        config={"HEADERS_COUNT_MAX": 8},
    ),
    "too large headers": breaks("header.size", codes.HEADERS_TOO_LARGE, environ(headers={"Cookie": "x" * 65_536})),
    # Framing.
    "another transfer coding": breaks(
        "framing.transfer-encoding",
        codes.INVALID_FRAMING,
        body(b"", {"Transfer-Encoding": "gzip, chunked"}),
    ),
    "two transfer codings": breaks(
        "framing.transfer-encoding", codes.INVALID_FRAMING, body(b"", {"Transfer-Encoding": "chunked, chunked"})
    ),
    "a transfer coding of no name": breaks(
        "framing.transfer-encoding", codes.INVALID_FRAMING, body(b"", {"Transfer-Encoding": ""})
    ),
    "a transfer coding behind a vertical tab": breaks(
        "framing.transfer-encoding",
        codes.INVALID_FRAMING,
        body(b"", {"Transfer-Encoding": "\x0bchunked"}),
        "header.value",
    ),
    "chunks beside a length": breaks(
        "framing.te-with-cl", codes.INVALID_FRAMING, body(b"{}", {"Transfer-Encoding": "chunked"})
    ),
    "chunks beside a length of nothing": breaks(
        "framing.te-with-cl", codes.INVALID_FRAMING, body(b"", chunked=True, CONTENT_LENGTH="0")
    ),
    "chunks on HTTP/1.0": breaks(
        "framing.te-on-http10", codes.INVALID_FRAMING, body(b"{}", chunked=True, SERVER_PROTOCOL="HTTP/1.0")
    ),
    "chunks that the server leaves": breaks(
        "framing.unterminated", codes.INVALID_FRAMING, body(b"{}", chunked=True, **{"wsgi.input_terminated": False})
    ),
    "a length with a sign": breaks("framing.content-length", codes.INVALID_FRAMING, body(b"{}", CONTENT_LENGTH="+2")),
    "two lengths": breaks("framing.content-length", codes.INVALID_FRAMING, body(b"{}", CONTENT_LENGTH="2, 2")),
    "a length of sixteen digits": breaks(
        "framing.content-length", codes.INVALID_FRAMING, body(b"{}", CONTENT_LENGTH="0" * 15 + "2")
    ),
    "a length with a space": breaks("framing.content-length", codes.INVALID_FRAMING, body(b"{}", CONTENT_LENGTH=" 2")),
    # Host.
    "no Host": breaks("host.missing", codes.INVALID_HOST, {k: v for k, v in environ().items() if k != "HTTP_HOST"}),
    "an empty Host": breaks("host.missing", codes.INVALID_HOST, environ(headers={"Host": ""})),
    "an empty Host on HTTP/1.0": breaks(
        "host.missing", codes.INVALID_HOST, environ(headers={"Host": ""}, SERVER_PROTOCOL="HTTP/1.0")
    ),
    "two Hosts": breaks("host.invalid", codes.INVALID_HOST, environ(headers={"Host": "a.test,b.test"})),
    "a Host with a path": breaks("host.invalid", codes.INVALID_HOST, environ(headers={"Host": "a.test/b"})),
    "a Host with a user": breaks("host.invalid", codes.INVALID_HOST, environ(headers={"Host": "a@b.test"})),
    "a Host with a port too large": breaks("host.invalid", codes.INVALID_HOST, environ(headers={"Host": "a:99999"})),
    # Content headers.
    "a type that is none": breaks(
        "content-type.invalid", codes.INVALID_CONTENT_TYPE, body(b"x", {"Content-Type": "x"})
    ),
    "two types": breaks(
        "content-type.invalid", codes.INVALID_CONTENT_TYPE, body(b"x", {"Content-Type": "a/b, application/json"})
    ),
    "a type with a doubled charset": breaks(
        "content-type.invalid",
        codes.INVALID_CONTENT_TYPE,
        body(b"x", {"Content-Type": "application/json; charset=utf-8; charset=utf-7"}),
    ),
    "a form on the API": breaks(
        "content-type.not-json",
        codes.UNSUPPORTED_MEDIA_TYPE,
        on_api(b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}),
        settings=ON_API,
    ),
    "no type on the API": breaks(
        "content-type.not-json", codes.UNSUPPORTED_MEDIA_TYPE, on_api(b"{}", {}), settings=ON_API
    ),
    "a file on another path of the API": breaks(
        "content-type.not-json",
        codes.UNSUPPORTED_MEDIA_TYPE,
        on_api(b"x", {"Content-Type": "image/png"}, "/v1/filesystem"),
        config={"CONTENT_TYPES": {"/v1/files": ["image/png"]}},
        settings=ON_API,
    ),
    "a form on the API's path under another host": breaks(
        "content-type.not-json",
        codes.UNSUPPORTED_MEDIA_TYPE,
        on_api(b"a=b", {"Content-Type": "text/plain", "Host": WEB}),
        settings=ON_API,
    ),
    "JSON in Latin-1": breaks(
        "content-type.charset",
        codes.UNSUPPORTED_MEDIA_TYPE,
        body(b"{}", {"Content-Type": "application/json; charset=iso-8859-1"}),
    ),
    "JSON in UTF-16": breaks(
        "content-type.charset",
        codes.UNSUPPORTED_MEDIA_TYPE,
        body(b"{}", {"Content-Type": 'application/a+json; charset="UTF-16"'}),
    ),
    "a coded body": breaks(
        "content-encoding", codes.UNSUPPORTED_CONTENT_ENCODING, body(b"\x1f\x8b", {"Content-Encoding": "gzip"})
    ),
    "a body coded twice, one declared": breaks(
        "content-encoding",
        codes.UNSUPPORTED_CONTENT_ENCODING,
        body(b"\x1f\x8b", {"Content-Encoding": "gzip, br"}),
        config={"CONTENT_ENCODINGS": "gzip"},
    ),
    # Credentials.
    "an Authorization too large": breaks(
        "authorization.size", codes.AUTHORIZATION_TOO_LARGE, environ(headers={"Authorization": "Bearer " + LONG})
    ),
    "an empty Authorization": breaks(
        "authorization.invalid", codes.INVALID_AUTHORIZATION, environ(headers={"Authorization": ""})
    ),
    "two credentials": breaks(
        "authorization.invalid", codes.INVALID_AUTHORIZATION, environ(headers={"Authorization": "Bearer a, Bearer b"})
    ),
    "two credentials, the first with parameters": breaks(
        "authorization.invalid",
        codes.INVALID_AUTHORIZATION,
        environ(headers={"Authorization": 'Digest username="a", realm="b", Bearer c'}),
    ),
    "a bearer with parameters": breaks(
        "authorization.invalid", codes.INVALID_AUTHORIZATION, environ(headers={"Authorization": 'bearer a="b"'})
    ),
    "a token with a space": breaks(
        "authorization.invalid", codes.INVALID_AUTHORIZATION, environ(headers={"Authorization": "Bearer a b"})
    ),
    "a scheme that is no token": breaks(
        "authorization.invalid", codes.INVALID_AUTHORIZATION, environ(headers={"Authorization": "Bea(rer) a"})
    ),
    # Headers that would change the game.
    "another expectation": breaks("expect", codes.EXPECTATION_FAILED, environ(headers={"Expect": "200-ok"})),
    "two expectations": breaks(
        "expect", codes.EXPECTATION_FAILED, environ(headers={"Expect": "100-continue, 100-continue"})
    ),
    "an upgrade": breaks("upgrade", codes.UPGRADE_REFUSED, environ(headers={"Upgrade": "h2c"})),
    "an upgrade beside a declared one": breaks(
        "upgrade",
        codes.UPGRADE_REFUSED,
        environ(headers={"Upgrade": "websocket, h2c"}),
        config={"UPGRADES": "websocket"},
    ),
    "settings of an upgrade": breaks("upgrade", codes.UPGRADE_REFUSED, environ(headers={"HTTP2-Settings": "AAA"})),
    "another method by header": breaks(
        "method-override", codes.METHOD_OVERRIDE_REFUSED, environ(headers={"X-HTTP-Method-Override": "DELETE"})
    ),
    "another method by an older header": breaks(
        "method-override", codes.METHOD_OVERRIDE_REFUSED, environ(headers={"X-HTTP-Method": "DELETE"})
    ),
    "another method by a shorter header": breaks(
        "method-override", codes.METHOD_OVERRIDE_REFUSED, environ(headers={"X-Method-Override": ""})
    ),
    # The body.
    "a body on GET": breaks("body.method", codes.BODY_NOT_ALLOWED, body(b"{}", method="GET")),
    "chunks on DELETE": breaks("body.method", codes.BODY_NOT_ALLOWED, body(b"{}", method="DELETE", chunked=True)),
    "a body on HEAD": breaks("body.method", codes.BODY_NOT_ALLOWED, body(b"{}", method="HEAD")),
    "a body on OPTIONS": breaks("body.method", codes.BODY_NOT_ALLOWED, body(b"{}", method="OPTIONS")),
    "a body on POST where it takes none": breaks(
        "body.method", codes.BODY_NOT_ALLOWED, body(b"{}"), config={"BODY_METHODS": "PUT"}
    ),
    "a body over the hard maximum": breaks(
        "body.size",
        codes.BODY_TOO_LARGE,
        environ("POST", "/", headers={"Content-Type": "image/png"}, CONTENT_LENGTH="16777217"),
    ),
    # The target.
    "a target too long": breaks("target.length", codes.TARGET_TOO_LONG, at("/?" + LONG)),
    "a target that is no path": wrong_target("form", at("a/b")),
    "an asterisk on GET": wrong_target("form", at("*")),
    "an authority as target": wrong_target("form", at("localhost:80")),
    "a URL of another host": wrong_target("form", at("http://evil.test/a", PATH_INFO="/a")),
    "a URL of another host behind ours": wrong_target("form", at("http://localhost@evil.test/", PATH_INFO="/")),
    "a URL of another scheme": wrong_target("form", at("file://localhost/a", PATH_INFO="/a")),
    "a space in the path": wrong_target("characters", at("/a b")),
    "a quote in the path": wrong_target("characters", at('/"')),
    "an angle bracket in the path": wrong_target("characters", at("/<script>")),
    "a brace in the path": wrong_target("characters", at("/{id}")),
    "a character beyond ASCII in the path": wrong_target("characters", at("/caf\xc3\xa9")),
    "a space in the query": wrong_target("characters", at("/?a b")),
    "a control character in the query": wrong_target("characters", at("/?a\x01")),
    "a character beyond ASCII in the query": wrong_target("characters", at("/?caf\xc3\xa9")),
    "a fragment": wrong_target("fragment", at("/a#b", PATH_INFO="/a")),
    "a fragment that the server left in the path": wrong_target("fragment", at("/a#b"), "mismatch"),
    "a fragment behind the query": wrong_target("fragment", at("/a?x#b", QUERY_STRING="x")),
    "a percent sign alone": wrong_target("escape", at("/100%")),
    "half an escape": wrong_target("escape", at("/%4")),
    "an escape of other letters": wrong_target("escape", at("/%zz")),
    "half an escape in the API's query": wrong_target(
        "query-escape", at("/v1/a?q=100%", headers={"Host": API}), settings=ON_API
    ),
    "a path that is no UTF-8": wrong_target("utf8", at("/caf%e9")),
    "an overlong slash": wrong_target("utf8", at("/a%c0%afb")),
    "an escaped NUL": wrong_target("control", at("/a%00.png")),
    "escaped line ends": wrong_target("control", at("/a%0d%0aSet-Cookie:x")),
    "an escaped C1 control": wrong_target("control", at("/a%c2%85")),
    "a backslash": wrong_target("backslash", at("/a\\b")),
    "an escaped backslash": wrong_target("backslash", at("/a%5Cb")),
    "two dots": wrong_target("dot-segment", at("/a/../b")),
    "one dot": wrong_target("dot-segment", at("/a/./b")),
    "dots at the end": wrong_target("dot-segment", at("/a/..")),
    "escaped dots": wrong_target("dot-segment", at("/a/%2e%2E/b")),
    "half escaped dots": wrong_target("dot-segment", at("/a/.%2e/b")),
    "dots before a semicolon": wrong_target("dot-segment", at("/a/..;x=1/b")),
    "dots behind a backslash": wrong_target("backslash", at("/a\\..\\b"), "dot-segment"),
    "dots behind an escaped slash": wrong_target("encoded-slash", at("/a%2f../b"), "dot-segment"),
    "two slashes": wrong_target("double-slash", at("/a//b")),
    "two slashes in front": wrong_target("double-slash", at("//evil.test/a")),
    "an escaped slash beside a slash": wrong_target("encoded-slash", at("/a/%2Fb"), "double-slash"),
    "an escaped slash": wrong_target("encoded-slash", at("/a%2fb")),
    "an escape within an escape": wrong_target("double-escape", at("/%2561")),
    "escaped dots within an escape": wrong_target("double-escape", at("/%252e%252e/")),
    "another path than the one on the wire": wrong_target("mismatch", at("/a", PATH_INFO="/b")),
    "another mount point than the one on the wire": wrong_target("mismatch", at("/a", SCRIPT_NAME="/b")),
    "a path normalised by the server": wrong_target("mismatch", at("/a/./b", PATH_INFO="/a/b")),
    "a path decoded twice by the server": wrong_target("mismatch", at("/%2561", PATH_INFO="/a")),
    # JSON.
    "JSON that is no UTF-8": wrong_json("encoding", b'"\xff"'),
    "JSON with a byte order mark": wrong_json("encoding", b"\xef\xbb\xbf{}"),
    "JSON too deep": wrong_json("depth", b"[" * 65 + b"]" * 65),
    "JSON too deep by setting": wrong_json("depth", b"[[[]]]", config={"JSON_DEPTH_MAX": 2}),
    "JSON that is none": wrong_json("syntax", b"{]"),
    "a JSON body of spaces": wrong_json("syntax", b"  "),
    "JSON with a doubled key": wrong_json("duplicate-key", b'{"a": 1, "a": 2}'),
    "JSON with NaN": wrong_json("number", b"[NaN]"),
    "JSON with a number that overflows": wrong_json("number", b"1e999"),
    "JSON with a lone surrogate": wrong_json("surrogate", rb'"\ud800"'),
    "JSON with a doubled key, coded as it is": breaks(
        "json.duplicate-key",
        codes.INVALID_JSON,
        body(b'{"a": 1, "a": 2}', {"Content-Encoding": "identity"}),
    ),
    "JSON with a doubled key, coded as it is twice": breaks(
        "json.duplicate-key",
        codes.INVALID_JSON,
        body(b'{"a": 1, "a": 2}', {"Content-Encoding": "identity, identity"}),
    ),
    "chunked JSON with a doubled key": breaks(
        "json.duplicate-key", codes.INVALID_JSON, body(b'{"a": 1, "a": 2}', chunked=True)
    ),
    "a dialect of JSON with a doubled key": breaks(
        "json.duplicate-key",
        codes.INVALID_JSON,
        body(b'{"a": 1, "a": 2}', {"Content-Type": "application/merge-patch+json"}),
    ),
}

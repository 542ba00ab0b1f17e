"""Requests that come close to breaking a rule of the protocol layer, and are legal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bsguard.testing import environ
from tests.unit.protocol_broken import JSON, ON_API, at, body, on_api
from tests.unit.support import API, WEB


@dataclass(frozen=True)
class Legal:
    """A request that both phases must allow without a word."""

    sent: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


LEGAL: dict[str, Legal] = {
    "a GET": Legal(environ()),
    "every method that is allowed by default": Legal(environ("PATCH")),
    "a method by setting": Legal(environ("PROPFIND"), {"METHODS": "GET,PROPFIND"}),
    "HTTP/1.0": Legal(environ(SERVER_PROTOCOL="HTTP/1.0")),
    "HTTP/1.0 without Host": Legal({k: v for k, v in environ(SERVER_PROTOCOL="HTTP/1.0").items() if k != "HTTP_HOST"}),
    "HTTP/2": Legal(environ(SERVER_PROTOCOL="HTTP/2")),
    "HTTP/2.0": Legal(environ(SERVER_PROTOCOL="HTTP/2.0")),
    "HTTPS": Legal(environ(peer="9.9.9.9", **{"wsgi.url_scheme": "https"})),
    "HTTPS by word of a declared proxy": Legal(
        environ(peer="10.0.0.1", headers={"X-Forwarded-Proto": "https"}), settings={"TRUSTED_PROXIES": "10.0.0.0/8"}
    ),
    "HTTPS of a client that came by a proxy of its own": Legal(
        environ(peer="9.9.9.9", headers={"Via": "1.1 office"}, **{"wsgi.url_scheme": "https"})
    ),
    "plain HTTP on this machine in six": Legal(environ(peer="::1")),
    "plain HTTP on an exempt path": Legal(environ("GET", "/health", peer="9.9.9.9"), {"HTTPS_PATHS_EXEMPT": "/health"}),
    "plain HTTP where that is allowed": Legal(environ(peer="9.9.9.9"), {"HTTPS": False}),
    "a tab and obsolete text in a value": Legal(environ(headers={"X-A": "a\tb \xe9\xff"})),
    "a name with digits": Legal(environ(headers={"X-Amz-Meta-2": "1"})),
    "a name with two hyphens": Legal(environ(headers={"X--A": "1"})),
    "an empty value": Legal(environ(headers={"X-A": ""})),
    "as many headers as allowed": Legal(environ(headers={f"X-{number}": "1" for number in range(99)})),
    "the mount point by word of a declared proxy": Legal(
        environ(peer="10.0.0.1", headers={"Script-Name": "/a", "X-Forwarded-Proto": "https"}),
        settings={"TRUSTED_PROXIES": "10.0.0.0/8"},
    ),
    "a Host with a port": Legal(environ(headers={"Host": "api.test:8443"})),
    "a Host of six": Legal(environ(headers={"Host": "[2001:db8::1]:80"})),
    "a Host with a final dot": Legal(environ(headers={"Host": "api.test."})),
    "a body of no bytes on GET": Legal(environ("GET", CONTENT_LENGTH="0")),
    "an empty Content-Length": Legal(environ("GET", CONTENT_LENGTH="")),
    "a POST without a body and type": Legal(environ("POST", "/v1/a", headers={"Host": API}), settings=ON_API),
    "a POST without a body, of a type": Legal(
        environ("POST", "/v1/a", headers={"Host": API, "Content-Type": "text/plain"}), settings=ON_API
    ),
    "a JSON type without a body": Legal(environ("DELETE", headers=JSON)),
    "JSON": Legal(body(b'{"a": 1}')),
    "chunked JSON": Legal(body(b'{"a": 1}', chunked=True)),
    "chunks of nothing as JSON": Legal(body(b"", chunked=True)),
    "chunked in capitals": Legal(body(b"{}", {"Transfer-Encoding": "Chunked"}) | {"CONTENT_LENGTH": ""}),
    "JSON in UTF-8 by name": Legal(body(b"{}", {"Content-Type": 'application/json; charset="UTF-8"'})),
    "JSON in utf8 by its other name": Legal(body(b"{}", {"Content-Type": "application/json;charset=utf8"})),
    "JSON with another parameter": Legal(body(b"{}", {"Content-Type": "application/json; version=2"})),
    "a dialect of JSON on the API": Legal(on_api(b"{}", {"Content-Type": "application/a+json"}), settings=ON_API),
    "JSON coded as it is": Legal(body(b"{}", {"Content-Encoding": "Identity"})),
    "a coding that is declared": Legal(body(b"\x1f\x8b", {"Content-Encoding": "GZip"}), {"CONTENT_ENCODINGS": "gzip"}),
    "text that looks like broken JSON": Legal(body(b"{]", {"Content-Type": "text/plain"})),
    "a form on the site": Legal(
        environ(
            "POST", "/login", headers={"Host": WEB, "Content-Type": "application/x-www-form-urlencoded"}, body=b"a=%zz"
        ),
        settings=ON_API,
    ),
    "a form where nothing is declared": Legal(body(b"a=b", {"Content-Type": "application/x-www-form-urlencoded"})),
    "a file on its path of the API": Legal(
        on_api(b"x", {"Content-Type": "Image/PNG; a=b"}, "/v1/files"),
        {"CONTENT_TYPES": {"/v1/files": "image/png"}},
        ON_API,
    ),
    "any file on its path of the API": Legal(
        on_api(b"x", {}, "/v1/files/7"), {"CONTENT_TYPES": {"/v1/files/{id}": ["*/*"]}}, ON_API
    ),
    "a body on DELETE where that is declared": Legal(body(b"{}", method="DELETE"), {"BODY_METHODS": "DELETE"}),
    "a bearer": Legal(environ(headers={"Authorization": "Bearer abc.def-_~+/=="})),
    "a scheme alone": Legal(environ(headers={"Authorization": "Negotiate"})),
    "basic credentials": Legal(environ(headers={"Authorization": "Basic dXNlcjpwYXNz"})),
    "two spaces": Legal(environ(headers={"Authorization": "Bearer  abc"})),
    "digest credentials": Legal(
        environ(headers={"Authorization": 'Digest username="a, Bearer b", realm="c\\"d", nc=00000001, qop=auth'})
    ),
    "a signature of AWS": Legal(
        environ(
            headers={
                "Authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/s3/aws4_request, "
                "SignedHeaders=host;x-amz-date, Signature=fe5f80"
            }
        )
    ),
    "a signature of OAuth 1": Legal(
        environ(headers={"Authorization": 'OAuth oauth_consumer_key="a", oauth_signature="b%2Bc%3D"'})
    ),
    "as large an Authorization as allowed": Legal(environ(headers={"Authorization": "Bearer " + "x" * 8185})),
    "100-continue": Legal(environ(headers={"Expect": "100-Continue"})),
    "an upgrade that is declared": Legal(environ(headers={"Upgrade": "WebSocket"}), {"UPGRADES": "websocket"}),
    "a method override where that is allowed": Legal(
        environ(headers={"X-HTTP-Method-Override": "PUT"}), {"METHOD_OVERRIDE": True}
    ),
    "a body of exactly the hard maximum": Legal(
        environ("POST", headers={"Content-Type": "image/png"}, CONTENT_LENGTH="16777216")
    ),
    "a target as long as allowed": Legal(at("/?" + "x" * 8190)),
    "the server as a whole": Legal(environ("OPTIONS", "*")),
    "a URL of this host": Legal(at("http://localhost/a?b", PATH_INFO="/a", QUERY_STRING="b")),
    "a URL of this host in capitals": Legal(at("HTTPS://LocalHost/a", PATH_INFO="/a")),
    "a URL of this host without a path": Legal(at("http://localhost", PATH_INFO="")),
    "an escaped space": Legal(at("/a%20b")),
    "an escaped character of another script": Legal(at("/caf%c3%a9/%F0%9F%AA%B8")),
    "every sign that may stand in a path": Legal(at("/a-._~!$&'()*+,;=:@|[]")),
    "every sign that may stand in a query": Legal(at("/?a-._~!$&'()*+,;=:@/?\"<>\\^`{|}[]%20")),
    "a URL in the query": Legal(at("/?next=https://a.test//b/../c")),
    "half an escape in the query of the site": Legal(at("/?q=100%", headers={"Host": WEB}), settings=ON_API),
    "a segment that starts with dots": Legal(at("/...")),
    "a hidden file": Legal(at("/.well-known/a")),
    "a segment that ends with dots": Legal(at("/a../b..c")),
    "a semicolon": Legal(at("/a;b=1/c")),
    "an escaped percent sign": Legal(at("/100%25")),
    "an escaped percent sign before other letters": Legal(at("/100%25zz")),
    "a final slash": Legal(at("/a/")),
    "a colon in the first segment": Legal(at("/a:b")),
    "a mount point": Legal(at("/app/a", SCRIPT_NAME="/app", PATH_INFO="/a")),
    "a mount point that ProxyFix wrote": Legal(
        at(
            "/a",
            SCRIPT_NAME="/app",
            HTTP_X_FORWARDED_PREFIX="/app",
            HTTP_X_FORWARDED_PROTO="https",
            **{"werkzeug.proxy_fix.orig": {"SCRIPT_NAME": "", "REMOTE_ADDR": "10.0.0.1"}},
        ),
        settings={"TRUSTED_PROXIES": ["10.0.0.0/8"]},
    ),
    "two slashes where they are declared": Legal(at("/a//b"), {"PATH_FORMS": "double-slash"}),
    "an escaped slash where it is declared": Legal(at("/a%2Fb"), {"PATH_FORMS": "encoded-slash"}),
    "an escape within an escape where it is declared": Legal(at("/%2561"), {"PATH_FORMS": "double-escape"}),
    "a server that gives no raw target": Legal({k: v for k, v in at("/a%20b").items() if k != "RAW_URI"}),
    "a server that names its raw target otherwise": Legal(
        {k: v for k, v in at("/a%20b", REQUEST_URI="/a%20b").items() if k != "RAW_URI"}
    ),
    "JSON as deep as allowed": Legal(body(b"[" * 64 + b"]" * 64)),
    "JSON with brackets in text": Legal(body(b'"' + b"[" * 100 + b'"')),
    "JSON with a pair of surrogates": Legal(body(rb'"\ud83e\udeb8"')),
}

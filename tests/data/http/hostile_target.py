"""Request targets that two readers take for two different resources (RFC 9112 section 3.2, RFC 3986, RFC 3629).

A rule on a path is worth what the path's normal form is worth: each of these is refused, never rewritten.
"""

from __future__ import annotations

from tests.data.http.case import CANARY, WEB, Hostile, get, head

TARGET = ("BSE1114",)
ROOT = b"/v1/" + CANARY


def at(
    name: str, target: bytes, why: str, *, server: tuple[int, ...] = (), host: bytes | None = b"api.test"
) -> Hostile:
    """A GET of one bad target."""
    return Hostile(name, get(target, host=host), why, guard=TARGET, server=server)


DOTS = tuple(
    at(
        f"dot segments: {path.decode()}",
        ROOT + path,
        "RFC 3986 5.2.4: a reader that removes dot segments ends elsewhere",
    )
    for path in (
        b"/../admin",
        b"/./admin",
        b"/..",
        b"/.",
        b"/../",
        b"/%2e%2e/admin",
        b"/%2E%2E/admin",
        b"/.%2e/admin",
        b"/%2e./admin",
        b"/%2e/admin",
        b"/%2e%2e",
        b"/../../../../etc/passwd",
        b"/..;/admin",
        b"/..;a=b/admin",
        b"/%2e%2e;/admin",
        b"/..%3b/admin",
    )
)

SEPARATORS = tuple(
    at(f"separators: {path.decode()}", path, why)
    for path, why in {
        ROOT + b"/a%2fb": "RFC 3986 2.2: an encoded slash is not a slash, until something decodes it",
        ROOT + b"/a%2Fb": "RFC 3986 2.2",
        ROOT + b"/..%2f..%2fadmin": "RFC 3986 2.2",
        ROOT + b"/a\\b": "RFC 3986 2: no URI character; many readers take it for a slash",
        ROOT + b"/..\\admin": "RFC 3986 2",
        ROOT + b"/a%5cb": "a backslash once decoded",
        ROOT + b"/a%5Cb": "a backslash once decoded",
        ROOT + b"//admin": "RFC 3986 3.3: an empty segment, which many readers drop",
        ROOT + b"///admin": "RFC 3986 3.3",
        ROOT + b"/admin//": "RFC 3986 3.3",
        b"/" + ROOT: "RFC 3986 4.2: `//` in front starts an authority",
        b"//evil.test" + ROOT: "RFC 3986 4.2: `//` in front starts an authority",
        b"/\\evil.test" + ROOT: "RFC 3986 2",
    }.items()
)

ENCODING = tuple(
    at(f"encoding: {path.decode()}", ROOT + path, why)
    for path, why in {
        b"/a%00b": "a C reader ends the string here",
        b"/a%00.json": "a C reader ends the string here",
        b"/a%0d%0aX-Account-Id:b": "a line end once decoded",
        b"/a%0ab": "a line end once decoded",
        b"/a%0db": "a line end once decoded",
        b"/a%09b": "a control byte once decoded",
        b"/a%1bb": "a control byte once decoded",
        b"/a%7fb": "a control byte once decoded",
        b"/a%c2%85b": "a control character (C1) once decoded",
        b"/%252e%252e/admin": "decoded twice these are dot segments",
        b"/a%252fb": "decoded twice this is a slash",
        b"/a%2500b": "decoded twice this is NUL",
        b"/a%25%32%65": "decoded twice this is a dot",
        b"/a%2541": "decoded twice this is another path",
        b"/a%zz": "RFC 3986 2.1: `%` and two hexadecimal digits",
        b"/a%": "RFC 3986 2.1",
        b"/a%2": "RFC 3986 2.1",
        b"/a%%20": "RFC 3986 2.1",
        b"/a%u002e": "RFC 3986 2.1: an encoding that never was a standard, and still is decoded",
        b"/%c0%ae%c0%ae/admin": "RFC 3629 3: an overlong dot",
        b"/a%c0%afb": "RFC 3629 3: an overlong slash",
        b"/a%e0%80%afb": "RFC 3629 3: an overlong slash",
        b"/a%c0%80b": "RFC 3629 3: an overlong NUL",
        b"/a%ff": "RFC 3629 3: no UTF-8",
        b"/a%c3": "RFC 3629 3: cut UTF-8",
        b"/a%c3%28": "RFC 3629 3: cut UTF-8",
        b"/a%ed%a0%80": "RFC 3629 3: a surrogate",
        b"/a%f4%90%80%80": "RFC 3629 3: beyond U+10FFFF",
        b"/a%f8%88%80%80%80": "RFC 3629 3: five bytes",
    }.items()
)

RAW = (
    *(
        at(
            f"raw {bad.decode()} in the path",
            ROOT + b"/a" + bad + b"b",
            "RFC 3986 2: no URI character; must be escaped",
        )
        for bad in (b"<", b">", b'"', b"{", b"}", b"^", b"`")
    ),
    *(
        at(f"raw {name}", ROOT + path, "RFC 3986 2: a URI is printable ASCII", server=(400,))
        for name, path in {
            "UTF-8": "/é".encode(),
            "byte 0xff": b"/a\xff",
            "NUL": b"/a\0b",
            "DEL": b"/a\x7fb",
            "tab": b"/a\tb",
            "space": b"/a b",
            "vertical tab": b"/a\x0bb",
            "carriage return": b"/a\rb",
            "byte above ASCII in the query": b"?q=\xff",
        }.items()
    ),
)

FORMS = (
    *(
        at(f"fragment {target.decode()}", target, "RFC 9112 3.2.1: a request target has no fragment")
        for target in (ROOT + b"#" + CANARY, ROOT + b"#", ROOT + b"?q=1#" + CANARY, b"/#" + ROOT)
    ),
    *(
        at(f"absolute form: {target.decode()}", target, "RFC 9112 3.2.2: its authority must be the one in Host")
        for target in (
            b"http://evil.test" + ROOT,
            b"https://evil.test" + ROOT,
            b"http://api.test.evil.test" + ROOT,
            b"http://api.test:81" + ROOT,
            b"http://user@api.test" + ROOT,
            b"http://user:" + CANARY + b"@api.test" + ROOT,
            b"http://api.test@evil.test" + ROOT,
            b"ftp://api.test" + ROOT,
            b"file:///etc/passwd",
            b"http://" + ROOT,
        )
    ),
    at("authority form on GET", b"api.test:443", "RFC 9112 3.2.3: only with CONNECT", server=(400,)),
    at("asterisk on GET", b"*", "RFC 9112 3.2.4: only with OPTIONS", server=(400,)),
    at("asterisk and a path", b"*/v1/" + CANARY, "RFC 9112 3.2: no form starts so", server=(400,)),
    at("no leading slash", b"v1/" + CANARY, "RFC 9112 3.2.1: origin form starts with a slash", server=(400,)),
    at("a question mark first", b"?q=" + CANARY, "RFC 9112 3.2.1: origin form starts with a slash", server=(400,)),
    at("a backslash first", b"\\v1\\" + CANARY, "RFC 9112 3.2.1: origin form starts with a slash", server=(400,)),
    at("broken address in brackets", b"http://[::1" + ROOT, "RFC 3986 3.2.2", server=(400,)),
    Hostile(
        "asterisk with a query",
        head(b"OPTIONS *?" + CANARY + b" HTTP/1.1"),
        "RFC 9112 3.2.4: the asterisk stands alone",
        guard=TARGET,
        server=(400,),
    ),
)

QUERY = (
    *(
        at(f"query {target.decode()}", ROOT + target, "RFC 3986 2.1: on the api, `%` and two hexadecimal digits")
        for target in (b"?q=%zz", b"?q=100%", b"?q=%u0041", b"?%=1")
    ),
)

# A refusal gives nothing back, neither of the target nor of headers that answers like to repeat.
TEMPTING = tuple(
    Hostile(f"bad path with {line.split(b':')[0].decode()}", get(ROOT + b"/../a", line), "no echo", guard=TARGET)
    for line in (
        b"X-Request-Id: " + CANARY * 2,
        b"Origin: https://" + CANARY + b".example",
        b"Accept: text/" + CANARY,
        b"User-Agent: " + CANARY,
        b"Cookie: " + CANARY + b"=" + CANARY,
        b"Referer: https://" + CANARY + b".example",
        b"Traceparent: " + CANARY,
    )
)

# The same rules hold where nothing but their target is wrong on a surface for browsers.
WEB_TOO = tuple(
    at(f"on the web: {path.decode()}", b"/" + CANARY + path, "as on the api: a browser never sends this", host=WEB)
    for path in (
        b"/../admin",
        b"/%2e%2e/admin",
        b"//admin",
        b"/a%2fb",
        b"/a%00b",
        b"/a%252fb",
        b"/a%ff",
        b"/a\\b",
        b"#a",
    )
)

FAMILIES = {
    "dot-segments": DOTS,
    "separators": SEPARATORS,
    "path-encoding": ENCODING,
    "raw-path": RAW,
    "target-form": FORMS,
    "query": QUERY,
    "tempting-header": TEMPTING,
    "web-target": WEB_TOO,
}

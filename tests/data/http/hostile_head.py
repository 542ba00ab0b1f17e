"""Request lines, methods, versions, header grammar and sizes (RFC 9112 sections 2 to 5, RFC 9110 sections 5 and 9)."""

from __future__ import annotations

from tests.data.http.case import CANARY, CLOSED, JSON, TARGET, WEB, Defused, Hostile, get, head, post

METHOD = ("BSE1102",)
HEADER = ("BSE1104",)


def line(text: bytes) -> bytes:
    """A request that is right but for its first line."""
    return head(text)


METHODS = (
    *(
        Hostile(
            name.decode(),
            line(name + b" " + TARGET + b" HTTP/1.1"),
            "RFC 9110 15.5.6: a method that nobody declared",
            guard=METHOD,
        )
        for name in (
            b"TRACE TRACK CONNECT PROPFIND MKCOL LOCK SEARCH M-SEARCH QUERY PURGE DEBUG LINK FOO GETT PRI ACL".split()
        )
    ),
    *(
        Hostile(
            name,
            line(method + b" " + TARGET + b" HTTP/1.1"),
            "RFC 9110 9.1: methods are case-sensitive tokens",
            guard=METHOD,
            server=(400,),
        )
        for name, method in {
            "lower case": b"get",
            "mixed case": b"Get",
            "hash inside": b"GE#T",
            "at sign inside": b"G@T",
            "colon behind": b"GET:",
            "twenty-six letters": b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "two letters": b"GE",
            "NUL inside": b"GE\0T",
            "byte above ASCII": b"GET\xff",
            "slash inside": b"GET/",
            "tab behind": b"GET\t",
        }.items()
    ),
    Hostile(
        "CONNECT with authority",
        line(b"CONNECT api.test:443 HTTP/1.1"),
        "RFC 9110 9.3.6: this is no proxy",
        guard=("BSE1102", "BSE1114"),
    ),
)

VERSIONS = (
    Hostile(
        "HTTP/1.2",
        line(b"GET " + TARGET + b" HTTP/1.2"),
        "stricter than RFC 9110 2.5: no such version exists, and readers disagree on what it may do",
        guard=("BSE1103",),
    ),
    *(
        Hostile(
            version.decode(),
            line(b"GET " + TARGET + b" " + version),
            "RFC 9112 2.3: HTTP-version is `HTTP/` DIGIT `.` DIGIT, and HTTP/2 starts in another way",
            server=(400, 505),
        )
        for version in (
            *b"HTTP/2.0 HTTP/3.0 HTTP/9.9 HTTP/0.9 HTTP/1.10 HTTP/11".split(),
            *b"HTTP/1. HTTP/1 http/1.1 FTP/1.1 HTTP/-1.1 HTTP/1,1".split(),
        )
    ),
    Hostile(
        "HTTP/0.9 without a version",
        b"GET " + TARGET + b"\r\n\r\n",
        "RFC 9112 3: three parts",
        server=(400,),
    ),
    Hostile(
        "HTTP/2 preface",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "RFC 9113 3.4: the preface of a protocol that is not spoken here",
        server=(400,),
    ),
)

REQUEST_LINES = tuple(
    Hostile(name, raw, "RFC 9112 3: method SP target SP version CRLF, and nothing else", server=(400,))
    for name, raw in {
        "two spaces before the target": line(b"GET  " + TARGET + b" HTTP/1.1"),
        "two spaces before the version": line(b"GET " + TARGET + b"  HTTP/1.1"),
        "tabs for spaces": line(b"GET\t" + TARGET + b"\tHTTP/1.1"),
        "space in front": line(b" GET " + TARGET + b" HTTP/1.1"),
        "space behind": line(b"GET " + TARGET + b" HTTP/1.1 "),
        "space in the version": line(b"GET " + TARGET + b" HTTP/ 1.1"),
        "no method": line(b" " + TARGET + b" HTTP/1.1"),
        "ended by a bare line feed": b"GET " + TARGET + b" HTTP/1.1\nHost: api.test\r\n\r\n",
        "five empty lines first": b"\r\n" * 5 + get(),
        "line feeds first": b"\n\n" + get(),
        "a word in front": b"X " + get(),
        "binary noise": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    }.items()
)

SERVER_GRAMMAR = tuple(
    Hostile(name, get(TARGET, *lines), "RFC 9112 5: field-name `:` OWS field-value OWS CRLF", server=(400,))
    for name, lines in {
        "space before the colon": (b"X-Note : " + CANARY,),
        "tab before the colon": (b"X-Note\t: " + CANARY,),
        "space inside the name": (b"X Note: " + CANARY,),
        "obsolete fold": (b"X-Note: a", b" " + CANARY),
        "obsolete fold by tab": (b"X-Note: a", b"\t" + CANARY),
        "fold that looks like a header": (b"X-Note: a", b" Authorization: Bearer " + CANARY),
        "no colon": (CANARY,),
        "empty name": (b": " + CANARY,),
        "NUL in the value": (b"X-Note: a\0" + CANARY,),
        "carriage return in the value": (b"X-Note: a\r" + CANARY,),
        "carriage return, then a header": (b"X-Note: a\rX-Account-Id: " + CANARY,),
        "line feed in the value": (b"X-Note: a\n" + CANARY,),
        "line feed, then a header": (b"X-Note: a\nX-Account-Id: " + CANARY,),
        "carriage return before the name": (b"\rX-Note: " + CANARY,),
        "NUL in the name": (b"X\0Note: " + CANARY,),
        "byte above ASCII in the name": (b"X-Not\xdf: " + CANARY,),
        "UTF-8 in the name": ("X-Noté: ".encode() + CANARY,),
    }.items()
)

GRAMMAR = (
    *SERVER_GRAMMAR,
    Hostile(
        "leading space on the first line",
        b"GET " + TARGET + b" HTTP/1.1\r\n X-Account-Id: " + CANARY + b"\r\nHost: api.test\r\n\r\n",
        "RFC 9112 2.2: whitespace between the start line and the first field",
        server=(400,),
    ),
    Hostile(
        "every line ended by a bare line feed",
        get().replace(b"\r\n", b"\n"),
        "RFC 9112 2.2 lets a reader take a bare LF; a reader that does not sees another message",
        server=(400, CLOSED),
    ),
    *(
        Hostile(
            f"name with {bad.decode()!r}",
            get(TARGET, b"X" + bad + b"Note: " + CANARY),
            "RFC 9110 5.1: a field name is a token",
            server=(400,),
        )
        for bad in (b'"', b"(", b")", b",", b"/", b";", b"<", b"=", b">", b"?", b"@", b"[", b"\\", b"]", b"{", b"}")
    ),
    *(
        Hostile(
            f"value with byte {bad:02x}",
            get(TARGET, b"X-Note: a%cb" % bad + CANARY),
            "RFC 9110 5.5: control bytes in a value are invalid",
            guard=HEADER,
            server=(400,),
        )
        for bad in (*range(0x01, 0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F)
    ),
    *(
        Hostile(
            f"{name} named by a header",
            get(TARGET, name.encode() + b": /v1"),
            "gunicorn maps this name from loopback onto the environ: a client would choose what the app routes by",
            guard=("BSE1104", "BSE1114"),
            defused=Defused(absent=()),  # what counts is SCRIPT_NAME itself, and the oracle looks at that
        )
        for name in ("SCRIPT_NAME", "Script_Name", "PATH_INFO", "Script-Name", "Path-Info")
    ),
    Hostile(
        "SCRIPT_NAME that moves an api path under the web",
        get(b"/x/v1/" + CANARY, b"SCRIPT_NAME: /x", host=WEB),
        "judged as /x/v1/…, routed as /v1/…",
        guard=("BSE1104", "BSE1114", "BSE1001"),
    ),
    *(
        Hostile(
            f"name with {bad.decode()!r}, which RFC 9110 allows",
            get(TARGET, b"X" + bad + b"Note: " + CANARY),
            "stricter than RFC 9110 5.6.2: only letters, digits and `_` in an environ key are spelled alike everywhere",
            guard=HEADER,
        )
        for bad in (b"!", b"#", b"$", b"%", b"&", b"'", b"*", b"+", b".", b"^", b"`", b"|", b"~")
    ),
    Hostile(
        "SCRIPT_NAME that does not fit the path",
        get(TARGET, b"SCRIPT_NAME: /" + CANARY),
        "the server takes the blame itself, with its own 500",
        guard=HEADER,
        server=(400, 500),
    ),
    Hostile(
        "Proxy",
        get(TARGET, b"Proxy: http://evil.test/" + CANARY),
        "HTTP_PROXY is read as configuration by HTTP clients that the app may use",
        guard=HEADER,
        defused=Defused(absent=("HTTP_PROXY",)),
    ),
)


def wide(*headers: bytes, target: bytes = TARGET) -> bytes:
    """A GET with many or long headers."""
    return get(target, *headers)


FIELDS_TOO_LARGE = (431, 400)
SIZES = (
    Hostile("121 headers", wide(*(b"X-%d: a" % n for n in range(120))), "RFC 6585 5", server=FIELDS_TOO_LARGE),
    Hostile("1201 headers", wide(*(b"X-%d: a" % n for n in range(1200))), "RFC 6585 5", server=FIELDS_TOO_LARGE),
    Hostile("one header of 9 KB", wide(b"X-Note: " + b"a" * 9000), "RFC 6585 5", server=FIELDS_TOO_LARGE),
    Hostile(
        "72 KB of headers that are each allowed",
        wide(*(b"X-%d: " % n + b"a" * 8000 for n in range(9))),
        "RFC 6585 5: the sum counts too",
        guard=("BSE1116",),
        server=FIELDS_TOO_LARGE,
    ),
    *(
        Hostile(
            f"Authorization of {size} bytes",
            wide(b"Authorization: Bearer " + b"a" * size),
            "RFC 6585 5",
            server=(431, 400),
        )
        for size in (16_000, 65_536, 200_000)
    ),
    Hostile("target of 5 KB", wide(target=TARGET + b"/" + b"a" * 5000), "RFC 9110 15.5.15", server=(414, 400)),
    Hostile("target of 70 KB", wide(target=TARGET + b"/" + b"a" * 70_000), "RFC 9110 15.5.15", server=(414, 400)),
    Hostile("query of 5 KB", wide(target=TARGET + b"?q=" + b"a" * 5000), "RFC 9110 15.5.15", server=(414, 400)),
)

# With the server's own limits raised, ours must hold.
OWN_SIZES = tuple(
    Hostile(name, raw, "the server's limit was raised, ours was not", guard=(code,), profile="wide")
    for name, code, raw in (
        ("Authorization one byte over its limit", "BSE1110", wide(b"Authorization: Bearer " + b"a" * 8186)),
        ("Authorization of 60 KB", "BSE1110", wide(b"Authorization: Bearer " + b"a" * 60_000)),
        ("101 headers", "BSE1116", wide(*(b"X-%d: a" % n for n in range(100)))),
        ("1200 headers", "BSE1116", wide(*(b"X-%d: a" % n for n in range(1199)))),
        ("one header of 66 KB", "BSE1116", wide(b"X-Note: " + b"a" * 66_000)),
        ("path one byte over its limit", "BSE1115", wide(target=TARGET + b"/" + b"a" * (8192 - len(TARGET)))),
        ("query over its limit", "BSE1115", wide(target=TARGET + b"?q=" + b"a" * 8192)),
    )
)

EXPECT = tuple(
    Hostile(
        value.decode(),
        post(JSON, b"Expect: " + value),
        "RFC 9110 10.1.1: 417 for any expectation but 100-continue",
        guard=("BSE1112",),
        server=(417,),
    )
    for value in (b"200-ok", b"100-continue, " + CANARY, b"100-continue;q=1", CANARY)
)

UPGRADE = tuple(
    Hostile(
        name,
        get(TARGET, *lines),
        "RFC 9110 7.8: what follows an upgrade is judged by nobody here",
        guard=("BSE1113",),
    )
    for name, lines in {
        "h2c": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
        "websocket": (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        "unknown protocol": (b"Connection: upgrade", b"Upgrade: " + CANARY),
        "not named in Connection": (b"Upgrade: h2c",),
        "TLS": (b"Connection: Upgrade", b"Upgrade: TLS/1.2"),
    }.items()
)

FAMILIES = {
    "method": METHODS,
    "version": VERSIONS,
    "request-line": REQUEST_LINES,
    "header-grammar": GRAMMAR,
    "sizes": SIZES,
    "own-sizes": OWN_SIZES,
    "expect": EXPECT,
    "upgrade": UPGRADE,
}
